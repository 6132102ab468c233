package check

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/mesherhq/mesher/shared/expect"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// json compares values of a JSON body with what is expected of them.
func (l *look) json(ctx context.Context, a answer, conditions []monitor.Condition) finding {
	if !a.whole {
		return down(monitor.CodeTooLarge, "the body is larger than the %d bytes that are read of it, so its JSON cannot be looked at", len(a.body))
	}
	document, ok := decode(a.body)
	if !ok {
		return down(monitor.CodeJSON, "the body is not JSON")
	}
	for _, c := range conditions {
		if ctx.Err() != nil {
			return l.late()
		}
		path, err := expect.Path(c.Name)
		if err != nil {
			return down(monitor.CodeConfiguration, "%q: %s", clip(c.Name), detail(err))
		}
		found := path.Select(document)
		values := make([]string, len(found))
		for i, v := range found {
			values[i] = text(v)
		}
		if f := l.meets(monitor.CodeJSON, clip(c.Name), c, values, scalar(found)); f.status != monitor.Healthy {
			return f
		}
	}
	return healthy()
}

// decode reads a document as it is, its numbers too.
func decode(body []byte) (document any, ok bool) {
	clean, n, _, err := rawjson.Clean(nil, body, depthMost, 3*len(body)+16)
	if err != nil || len(bytes.TrimSpace(body[n:])) > 0 {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(clean))
	d.UseNumber()
	err = d.Decode(&document)
	return document, err == nil
}

// text returns what a value is compared as: texts as they are, everything else as JSON.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "" // cannot be: it was decoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// scalar reports whether what was found is one value and not a part of the document.
func scalar(found []any) bool {
	if len(found) != 1 {
		return false
	}
	switch found[0].(type) {
	case map[string]any, []any:
		return false
	}
	return true
}
