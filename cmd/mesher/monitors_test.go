package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// TestMonitors has a laptop's platform watch a website, a job and itself: made over the API, called over HTTP, looked at when
// its scheduler calls Probe.
func TestMonitors(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	p := start(t, home)
	db, err := pgxpool.New(t.Context(), p.DatabaseURL)
	fatal(t, err)
	defer db.Close()
	f := newTenant(t, p, db)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "very-secret" {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprint(w, `{"status":"up"}`)
	}))
	defer site.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	fatal(t, err)
	gone := closed.Addr().(*net.TCPAddr).Port
	fatal(t, closed.Close())

	path := "/api/v1/organizations/" + f.ids["organization_id"] + "/monitors"
	id := func(made map[string]any) string { return made["monitor"].(map[string]any)["id"].(string) }
	good := id(f.create(t, path, fmt.Sprintf(`{"name":"site","kind":"http","config":{"http":{"url":"%s/health","json_conditions":[{"name":"$.status","op":"equals","value":"up"}]}},
		"secrets":{"headers":{"X-Key":"very-secret"}}}`, site.URL)))
	bad := id(f.create(t, path, fmt.Sprintf(`{"name":"gone","kind":"tcp","failures":1,"config":{"tcp":{"host":"127.0.0.1","port":%d}}}`, gone)))
	job := f.create(t, path, `{"name":"backup","kind":"heartbeat","interval_s":3600,"config":{"heartbeat":{"grace_s":60}}}`)
	for _, suffix := range []string{"/start", ""} {
		if code, err := status(p.URL + job["path"].(string) + suffix); err != nil || code != http.StatusOK {
			t.Fatalf("the heartbeat is answered %d, %v", code, err)
		}
	}
	if code, err := status(p.URL + strings.TrimSuffix(job["path"].(string), "0") + "x"); err != nil || code != http.StatusUnauthorized {
		t.Errorf("another token is answered %d, %v", code, err)
	}
	if out, code := runProgram(t, home, "jobs", "run", "probe"); code != 0 {
		t.Fatalf("mesher jobs run probe ends with %d:\n%s", code, out)
	}
	for monitor, want := range map[string]string{good: "healthy", bad: "down", id(job): "healthy"} {
		wait(t, "a monitor is "+want, func() bool {
			_, _, text := call(t, http.MethodGet, p.URL+path+"/"+monitor, f.member.session, "")
			return strings.Contains(text, `"status":"`+want+`"`)
		})
	}
	_, _, text := call(t, http.MethodGet, p.URL+path+"/"+bad+"/checks", f.member.session, "")
	if !strings.Contains(text, `"code":"connect"`) {
		t.Errorf("its looks are %s", text)
	}
	// The platform's own parts are watched in the first organization.
	wait(t, "the platform's parts are looked at", func() bool {
		var n int
		fatal(t, db.QueryRow(t.Context(), `select count(*) from mesher.monitors where kind = 'platform' and status = 'healthy'`).Scan(&n))
		return n >= 4
	})
	out, code := runProgram(t, home, "monitors")
	if code != 0 || !strings.Contains(out, "Mesher: database") || strings.Contains(out, "backup") {
		t.Errorf("mesher monitors ends with %d:\n%s", code, out)
	}
	out, code = runProgram(t, home, "monitors", "-project", f.ids["project_id"])
	if code != 0 || !strings.Contains(out, "gone: no connection could be made") || !strings.Contains(out, "backup") || strings.Contains(out, "Mesher: database") {
		t.Errorf("mesher monitors of a project ends with %d:\n%s", code, out)
	}
}
