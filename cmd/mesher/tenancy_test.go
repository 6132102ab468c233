package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

// operation is one operation of an OpenAPI document.
type operation struct {
	ID          string          `json:"operationId"`
	Role        string          `json:"x-mesher-role"`
	Scope       string          `json:"x-mesher-scope"`
	RequestBody json.RawMessage `json:"requestBody"`
	Parameters  []struct {
		Name string `json:"name"`
		In   string `json:"in"`
	} `json:"parameters"`
	method, path string
}

// named returns the names of what the path is about, such as project_id.
func (o operation) named() []string {
	var out []string
	for _, p := range o.Parameters {
		if p.In == "path" {
			out = append(out, p.Name)
		}
	}
	return out
}

// address fills ids into the path.
func (o operation) address(t *testing.T, ids map[string]string) string {
	t.Helper()
	path := o.path
	for _, name := range o.named() {
		id, ok := ids[name]
		if !ok {
			t.Fatalf("%s %s takes a %s, which this test does not know: add it to newTenant", o.method, o.path, name)
		}
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	return path
}

// operations returns every operation of both documents.
func operations(t *testing.T, url string) []operation {
	t.Helper()
	var out []operation
	for _, prefix := range []string{"/auth/v1", "/api/v1"} {
		resp, err := http.Get(url + prefix + "/openapi.json")
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Paths map[string]map[string]operation `json:"paths"`
		}
		err = json.NewDecoder(resp.Body).Decode(&doc)
		resp.Body.Close()
		if err != nil || len(doc.Paths) == 0 {
			t.Fatalf("the document of %s has %d paths, %v", prefix, len(doc.Paths), err)
		}
		for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
			for method, o := range doc.Paths[path] {
				o.method, o.path = strings.ToUpper(method), path
				out = append(out, o)
			}
		}
	}
	return out
}

// bodies are valid bodies of the operations that take an id and a body, with the names of ids for ids. A new operation has
// to be added here.
var bodies = map[string]string{
	"update-organization": `{"name":"Renamed"}`,
	"update-member":       `{"role":"admin"}`,
	"create-invitation":   `{"email":"somebody.new@example.com","role":"member"}`,
	"create-project":      `{"name":"Another"}`,
	"update-project":      `{"name":"Renamed"}`,
	"create-key":          `{"label":"another"}`,
	"update-key":          `{"label":"renamed"}`,
	"rotate-key":          `{"overlap":"1h"}`,
	"update-issue":        `{"status":"discarded"}`,
	"update-issues":       `{"ids":["{issue_id}"],"status":"resolved"}`,
	"delete-issues":       `{"ids":["{issue_id}"]}`,
	"merge-issues":        `{"ids":["{issue_id}","{other_issue_id}"]}`,
	"unmerge-issue":       `{"fingerprints":["{fingerprint}"]}`,
	"erase-user":          `{"user_id":"u1"}`,
	"create-monitor":      `{"name":"Another","kind":"tcp","config":{"tcp":{"host":"example.com","port":443}}}`,
	"update-monitor":      `{"name":"Renamed"}`,
	"create-channel":      `{"name":"Another","slack":{"url":"https://hooks.slack.com/services/a"}}`,
	"update-channel":      `{"name":"Renamed"}`,

	"create-project-rule":      `{"name":"New issues","kind":"new_issue"}`,
	"create-organization-rule": `{"name":"Monitors","kind":"monitor"}`,
	"dry-run-project-rule":     `{"name":"New issues","kind":"new_issue"}`,
	"update-rule":              `{"name":"Renamed"}`,
	"resolve-alert":            `{"why":"done"}`,
}

// call makes one request and returns the status and the code of the problem, if it is one.
func call(t *testing.T, method, address, bearer, body string) (status int, code, text string) {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, address, content)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var problem struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(raw, &problem)
	return resp.StatusCode, problem.Code, string(raw)
}

// TestTenancy_OfEveryRoute walks every operation that takes an id and calls it as everybody who must not get through.
func TestTenancy_OfEveryRoute(t *testing.T) {
	t.Parallel()
	p := start(t, newHome(t))
	db, err := pgxpool.New(t.Context(), p.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	walked := 0
	for _, o := range operations(t, p.URL) {
		if len(o.named()) == 0 {
			continue
		}
		walked++
		if o.Role == "operator" {
			operatorOnly(t, p, newTenant(t, p, db), o)
			continue
		}
		t.Run(o.method+" "+o.path, func(t *testing.T) {
			ours, theirs := newTenant(t, p, db), newTenant(t, p, db)
			w := &walk{url: p.URL, operation: o, ours: ours, theirs: theirs}
			if len(o.RequestBody) > 0 {
				if w.body = ours.fill(bodies[o.ID]); w.body == "" {
					t.Fatalf("%s takes a body, which this test does not know: add one to bodies", o.ID)
				}
			}
			before := ours.state(t)
			w.asStrangers(t)
			w.asLowerRoles(t)
			w.withoutCredential(t)
			if after := ours.state(t); after != before {
				t.Errorf("somebody who must not has changed\n%s\nto\n%s", before, after)
			}
			if status, _, text := call(t, o.method, w.url+o.address(t, ours.ids), ours.owner.session, w.body); status/100 != 2 {
				t.Errorf("the owner is answered %d %s: what was refused above might be refused to everybody", status, text)
			}
		})
	}
	if walked < 15 {
		t.Errorf("only %d operations take an id", walked)
	}
}

// operatorOnly calls what only who runs the installation may, as everybody who must not get through, and as the developer.
func operatorOnly(t *testing.T, p *platform, ours *tenantFixture, o operation) {
	t.Helper()
	o.path, o.Parameters = strings.ReplaceAll(o.path, "{job}", "retention"), nil // which job it is is no secret of anybody's
	w := &walk{url: p.URL, operation: o, ours: ours}
	for who, bearer := range map[string]string{
		"an owner": ours.owner.session, "a program of an owner": ours.owner.adminToken, "a bound program": ours.boundElsewhere(t),
	} {
		w.refused(t, who, ours.ids, bearer, http.StatusForbidden, "not_operator")
	}
	w.refused(t, "a program that may read", ours.ids, ours.owner.readToken, http.StatusForbidden, "scope_too_low")
	w.withoutCredential(t)
	login, _, err := account.FindLogin(t.Context(), ours.db, p.Email)
	fatal(t, err)
	_, session, err := account.StartSession(t.Context(), ours.db, sessionTimes, login.ID, account.Client{})
	fatal(t, err)
	// Which jobs there are is up to the platform's functions; one that is missing is not found.
	if status, _, text := call(t, o.method, p.URL+o.address(t, ours.ids), session, ""); status/100 != 2 && status != http.StatusNotFound {
		t.Errorf("%s: the operator is answered %d %s", o.path, status, text)
	}
}

// walk is the calls to one operation.
type walk struct {
	url, body    string
	operation    operation
	ours, theirs *tenantFixture
}

// refused calls with some ids and credential and expects a status and code.
func (w *walk) refused(t *testing.T, who string, ids map[string]string, bearer string, status int, code string) {
	t.Helper()
	got, gotCode, text := call(t, w.operation.method, w.url+w.operation.address(t, ids), bearer, w.body)
	if got != status || code != "" && gotCode != code {
		t.Errorf("%s: %d %s, want %d %s", who, got, text, status, code)
	}
}

// asStrangers calls as people of another organization: ids of others do not exist for them.
func (w *walk) asStrangers(t *testing.T) {
	t.Helper()
	named := w.operation.named()
	w.refused(t, "the owner of another organization", w.ours.ids, w.theirs.owner.session, http.StatusNotFound, "not_found")
	if w.operation.Scope != "session" {
		w.refused(t, "a program of another organization's owner", w.ours.ids, w.theirs.owner.adminToken, http.StatusNotFound, "not_found")
		w.refused(t, "a program of the owner that is bound to another organization", w.ours.ids, w.ours.boundElsewhere(t), http.StatusNotFound, "not_found")
	}
	if len(named) > 1 {
		// What is theirs first, and then what is ours.
		ids := maps.Clone(w.theirs.ids)
		ids[named[len(named)-1]] = w.ours.ids[named[len(named)-1]]
		w.refused(t, "the other organization's id before ours", ids, w.theirs.owner.session, http.StatusNotFound, "not_found")
	}
	if w.operation.Role == "" { // about what is somebody's own
		w.refused(t, "a colleague", w.ours.ids, w.ours.admin.session, http.StatusNotFound, "not_found")
	}
	nothing := maps.Clone(w.ours.ids)
	nothing[named[len(named)-1]] = "01890a5d-ac96-774b-bcce-b302099a8057"
	w.refused(t, "the owner, about what does not exist", nothing, w.ours.owner.session, http.StatusNotFound, "not_found")
}

// asLowerRoles calls as members of the organization who may not, and as programs of the owner that may not.
func (w *walk) asLowerRoles(t *testing.T) {
	t.Helper()
	role := tenant.Role(w.operation.Role)
	if role != "" && !tenant.Member.Allows(role) {
		w.refused(t, "a member", w.ours.ids, w.ours.member.session, http.StatusForbidden, "role_too_low")
	}
	if role != "" && !tenant.Admin.Allows(role) {
		w.refused(t, "an admin", w.ours.ids, w.ours.admin.session, http.StatusForbidden, "role_too_low")
	}
	switch w.operation.Scope {
	case "session":
		w.refused(t, "a program of the owner", w.ours.ids, w.ours.owner.adminToken, http.StatusForbidden, "scope_too_low")
	case "admin", "write":
		w.refused(t, "a program that may read", w.ours.ids, w.ours.owner.readToken, http.StatusForbidden, "scope_too_low")
	case "read":
	default:
		t.Errorf("its scope is %q", w.operation.Scope)
	}
}

// withoutCredential calls with none, and with those that were good once.
func (w *walk) withoutCredential(t *testing.T) {
	t.Helper()
	w.refused(t, "nobody", w.ours.ids, "", http.StatusUnauthorized, "unauthenticated")
	w.refused(t, "an API key", w.ours.ids, w.ours.key, http.StatusUnauthorized, "unauthenticated")
	session, token := w.ours.revoked(t)
	w.refused(t, "a session that is over", w.ours.ids, session, http.StatusUnauthorized, "unauthenticated")
	w.refused(t, "a token that is revoked", w.ours.ids, token, http.StatusUnauthorized, "unauthenticated")
}

// TestTenancy_OfListsWithoutIDs calls everything that is read without an id, and looks for what is others'.
func TestTenancy_OfListsWithoutIDs(t *testing.T) {
	t.Parallel()
	p := start(t, newHome(t))
	db, err := pgxpool.New(t.Context(), p.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ours, theirs := newTenant(t, p, db), newTenant(t, p, db)
	for _, o := range operations(t, p.URL) {
		if o.method != http.MethodGet || len(o.named()) > 0 {
			continue
		}
		if o.Role == "operator" {
			operatorOnly(t, p, ours, o)
			continue
		}
		status, _, text := call(t, o.method, p.URL+o.path, theirs.owner.session, "")
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", o.path, status, text)
		}
		for what, id := range ours.ids {
			if strings.Contains(text, id) {
				t.Errorf("%s shows the %s of others: %s", o.path, what, text)
			}
		}
		if status, _, _ := call(t, o.method, p.URL+o.path, "", ""); status != http.StatusUnauthorized {
			t.Errorf("%s without a credential: %d", o.path, status)
		}
	}
	// An organization's lists show nothing of others either.
	for _, o := range operations(t, p.URL) {
		if named := o.named(); o.method != http.MethodGet || len(named) != 1 {
			continue
		}
		_, _, text := call(t, o.method, p.URL+o.address(t, theirs.ids), theirs.owner.session, "")
		for what, id := range ours.ids {
			if strings.Contains(text, id) {
				t.Errorf("%s shows the %s of others: %s", o.path, what, text)
			}
		}
		if !strings.Contains(text, `"id"`) && !strings.Contains(text, `_id"`) && !strings.Contains(text, `"items":[]`) {
			t.Errorf("%s: %s", o.path, fmt.Sprintf("%.200s", text))
		}
	}
}
