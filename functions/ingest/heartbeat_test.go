package ingest

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/secret"
)

// heartbeatToken makes a heartbeat and returns its token.
func (h *harness) heartbeatToken() string {
	h.t.Helper()
	var token string
	err := postgres.InTx(h.t.Context(), h.db.Pool(h.t, pgtest.App), func(tx postgres.Tx) (err error) {
		_, token, err = monitor.Keeper{}.Create(h.t.Context(), tx, h.project.OrganizationID, monitor.Spec{
			Name: "backup", Kind: monitor.Heartbeat, Config: monitor.Config{Heartbeat: &monitor.HeartbeatConfig{}},
		}, time.Now())
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// checkIns returns the check-ins that are stored, in their order, as the query shows them.
func (h *harness) checkIns(show string) string {
	h.t.Helper()
	var out string
	err := h.db.Pool(h.t, pgtest.App).QueryRow(h.t.Context(), `select coalesce(string_agg(`+show+`, ', ' order by received_at, id), '') from mesher.check_ins`).Scan(&out)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// call calls a heartbeat as curl does.
func (h *harness) call(method, path, body string) (status int, text string) {
	h.t.Helper()
	var content io.Reader = http.NoBody
	if body != "" {
		content = strings.NewReader(body)
	}
	r := h.raw(method, path, content)
	if r.status == http.StatusServiceUnavailable && r.header.Get("Retry-After") == "" {
		h.t.Error("503 without Retry-After")
	}
	return r.status, r.body
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, tt := range []struct {
		method, suffix, body string
		status               int
		stored               string
	}{
		{"GET", "", "", 200, "ok"},
		{"HEAD", "/", "", 200, "ok"},
		{"POST", "", "what the job printed", 200, "ok"},
		{"POST", "/start", "", 200, "in_progress"},
		{"GET", "/fail", "", 200, "error"},
		{"GET", "?status=in_progress", "", 200, "in_progress"},
		{"GET", "?status=ok", "", 200, "ok"},
		{"GET", "?status=error", "", 200, "error"},
		{"GET", "?status=done", "", 400, ""},
		{"GET", "/stop", "", 400, ""},
		{"GET", "/start?status=ok", "", 400, ""},
		{"PUT", "", "", 405, ""},
		{"POST", "", strings.Repeat("a", heartbeatBody+1), 413, ""},
	} {
		token := h.heartbeatToken()
		before := h.checkIns("status")
		status, text := h.call(tt.method, HeartbeatPath+token+tt.suffix, tt.body)
		if status != tt.status {
			t.Errorf("%s %s: %d %s", tt.method, tt.suffix, status, text)
		}
		got := strings.TrimPrefix(strings.TrimPrefix(h.checkIns("status"), before), ", ")
		if got != tt.stored {
			t.Errorf("%s %s: stored %q, want %q", tt.method, tt.suffix, got, tt.stored)
		}
		if strings.Contains(h.log.String(), token) {
			t.Fatal("the token is logged")
		}
	}
	whole := secret.Heartbeat.New()
	for name, path := range map[string]string{
		"no token": "", "an unknown token": whole, "a part of a token": whole[:20], "an API key": h.key, "a token with a typing error": whole[:len(whole)-1] + "!",
	} {
		for range 2 {
			if status, text := h.call("GET", HeartbeatPath+path, ""); status != http.StatusUnauthorized || !strings.Contains(text, "unauthenticated") || len(path) > 5 && strings.Contains(text, path) {
				t.Errorf("%s: %d %s", name, status, text)
			}
		}
	}
	if strings.Contains(h.log.String(), whole) {
		t.Error("an unknown token is logged")
	}
}

// A job that calls in a loop, or from many machines, costs a row a second.
func TestHeartbeat_Flood(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	h.now = func() time.Time { return time.Date(2026, 5, 4, 12, 0, 0, 500_000_000, time.UTC) }
	token := h.heartbeatToken()
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if status, text := h.call("POST", HeartbeatPath+token, ""); status != http.StatusOK {
				t.Errorf("%d %s", status, text)
			}
		})
	}
	wg.Wait()
	if got := h.checkIns("status"); got != "ok" {
		t.Errorf("stored %s", got)
	}
}

func TestHeartbeat_WithoutDatabase(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	token := h.heartbeatToken()
	gone, err := postgres.Open(t.Context(), postgres.Config{URL: "postgres://a:b@127.0.0.1:1/c", PoolSize: 1, ConnectTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gone.Close)
	h.beats, h.Function.checkIns = newBeats(gone, h.cfg), newCheckIns(gone, h.cfg)
	if status, text := h.call("GET", HeartbeatPath+token, ""); status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", status, text)
	}
	r := h.raw("POST", h.envelopePath(), strings.NewReader(checkInEnvelope(`{"monitor_slug":"a","status":"ok"}`)), "X-Mesher-Key", h.key)
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
		t.Errorf("a check-in: %d %s", r.status, r.body)
	}
	if got := h.checkIns("status"); got != "" {
		t.Errorf("stored %s", got)
	}
}

func checkInEnvelope(payloads ...string) string {
	out := "{}\n"
	for _, p := range payloads {
		out += `{"type":"check_in"}` + "\n" + p + "\n"
	}
	return out
}

func TestCheckIns(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	send := func(body string) reply {
		t.Helper()
		return h.raw("POST", h.envelopePath(), strings.NewReader(body), "X-Mesher-Key", h.key)
	}
	const id = `"check_in_id":"83a7c03ed0a04e1b97e2e3b18d38f244"`
	begin := `{` + id + `,"monitor_slug":"Nightly Backup","status":"in_progress","environment":"staging","monitor_config":{` +
		`"schedule":{"type":"crontab","value":"0 3 * * *"},"checkin_margin":5,"max_runtime":30,"timezone":"Europe/Berlin","failure_issue_threshold":700,"recovery_threshold":2}}`
	end := `{` + id + `,"monitor_slug":"nightly-backup","status":"error","duration":12.5,"environment":"staging"}`
	if r := send(checkInEnvelope(begin)); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for range 2 { // the second time is a client that got no answer
		if r := send(checkInEnvelope(begin, end)); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	want := `in_progress nightly-backup staging 83a7c03e-d0a0-4e1b-97e2-e3b18d38f244 0 {"cron": "0 3 * * *", "grace_s": 300, "failures": 20, "timezone": "Europe/Berlin", "recoveries": 2, "max_runtime_s": 1800}, ` +
		`error nightly-backup staging 83a7c03e-d0a0-4e1b-97e2-e3b18d38f244 12500 none`
	if got := h.checkIns("concat_ws(' ', status, slug, environment, check_in_id, duration_ms, coalesce(config::text, 'none'))"); got != want {
		t.Errorf("stored %s\nwant   %s", got, want)
	}
	// What cannot be read is counted and refuses nothing: neither the other check-ins nor the event.
	body := checkInEnvelope(`{"monitor_slug":"a","status":"ok"}`, `not json`, `{"status":"ok"}`, `{"monitor_slug":"a","status":"missed"}`, `{"monitor_slug":"!!!","status":"ok"}`) +
		`{"type":"event"}` + "\n" + `{"message":"disk full"}` + "\n"
	if r := send(body); r.status != http.StatusOK || len(h.bus.events(t)) != 1 {
		t.Errorf("%d %s, %d events", r.status, r.body, len(h.bus.events(t)))
	}
	if got := h.checkIns("slug"); got != "nightly-backup, nightly-backup, a" {
		t.Errorf("stored %s", got)
	}
	h.usage.flush(t.Context(), h.now())
	var sent, refused int
	err := h.db.Pool(t, pgtest.App).QueryRow(t.Context(), `select coalesce(sum(items) filter (where type = 'check_in'), 0),
		coalesce(sum(items) filter (where type = 'check_in_refused'), 0) from mesher.usage_items`).Scan(&sent, &refused)
	if err != nil || sent != 10 || refused != 4 {
		t.Errorf("%d counted, %d as refused, %v", sent, refused, err)
	}
}

// TestCheckIns_ThroughTheTunnel takes a check-in whose key is in the envelope.
func TestCheckIns_ThroughTheTunnel(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	body := `{"dsn":"` + h.dsn() + `"}` + strings.TrimPrefix(checkInEnvelope(`{"monitor_slug":"a","status":"ok"}`), "{}")
	if r := h.raw("POST", "/tunnel", strings.NewReader(body)); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if got := h.checkIns("slug || ' ' || environment"); got != "a production" {
		t.Errorf("stored %s", got)
	}
}
