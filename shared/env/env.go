// Package env reads a function's settings: from the environment in the cloud, from a map on a laptop and in
// tests. It also lists them, so that the README's table is checked against the code.
//
// A settings struct tags each field with `env:"NAME"`, `envDefault:"value"` when it has a default (a field
// without one is required) and `doc:"meaning"`.
package env

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/mesherhq/mesher/shared/fault"
)

// Lookup returns the value of a setting and whether it is set, like os.LookupEnv.
type Lookup func(name string) (string, bool)

// OS looks settings up in the process's environment.
func OS(name string) (string, bool) { return os.LookupEnv(name) }

// Map looks settings up in m only.
func Map(m map[string]string) Lookup {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

// Setting describes one setting for the documentation.
type Setting struct {
	Name, Default, Doc string
	Required           bool
}

// Read fills the struct that dst points to. All missing and malformed settings are reported together in one
// fault.NotConfigured error that names them.
func Read[T any](lookup Lookup, dst *T) error {
	all := Describe(dst)
	values := make(map[string]string, len(all))
	var missing, wrong []string
	for _, s := range all {
		v, ok := lookup(s.Name)
		if v = strings.TrimSpace(v); ok && v != "" {
			values[s.Name] = v
		} else if s.Required {
			missing = append(missing, s.Name)
		}
	}
	if len(missing) > 0 {
		wrong = append(wrong, "missing setting "+strings.Join(missing, ", "))
	}
	if err := env.ParseWithOptions(dst, env.Options{Environment: values}); err != nil {
		wrong = append(wrong, explain(reflect.TypeOf(dst).Elem(), values))
	}
	if wrong != nil {
		return fault.New(fault.NotConfigured, "%s", strings.Join(wrong, "; "))
	}
	return nil
}

// explain names the settings of t that cannot be read from values. It does not repeat a value, which may be
// secret. The parser's own errors name fields of structs, so each setting is parsed again by itself.
func explain(t reflect.Type, values map[string]string) string {
	var out []string
	for f := range settings(t) {
		alone := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Setting", Type: f.Type, Tag: f.Tag}}))
		if err := env.ParseWithOptions(alone.Interface(), env.Options{Environment: values}); err != nil {
			out = append(out, fmt.Sprintf("setting %s is not a valid %s", f.Tag.Get("env"), f.Type))
		}
	}
	if out == nil {
		return "a setting cannot be read"
	}
	return strings.Join(out, "; ")
}

// Describe lists the settings of the struct that v points to, in the order of its fields; embedded structs
// are included.
func Describe(v any) []Setting {
	return describe(reflect.TypeOf(v).Elem())
}

func describe(t reflect.Type) []Setting {
	var out []Setting
	for f := range settings(t) {
		def, hasDefault := f.Tag.Lookup("envDefault")
		out = append(out, Setting{Name: f.Tag.Get("env"), Default: def, Doc: f.Tag.Get("doc"), Required: !hasDefault})
	}
	return slices.Clip(out)
}

// settings returns the fields of t that are settings, those of structs within it included.
func settings(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) { visit(t, yield) }
}

func visit(t reflect.Type, yield func(reflect.StructField) bool) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Tag.Get("env") != "":
			if !yield(f) {
				return false
			}
		case f.Type.Kind() == reflect.Struct:
			if !visit(f.Type, yield) {
				return false
			}
		}
	}
	return true
}
