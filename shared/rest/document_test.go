package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/rest"
)

func ping(context.Context, *struct{}) (*rest.Body[rest.List[string]], error) {
	return &rest.Body[rest.List[string]]{}, nil
}

func TestDocument(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.send(t, "GET", "/api/v1/openapi.json", "")
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/openapi+json" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	if again := setup(t).send(t, "GET", "/api/v1/openapi.json", ""); again.text != a.text {
		t.Error("another instance has another document")
	}
	var doc map[string]any
	must(t, json.Unmarshal([]byte(a.text), &doc))
	if v := fmt.Sprint(doc["openapi"]); !strings.HasPrefix(v, "3.1.") {
		t.Errorf("openapi %s", v)
	}
	refs(t, doc, doc)
	schemes := at(doc, "components", "securitySchemes")
	ids := map[string]bool{}
	for path, item := range at(doc, "paths") {
		if !strings.HasPrefix(path, "/api/v1/") {
			t.Errorf("path %s", path)
		}
		for method, op := range item.(map[string]any) {
			operation(t, method+" "+path, op.(map[string]any), schemes, ids)
		}
	}
	if len(ids) < 10 {
		t.Errorf("operations %v", ids)
	}
	if d := cmp.Diff([]any{map[string]any{"url": "/"}}, doc["servers"]); d != "" {
		t.Errorf("servers (-want +got):\n%s", d)
	}
	problem := at(doc, "components", "schemas", "Problem", "properties")
	if len(problem) != 6 || problem["retryAfter"] != nil {
		t.Errorf("a problem has %v", problem)
	}
	get := at(doc, "paths", "/api/v1/things/{id}", "get")
	if get["x-mesher-role"] != "member" || get["x-mesher-scope"] != "read" {
		t.Errorf("role and scope: %v", get)
	}
}

// operation checks what every operation has to have.
func operation(t *testing.T, name string, op, schemes map[string]any, ids map[string]bool) {
	t.Helper()
	id, _ := op["operationId"].(string)
	if id == "" || ids[id] {
		t.Errorf("%s: operationId %q", name, id)
	}
	ids[id] = true
	responses := op["responses"].(map[string]any)
	if at(responses, "default", "content", "application/problem+json", "schema")["$ref"] != "#/components/schemas/Problem" || len(responses) < 2 {
		t.Errorf("%s: responses %v", name, responses)
	}
	for status, r := range responses {
		if r.(map[string]any)["description"] == "" {
			t.Errorf("%s: %s has no description", name, status)
		}
	}
	if at(responses, "4XX", "content", "application/problem+json", "schema")["$ref"] != "#/components/schemas/Problem" {
		t.Errorf("%s: no answer to a mistake of the client: %v", name, responses)
	}
	ways, said := op["security"].([]any)
	if _, scoped := op["x-mesher-scope"]; !said || scoped != (len(ways) > 0) {
		t.Errorf("%s: security %v", name, op["security"])
	}
	for _, way := range ways {
		for scheme := range way.(map[string]any) {
			if schemes[scheme] == nil {
				t.Errorf("%s: no scheme %s", name, scheme)
			}
		}
	}
	parameters, _ := op["parameters"].([]any)
	for _, p := range parameters {
		p := p.(map[string]any)
		if p["in"] == "path" && (p["required"] != true || !strings.Contains(name, "{"+p["name"].(string)+"}")) {
			t.Errorf("%s: parameter %v", name, p)
		}
	}
}

// at walks into objects; what is not there is empty.
func at(v map[string]any, path ...string) map[string]any {
	for _, name := range path {
		v, _ = v[name].(map[string]any)
	}
	return v
}

// refs checks that every reference within v leads somewhere in doc.
func refs(t *testing.T, doc map[string]any, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			refs(t, doc, e)
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && at(doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...) == nil {
			t.Errorf("%s leads nowhere", ref)
		}
		for _, e := range v {
			refs(t, doc, e)
		}
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for query, want := range map[string]string{
		"": "[50]", "?limit=": "[50]", "?limit=1": "[1]", "?limit=100&cursor=": "[100]", "?state=a,b": "[50]",
	} {
		if a := s.send(t, "GET", "/api/v1/things"+query, "", "Authorization", "Bearer "+s.session); !strings.Contains(a.text, `"items":`+want) {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.text)
		}
	}
}

func TestDocument_NamesTheWaysInThatThereAre(t *testing.T) {
	t.Parallel()
	for scope, want := range map[account.Scope]string{"": "", account.ScopeSession: "cookie session", account.ScopeRead: "cookie session token"} {
		a := rest.New(rest.Options{Prefix: "/api/v1", Log: slog.New(slog.DiscardHandler)})
		rest.Handle(a, rest.Route{ID: "x", Method: http.MethodGet, Path: "/x", Scope: scope}, ping)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/openapi.json", http.NoBody))
		var doc map[string]any
		must(t, json.Unmarshal(w.Body.Bytes(), &doc))
		got := slices.Sorted(maps.Keys(at(doc, "components", "securitySchemes")))
		if strings.Join(got, " ") != want {
			t.Errorf("scope %q: schemes %v, want %s", scope, got, want)
		}
	}
}
