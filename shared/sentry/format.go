package sentry

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// mostFormatted is how many bytes a formatted message can have: it bounds what a template costs that names the
// same long parameter again and again. It is far above Limits.Message.
const mostFormatted = 32 << 10

// formatted returns template with its params filled in, both as JSON. The template stays as it is if nothing can
// be filled in, or too much, or nothing is left to be seen. Text is filled in as it is, whatever width or precision a placeholder asks for.
func (c *Converter) formatted(template, params []byte) []byte {
	f := formatter{template: rawjson.Unquote(template)}
	f.read(params)
	if !f.fill('%', f.percent) && !f.fill('{', f.braces) {
		return template
	}
	text := c.write(func(dst []byte) []byte { return rawjson.AppendString(dst, f.out) })
	if c.blank(text) {
		return template
	}
	return text
}

// formatter fills one template.
type formatter struct {
	template string
	names    [][]byte // of the params, if they have names: as they stand in JSON
	values   [][]byte // of the params
	next     int      // the param that the next placeholder without a name takes
	out      []byte
}

// mostParams is how many params can be filled in; they are searched one by one.
const mostParams = 100

// read takes the params: an array or an object.
func (f *formatter) read(params []byte) {
	for _, value := range rawjson.Array(params) {
		if f.values = append(f.values, value); len(f.values) == mostParams {
			return
		}
	}
	for name, value := range rawjson.Object(params) {
		f.names, f.values = append(f.names, name), append(f.values, value)
		if len(f.values) == mostParams {
			return
		}
	}
}

// fill writes the template to out. Placeholders begin with mark; read looks at the template from mark on and
// returns how long the placeholder is, 0 if it is none. It reports whether anything was filled in.
func (f *formatter) fill(mark byte, read func(rest string) (value []byte, size int)) bool {
	f.out, f.next = f.out[:0], 0
	filled := false
	for rest := f.template; rest != ""; {
		i := strings.IndexByte(rest, mark)
		if i < 0 {
			f.out = append(f.out, rest...)
			break
		}
		f.out, rest = append(f.out, rest[:i]...), rest[i:]
		if len(rest) > 1 && rest[1] == mark {
			f.out, rest = append(f.out, mark), rest[2:]
			continue
		}
		value, size := read(rest)
		if value == nil {
			f.out, rest = append(f.out, rest[:max(size, 1)]...), rest[max(size, 1):]
			continue
		}
		filled = true
		f.out, rest = appendPlain(f.out, value), rest[size:]
		if len(f.out) > mostFormatted {
			return false
		}
	}
	return filled
}

// percent reads a placeholder such as %s, %5.2f or %(name)s.
func (f *formatter) percent(rest string) (value []byte, size int) {
	size = 1
	name, named := "", false
	if strings.HasPrefix(rest, "%(") {
		end := strings.IndexByte(rest[:min(len(rest), longestName)], ')')
		if end < 0 {
			return nil, 0
		}
		name, named, size = rest[2:end], true, end+1
	}
	for size < len(rest) && size < longestName && strings.IndexByte("-+#0123456789.l", rest[size]) >= 0 {
		size++
	}
	if size >= len(rest) || strings.IndexByte("sdifrouxXeEgGcvOjp", rest[size]) < 0 {
		return nil, 0
	}
	size++
	if named {
		return f.named(name), size
	}
	return f.positional(), size
}

// braces reads a placeholder such as {}, {0}, {name} or {0:x}.
func (f *formatter) braces(rest string) (value []byte, size int) {
	end := strings.IndexByte(rest[:min(len(rest), longestName)], '}')
	if end < 0 {
		return nil, 0
	}
	name, _, _ := strings.Cut(rest[1:end], ":")
	size = end + 1
	if name == "" {
		return f.positional(), size
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(f.values) {
		return f.values[n], size
	}
	return f.named(name), size
}

// longestName is how far the end of a placeholder is looked for, in bytes.
const longestName = 100

// positional returns the next of the params, or nil.
func (f *formatter) positional() []byte {
	if f.next >= len(f.values) {
		return nil
	}
	f.next++
	return f.values[f.next-1]
}

// named returns the one of the params that is called name, or nil.
func (f *formatter) named(name string) []byte {
	for i, known := range f.names {
		if string(known) == name {
			return f.values[i]
		}
	}
	return nil
}

// appendPlain appends the text of a JSON value for people.
func appendPlain(dst, value []byte) []byte {
	if rawjson.KindOf(value) == rawjson.String {
		return rawjson.AppendUnquoted(dst, value)
	}
	return append(dst, bytes.TrimSpace(value)...)
}
