package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestDocument shows a reviewer what a change means for clients.
func TestDocument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.get(t, person{}, "/openapi.json").is(http.StatusOK)
	var doc any
	a.into(&doc)
	var got bytes.Buffer
	e := json.NewEncoder(&got) // sorts the names
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	must(t, e.Encode(doc))
	golden := filepath.Join("testdata", "openapi.golden.json")
	if *update {
		must(t, os.WriteFile(golden, got.Bytes(), 0o600))
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; make it with go test ./functions/api -run TestDocument -update", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("the document is not that of %s; rewrite it with -update when that is meant (-want +got):\n%s", golden, diff)
	}
}

// operation is one operation of the document.
type operation struct {
	ID         string `json:"operationId"`
	Summary    string `json:"summary"`
	Doc        string `json:"description"`
	Scope      string `json:"x-mesher-scope"`
	Role       string `json:"x-mesher-role"`
	Parameters []struct {
		Name   string
		In     string
		Doc    string `json:"description"`
		Schema map[string]any
	}
	Body      json.RawMessage `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]json.RawMessage
	}

	method, path string
}

func (b *bundle) operations(t *testing.T) []operation {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]operation
	}
	b.get(t, person{}, "/openapi.json").is(http.StatusOK).into(&doc)
	var out []operation
	for path, methods := range doc.Paths {
		for method, o := range methods {
			o.method, o.path = strings.ToUpper(method), strings.TrimPrefix(path, "/api/v1")
			out = append(out, o)
		}
	}
	if len(out) == 0 {
		t.Fatal("the document has no operations")
	}
	return out
}

// Clients are generated with types for ids and times.
// foreignIDs are ids that others than Mesher give, in whatever form they like.
func foreignIDs() []string {
	return []string{"EventSummary.user_id", "Event.user_id", "Event.trace_id", "EraseRequest.user_id", "list-events.trace_id"}
}

func TestDocument_HasFormats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]map[string]any }
		}
	}
	b.get(t, person{}, "/openapi.json").is(http.StatusOK).into(&doc)
	for name, s := range doc.Components.Schemas {
		for field, p := range s.Properties {
			format := ""
			switch {
			case p["type"] != "string" || slices.Contains(foreignIDs(), name+"."+field):
			case field == "id" || strings.HasSuffix(field, "_id"):
				format = "uuid"
			case strings.HasSuffix(field, "_at"):
				format = "date-time"
			}
			if format != "" && p["format"] != format {
				t.Errorf("%s.%s is %v, want the format %s", name, field, p, format)
			}
		}
	}
	if k := doc.Components.Schemas["Key"].Properties["state"]; len(doc.Components.Schemas) == 0 || k["enum"] == nil {
		t.Errorf("the state of a key is %v", k)
	}
}

func TestDocument_IsComplete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, o := range b.operations(t) {
		if o.Summary == "" || o.Doc == "" || o.Scope == "" {
			t.Errorf("%s has no summary, description or scope", o.ID)
		}
		if _, ok := o.Responses["default"].Content["application/problem+json"]; !ok {
			t.Errorf("%s does not say how its errors look", o.ID)
		}
		for _, p := range o.Parameters {
			if p.Doc == "" {
				t.Errorf("%s does not say what %s is", o.ID, p.Name)
			}
			if id := strings.HasSuffix(p.Name, "_id") && !slices.Contains(foreignIDs(), o.ID+"."+p.Name); id && (p.Schema["type"] != "string" || p.Schema["format"] != "uuid") {
				t.Errorf("%s: the schema of %s is %v, want a uuid", o.ID, p.Name, p.Schema)
			}
		}
	}
}
