package ingest

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
)

// TestIngest_Scrubs sends the same secret in every format.
func TestIngest_Scrubs(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	const secret = "hunter2hunter2"
	query := "?sentry_key=" + h.key
	extra := `"extra":{"password":"` + secret + `"},"request":{"headers":{"Authorization":"Bearer ` + secret + `"}}`
	sentryBody := `{"message":"login with password=` + secret + ` failed","level":"error","timestamp":1769860799,` + extra + `}`
	logBody := strings.ReplaceAll(logsJSON(17), "severity 17", "login with password="+secret+" failed")
	for _, tt := range []struct{ name, path, body, kind string }{
		{"native", Path + "?api_key=" + h.key, sentryBody, ""},
		{"envelope", h.envelopePath() + query, "{}\n{\"type\":\"event\"}\n" + sentryBody, ""},
		{"store", "/api/" + h.number() + "/store/" + query, sentryBody, ""},
		{"tunnel", "/tunnel", `{"dsn":"` + h.dsn() + "\"}\n{\"type\":\"event\"}\n" + sentryBody, ""},
		{"logs", "/v1/logs?api_key=" + h.key, logBody, inJSON},
	} {
		before := h.bus.events(t)
		if a := h.raw(http.MethodPost, tt.path, strings.NewReader(tt.body), "Content-Type", tt.kind); a.status/100 != 2 {
			t.Fatalf("%s: %+v", tt.name, a)
		}
		n := 0
		for id, e := range h.bus.events(t) {
			if _, ok := before[id]; ok {
				continue
			}
			n++
			if line := e.AppendLine(nil); bytes.Contains(line, []byte(secret)) {
				t.Errorf("%s: published %s", tt.name, line)
			}
			if !strings.Contains(e.Title, "password=[Filtered]") || !bytes.Contains(e.Meta, []byte("scrubbed")) {
				t.Errorf("%s: title %q, meta %s", tt.name, e.Title, e.Meta)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d events", tt.name, n)
		}
	}
}

func TestIngest_FillsInTheAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, hops, user, want string }{
		{"what the proxy saw", "1", `{"ip_address":"{{auto}}","id":"7"}`, `{"ip_address":"203.0.113.5","id":"7"}`},
		{"the connection's", "0", `{"id":"7","ip_address":"{{auto}}"}`, `{"id":"7","ip_address":"127.0.0.1"}`},
		{"another proxy before", "2", `{"ip_address":"{{auto}}"}`, `{"ip_address":"6.6.6.6"}`},
		{"what the client says", "1", `{"ip_address":"9.9.9.9"}`, `{"ip_address":"9.9.9.9"}`},
		{"elsewhere it is text", "1", `{"name":"{{auto}}"}`, `{"name":"{{auto}}"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := start(t, map[string]string{"FORWARDED_HOPS": tt.hops})
			a := h.raw(http.MethodPost, h.envelopePath()+"?sentry_key="+h.key,
				strings.NewReader("{}\n{\"type\":\"event\"}\n{\"message\":\"a\",\"user\":"+tt.user+"}"), "X-Forwarded-For", "6.6.6.6, 203.0.113.5")
			for _, e := range h.bus.events(t) {
				if string(e.UserInfo) != tt.want {
					t.Errorf("user %s, want %s", e.UserInfo, tt.want)
				}
			}
			if a.status != http.StatusOK || len(h.bus.events(t)) != 1 {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestIntake_AddressIsScrubbedLikeOneThatWasSent(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{`{"defaults":true,"ips":true}`, `{"remove":["user.ip_address"]}`} {
		s, err := compileScrubbing([]byte(rules))
		if err != nil {
			t.Fatal(err)
		}
		in := &intake{from: &http.Request{RemoteAddr: "203.0.113.5:80"}, treat: treatment{scrubbing: s, scrubber: s.policy.NewScrubber()}}
		e := event.Event{Message: "a", UserInfo: []byte(`{"ip_address":"{{auto}}","id":"7"}`)}
		in.fillAddress(&e)
		if !bytes.Contains(e.UserInfo, []byte("203.0.113.5")) {
			t.Errorf("filled in: %s", e.UserInfo)
		}
		if in.treat.apply(&e); bytes.Contains(e.UserInfo, []byte("203.0.113.5")) || !bytes.Contains(e.UserInfo, []byte(`"id":"7"`)) {
			t.Errorf("%s leaves %s", rules, e.UserInfo)
		}
	}
	in := &intake{from: &http.Request{RemoteAddr: "@"}}
	e := event.Event{UserInfo: []byte(`{"ip_address":"{{auto}}","id":"7"}`)}
	if in.fillAddress(&e); string(e.UserInfo) != `{"id":"7"}` {
		t.Errorf("without an address: %s", e.UserInfo)
	}
}

func TestCompiled(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := newCompiled(slog.New(slog.NewTextHandler(&log, nil)), compileScrubbing)
	get := func(text string) *scrubbing {
		t.Helper()
		s, err := c.of(t.Context(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	none, ips := get(""), get(`{"ips":true}`)
	if none == ips || get("") != none || get(`{"ips":true}`) != ips {
		t.Error("a text is not compiled once")
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", log.String())
	}
	e := event.Event{Extra: []byte(`{"password":"hunter2"}`)}
	for range 2 {
		get(`{"extra_patterns":["("]}`).policy.NewScrubber().Scrub(&e)
	}
	if string(e.Extra) != `{"password":"[Filtered]"}` || strings.Count(log.String(), "level=ERROR") != 1 {
		t.Errorf("with rules that are none: %s, logged %s", e.Extra, log.String())
	}
	for i := range rulesMost + 1 {
		get(`{"remove":["extra.` + strings.Repeat("x", i%190+1) + `"],"ips":` + map[bool]string{true: "true", false: "false"}[i%2 == 0] + strings.Repeat(" ", i) + `}`)
	}
	if n := len(c.known); n > rulesMost {
		t.Errorf("%d are remembered", n)
	}
}

func TestTreatment_GroupsByTheRulesOfTheProject(t *testing.T) {
	t.Parallel()
	rules, err := compileGrouping([]byte(`[{"matchers":[{"field":"message","pattern":"*timeout*"}],"fingerprint":["timeouts"],"title":"Timeouts"}]`))
	if err != nil {
		t.Fatal(err)
	}
	s, err := compileScrubbing(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, rules := range map[string]*grouping.Rules{"with": rules, "without": nil} {
		treat := treatment{project: uuid.New(), scrubbing: s, scrubber: s.policy.NewScrubber(), grouping: rules}
		one, other := event.Event{Message: "read timeout of cart"}, event.Event{Message: "write timeout of shop"}
		treat.apply(&one)
		treat.apply(&other)
		if same := one.Fingerprint == other.Fingerprint; same != (rules != nil) || (one.Title == "Timeouts") != same {
			t.Errorf("%s rules: %+v %+v", name, one, other)
		}
	}
	if none, err := compileGrouping([]byte("[]")); none != nil || err != nil {
		t.Errorf("no rules: %v %v", none, err)
	}
}
