package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
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
			if id := strings.HasSuffix(p.Name, "_id"); id && (p.Schema["type"] != "string" || p.Schema["format"] != "uuid") {
				t.Errorf("%s: the schema of %s is %v, want a uuid", o.ID, p.Name, p.Schema)
			}
		}
	}
}
