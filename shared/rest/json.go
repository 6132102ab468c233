package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// format is JSON as huma reads and writes it.
func format() huma.Format {
	return huma.Format{
		Unmarshal: decode,
		// What comes here is encoded already. An error of writing is a client that went away; nobody is left to be told.
		Marshal: func(w io.Writer, v any) error {
			b, ok := v.(json.RawMessage)
			if !ok {
				return fmt.Errorf("answer a %T that was not encoded", v)
			}
			_, _ = w.Write(b)
			return nil
		},
	}
}

// encode is the step before the status is sent, so that a value that cannot be encoded is a clean 500.
func encode(hc huma.Context, _ string, v any) (any, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	// No page includes what is answered; people read it as it is.
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		// huma would send what is there so far with status 200.
		panic(fmt.Errorf("encode an answer: %w", err))
	}
	hc.SetHeader("Content-Length", strconv.Itoa(b.Len()))
	return json.RawMessage(b.Bytes()), nil
}

// decode reads JSON. Its errors repeat nothing of data: a value may be a password.
//
// huma calls it twice, first with an any that is validated, then with the input itself. An object that has a name twice
// could look different each time, so it is refused.
func decode(data []byte, v any) error {
	if _, first := v.(*any); first {
		if err := check(data); err != nil {
			return err
		}
	}
	err := json.Unmarshal(data, v)
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s has a value that is not of its type or range", kind.Field)
	case errors.As(err, &syntax):
		return fmt.Errorf("not valid JSON, seen at byte %d", syntax.Offset)
	}
	return errors.New("a value is not of its type or range")
}

// check finds names that an object has twice and text that Postgres does not keep. What is not JSON passes; it is found
// later.
func check(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var open []names
	for {
		token, err := d.Token()
		if err != nil {
			return nil //nolint:nilerr // the end, or what the decoder says better
		}
		text, isText := token.(string)
		if isText && strings.IndexByte(text, 0) >= 0 {
			return errors.New("a text holds a NUL character")
		}
		switch token {
		case json.Delim('{'):
			open = append(open, names{seen: map[string]bool{}})
			continue
		case json.Delim('['):
			open = append(open, names{})
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) > 0 && open[len(open)-1].twice(text) {
			return errors.New("an object has the same name twice")
		}
	}
}

// names are what an object has so far; an array has none.
type names struct {
	seen  map[string]bool
	value bool // whether a value comes next
}

// twice notes a name or the end of a value, and reports whether the name was there.
func (n *names) twice(name string) bool {
	if n.seen == nil {
		return false
	}
	n.value = !n.value
	if !n.value {
		return false
	}
	was := n.seen[name]
	n.seen[name] = true
	return was
}
