package ingest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/pgtest"
)

// newProjectWith stores a project with a setting, given as SQL, and returns a key to it.
func (h *harness) newProjectWith(slug, set string) string {
	h.t.Helper()
	p, key := h.newProject(slug)
	if _, err := h.db.Pool(h.t, pgtest.Admin).Exec(h.t.Context(), "update mesher.projects set "+set+" where id = $1", p.ID); err != nil {
		h.t.Fatal(err)
	}
	return key
}

// published returns the events that were published since before.
func (h *harness) published(during func()) []event.Event {
	h.t.Helper()
	before := h.bus.events(h.t)
	during()
	var out []event.Event
	for id, e := range h.bus.events(h.t) {
		if _, ok := before[id]; !ok {
			out = append(out, e)
		}
	}
	return out
}

func TestSettings_AllowedOrigins(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	key := h.newProjectWith("pages", "allowed_origins = '{https://shop.example,https://*.shop.example}'")
	for origin, allowed := range map[string]bool{
		"": true, "https://shop.example": true, "https://eu.shop.example": true,
		"http://shop.example": false, "https://shop.example.evil": false, "null": false,
	} {
		headers := []string{"X-Mesher-Key", key, "Content-Type", inJSON}
		if origin != "" {
			headers = append(headers, "Origin", origin)
		}
		for path, body := range map[string]string{
			Path: good, "/v1/logs": logsJSON(17),
			"/tunnel": strings.Replace(envelopeOf(), "{", `{"dsn":"https://`+key+`@errors.example/2",`, 1),
		} {
			var a reply
			n := len(h.published(func() { a = h.raw(http.MethodPost, path, strings.NewReader(body), headers...) }))
			if (a.status/100 == 2) != allowed || (n == 1) != allowed || a.header.Get("Access-Control-Allow-Origin") != origin {
				t.Errorf("%s from %q: %+v, %d events", path, origin, a, n)
			}
			if !allowed && (a.status != http.StatusForbidden || !strings.Contains(a.body, "allowed origins")) {
				t.Errorf("%s from %q: %+v", path, origin, a)
			}
		}
	}
}

func TestSettings_OTLPSeverity(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	key := h.newProjectWith("logs", "otlp_severity = 13")
	got := h.published(func() {
		h.raw(http.MethodPost, "/v1/logs", strings.NewReader(logsJSON(12, 13, 21)), "X-Mesher-Key", key, "Content-Type", inJSON)
	})
	if len(got) != 2 {
		t.Errorf("published %+v", got)
	}
}

func TestSettings_Rules(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	key := h.newProjectWith("rules", `scrub_rules = '{"ips": true, "remove": ["extra.cart"]}', grouping_rules = `+
		`'[{"matchers": [{"field": "message", "pattern": "* from *"}], "fingerprint": ["connections"], "title": "Connections"}]'`)
	body := `{"message":"refused from 203.0.113.5","level":"error","timestamp":1,"extra":{"cart":[1],"password":"kept"}}`
	got := h.published(func() { h.send(http.MethodPost, Path, strings.NewReader(body), "X-Mesher-Key", key) })
	if len(got) != 1 || got[0].Message != "refused from [Filtered]" || got[0].Title != "Connections" || string(got[0].Extra) != `{"password":"kept"}` {
		t.Errorf("published %+v", got)
	}
}
