package ingest

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/sentry"
	"github.com/mesherhq/mesher/shared/tenant"
)

// reply is an answer as it came.
type reply struct {
	status int
	header http.Header
	body   string
}

// raw sends a request as it is, and follows no redirect.
func (h *harness) raw(method, path string, body io.Reader, headers ...string) reply {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := *h.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(b)}
}

func (h *harness) number() string { return strconv.FormatInt(h.project.Number, 10) }

func (h *harness) envelopePath() string { return "/api/" + h.number() + "/envelope/" }

func (h *harness) dsn() string {
	return "https://" + h.key + ":secret@errors.example/prefix/" + h.number()
}

// sentryEvent is an event as Sentry SDKs send it.
func sentryEvent(id, message string) string {
	return fmt.Sprintf(`{"event_id":%q,"message":%q,"level":"error","timestamp":1769860799.5}`, id, message)
}

const (
	idA = "aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbb4bbb8bbbbbbbbbbbbbbb"
)

// envelopeOf returns an envelope with one event.
func envelopeOf() string {
	return `{"event_id":"` + idA + "\"}\n{\"type\":\"event\"}\n" + sentryEvent(idA, "disk full")
}

func deny(context.Context, string) error { return statusPermissionDenied() }

// byEventID returns the published events by the clients' ids.
func (h *harness) byEventID() map[string]event.Event {
	out := map[string]event.Event{}
	for _, e := range h.bus.events(h.t) {
		out[strings.ReplaceAll(e.EventID.String(), "-", "")] = e
	}
	return out
}

func TestEnvelope_Ways(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	path, number := h.envelopePath(), h.number()
	auth := "Sentry sentry_version=7, sentry_client=sentry.go/0.50.0, sentry_key=" + h.key
	for i, tt := range []struct {
		name, path string
		headers    []string
	}{
		{"key in the query", path + "?sentry_version=7&sentry_key=" + h.key + "&sentry_client=x", nil},
		{"key in X-Sentry-Auth, last", path, []string{"X-Sentry-Auth", auth}},
		{"key in X-Sentry-Auth, first", path, []string{"X-Sentry-Auth", "Sentry sentry_key=" + h.key + ", sentry_secret=, sentry_timestamp=1.5"}},
		{"key in the native places", path, []string{"X-Mesher-Key", h.key}},
		{"key as a bearer token", path, []string{"Authorization", "Bearer " + h.key}},
		{"key in api_key", path + "?api_key=" + h.key, nil},
		{"a key besides what is meant for a proxy", path + "?sentry_key=" + h.key, []string{"Authorization", "Basic abc"}},
		{"no slash at the end", "/api/" + number + "/envelope?sentry_key=" + h.key, nil},
		{"a prefix", "/a/b-c/api/" + number + "/envelope/?sentry_key=" + h.key, nil},
		{"a slash too many", "//api/" + number + "/envelope/?sentry_key=" + h.key, nil},
		{"an empty Content-Encoding", path, []string{"X-Sentry-Auth", auth, "Content-Encoding", ""}},
		{"as a page sends it", path + "?sentry_key=" + h.key, []string{"Content-Type", "text/plain;charset=UTF-8", "Origin", "https://shop.example"}},
		{"as Go sends it", path, []string{"X-Sentry-Auth", auth, "Content-Type", "application/x-sentry-envelope"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := fmt.Sprintf("%032x", 0xabc0000+i)
			body := "{\"event_id\":\"" + id + "\"}\n{\"type\":\"event\"}\n" + sentryEvent(id, "disk full")
			for name, r := range map[string]io.Reader{"sized": strings.NewReader(body), "chunked": io.MultiReader(strings.NewReader(body))} {
				a := h.raw(http.MethodPost, tt.path, r, tt.headers...)
				if a.status != http.StatusOK || a.body != `{"id":"`+id+"\"}\n" || a.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: %+v", name, a)
				}
			}
			if e, ok := h.byEventID()[id]; !ok || e.Message != "disk full" || e.Title == "" || e.Fingerprint == uuid.Nil {
				t.Errorf("published %+v", e)
			}
		})
	}
	t.Run("gzip, chunked", func(t *testing.T) {
		a := h.raw(http.MethodPost, path+"?sentry_key="+h.key, io.MultiReader(strings.NewReader(gzipped(envelopeOf()))), "Content-Encoding", "gzip")
		if a.status != http.StatusOK || h.byEventID()[idA].Message != "disk full" {
			t.Errorf("%+v", a)
		}
	})
}

func TestEnvelope_Contents(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	post := func(body string) reply {
		return h.raw(http.MethodPost, h.envelopePath()+"?sentry_key="+h.key, strings.NewReader(body))
	}
	for _, tt := range []struct {
		name, body string
		status     int
		answer     string // part of it
		published  []string
	}{
		{"nothing but a header", "{}", 200, "{}\n", nil},
		{"a session alone", "{\"sent_at\":\"x\"}\n{\"type\":\"session\"}\n{\"sid\":\"1\"}", 200, "{}\n", nil},
		{"an unknown item alone", "{\"event_id\":\"" + idA + "\"}\n{\"type\":\"hologram\"}\n{}", 200, idA, nil},
		{"an attachment alone", "{\"event_id\":\"" + idA + "\"}\n{\"type\":\"attachment\",\"length\":5}\n\x00\n{}\xff\n", 200, idA, nil},
		{
			"an event among others", "{}\n{\"type\":\"session\"}\n{}\n{\"type\":\"hologram\",\"length\":3}\nabc\n{\"type\":\"event\"}\n" +
				sentryEvent("0000000000000000000000000000c001", "a") + "\n{\"type\":\"attachment\",\"length\":0}\n\n{\"type\":\"client_report\"}\n{}\n",
			200, "c001",
			[]string{"0000000000000000000000000000c001"},
		},
		{
			"a broken event before a good one", "{}\n{\"type\":\"event\"}\n{\"message\":\n{\"type\":\"event\"}\n" + sentryEvent("0000000000000000000000000000c002", "a"),
			200, "c002",
			[]string{"0000000000000000000000000000c002"},
		},
		{
			"lines that are nothing before a good event", "{}\nnonsense\nmore\n{\"type\":\"event\"}\n" + sentryEvent("0000000000000000000000000000c003", "a"),
			200, "c003",
			[]string{"0000000000000000000000000000c003"},
		},
		{
			"feedback", "{}\n{\"type\":\"feedback\"}\n{\"event_id\":\"0000000000000000000000000000c004\",\"contexts\":{\"feedback\":{\"message\":\"it hurts\"}}}",
			200, "c004",
			[]string{"0000000000000000000000000000c004"},
		},
		{"a broken event and a session", "{}\n{\"type\":\"event\"}\n[]\n{\"type\":\"session\"}\n{}", 200, "{}\n", nil},
		{"a broken event", "{}\n{\"type\":\"event\"}\n[]", 400, "must be a JSON object", nil},
		{"a large event", "{}\n{\"type\":\"event\"}\n{\"message\":\"" + strings.Repeat("x", 1<<20) + "\"}", 413, "the limit is", nil},
		{"nothing but lines that are nothing", "{}\nnonsense", 400, "no item", nil},
		{"no header", "nonsense", 400, "must begin with a line", nil},
		{"nothing", "", 400, "must begin with a line", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(h.bus.events(t))
			a := post(tt.body)
			if a.status != tt.status || !strings.Contains(a.body, tt.answer) {
				t.Errorf("%d %s, want %d with %s", a.status, a.body, tt.status, tt.answer)
			}
			if detail := a.header.Get("X-Sentry-Error"); (tt.status != http.StatusOK) != (detail != "") || strings.Contains(detail, "\n") {
				t.Errorf("X-Sentry-Error: %q", detail)
			}
			events := h.byEventID()
			for _, id := range tt.published {
				if _, ok := events[id]; !ok {
					t.Errorf("%s is not published", id)
				}
			}
			if n := len(h.bus.events(t)) - before; n != len(tt.published) {
				t.Errorf("%d events were published, want %d", n, len(tt.published))
			}
		})
	}
	t.Run("two events without ids are two", func(t *testing.T) {
		id := "0000000000000000000000000000c005"
		two := "{\"event_id\":\"" + id + "\"}\n" + strings.Repeat("{\"type\":\"event\"}\n{\"message\":\"a\"}\n", 2)
		before := len(h.byEventID())
		if a := post(two); a.status != http.StatusOK || !strings.Contains(a.body, id) {
			t.Errorf("%+v", a)
		}
		if n := len(h.byEventID()) - before; n != 2 {
			t.Errorf("%d different events", n)
		}
	})
	t.Run("a thousand items, the rest is not read", func(t *testing.T) {
		before := len(h.bus.events(t))
		var b strings.Builder
		b.WriteString("{}\n")
		for i := range 1001 {
			fmt.Fprintf(&b, "{\"type\":\"event\"}\n{\"event_id\":\"%032x\",\"message\":\"a\"}\n", 0xd0000+i)
		}
		if a := post(b.String()); a.status != http.StatusOK {
			t.Errorf("%+v", a)
		}
		if n := len(h.bus.events(t)) - before; n != 1000 {
			t.Errorf("%d events", n)
		}
	})
	t.Run("what could not be published", func(t *testing.T) {
		h.bus.say(deny)
		defer h.bus.say(nil)
		a := post(envelopeOf() + "\n{\"type\":\"session\"}\n{}")
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "5" || !strings.Contains(a.header.Get("X-Sentry-Error"), "could not be published") ||
			a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%+v", a)
		}
	})
}

func TestEnvelope_CountsItems(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	access, err := h.keys.access(t.Context(), h.key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := h.open(r, access)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	env, err := sentry.ReadEnvelope([]byte("{}\n{\"type\":\"session\"}\n{}\n{\"type\":\"event\"}\n" + sentryEvent(idA, "a") + "\n{\"type\":\"event\"}\n7\n" +
		"{\"type\":\"session\"}\n{}\n{\"type\":\"attachment\",\"length\":2}\nab\n{\"type\":\"x\"}\n{}\n{\"type\":\"y\"}\n{}\n" +
		"{\"type\":\"log\",\"item_count\":3}\n{\"items\":[{},{},{}]}\n{\"type\":\"span\",\"item_count\":1000000}\n{\"items\":[]}\nnonsense\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.read(t.Context(), in, nil, func(in *intake, _ []byte) error { return in.readEnvelope(env) }); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"session": 2, "attachment": 1, "unknown": 2, "log": 3, "span": 6}
	if diff := cmp.Diff(want, in.others); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if len(in.items) != 1 || in.usage.Rejected != 2 {
		t.Errorf("%d events, %d rejected", len(in.items), in.usage.Rejected)
	}
}

func TestEnvelope_WrongProject(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	other, _ := h.newProject("other")
	theirs := strconv.FormatInt(other.Number, 10)
	for _, path := range []string{
		"/api/" + theirs + "/envelope/", "/api/" + theirs + "/store/", "/x/api/0/envelope/", "/api/99999999999999999999/envelope/",
	} {
		a := h.raw(http.MethodPost, path+"?sentry_key="+h.key, strings.NewReader(envelopeOf()))
		if a.status != http.StatusForbidden || !strings.Contains(a.body, "is not of the project that the address names") ||
			strings.Contains(a.body, h.project.ID.String()) || strings.Contains(a.body, other.ID.String()) {
			t.Errorf("%s: %+v", path, a)
		}
	}
	for _, tt := range []struct{ path, header, detail string }{
		{"", "", "no API key"},
		{"?sentry_key=nonsense", "", "starts with mshr_"},
		{"?sentry_key=" + tenant.NewKey(), "", "unknown"},
		{"", "Sentry sentry_version=7", "sentry_key="},
	} {
		a := h.raw(http.MethodPost, h.envelopePath()+tt.path, strings.NewReader(envelopeOf()), "X-Sentry-Auth", tt.header)
		if a.status != http.StatusUnauthorized || !strings.Contains(a.body, tt.detail) || !strings.Contains(a.header.Get("X-Sentry-Error"), tt.detail) {
			t.Errorf("%+v: %+v", tt, a)
		}
	}
	if n := len(h.bus.events(t)); n != 0 {
		t.Errorf("%d events were published", n)
	}
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	other, _ := h.newProject("other")
	with := func(dsn string) string {
		return fmt.Sprintf("{\"event_id\":%q,\"dsn\":%q}\n{\"type\":\"event\"}\n%s\n", idA, dsn, sentryEvent(idA, "disk full"))
	}
	for _, path := range []string{"/tunnel", "/tunnel/", "/tunnel/a/b", "/shop/tunnel/"} {
		before := len(h.bus.events(t))
		a := h.raw(http.MethodPost, path, strings.NewReader(with(h.dsn())), "Content-Type", "text/plain;charset=UTF-8")
		if a.status != http.StatusOK || !strings.Contains(a.body, idA) || len(h.bus.events(t)) != before+1 {
			t.Errorf("%s: %+v", path, a)
		}
	}
	for _, tt := range []struct {
		name, body string
		status     int
		detail     string
	}{
		{"no DSN", envelopeOf(), 401, "must hold the dsn"},
		{"no DSN that can be read", with("ftp://x"), 400, "DSN must be an address"},
		{"no key in the DSN", with("https://errors.example/1"), 400, "no key"},
		{"an unknown key", with("https://" + tenant.NewKey() + "@errors.example/1"), 401, "unknown"},
		{"another project", with("https://" + h.key + "@errors.example/" + strconv.FormatInt(other.Number, 10)), 403, "not of the project"},
		{"no envelope", "nonsense", 400, "must begin with a line"},
		{"a broken event", fmt.Sprintf("{\"dsn\":%q}\n{\"type\":\"event\"}\n7", h.dsn()), 400, "must be a JSON object"},
	} {
		a := h.raw(http.MethodPost, "/tunnel?sentry_key="+h.key, strings.NewReader(tt.body), "X-Mesher-Key", h.key)
		if a.status != tt.status || !strings.Contains(a.body, tt.detail) || strings.Contains(a.body, h.key) {
			t.Errorf("%s: %+v", tt.name, a)
		}
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	path := "/api/" + h.number() + "/store/"
	post := func(body string, headers ...string) reply {
		return h.raw(http.MethodPost, path, strings.NewReader(body),
			append(headers, "X-Sentry-Auth", "Sentry sentry_key="+h.key+", sentry_version=5")...)
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = io.WriteString(z, sentryEvent(idB, "from raven"))
	_ = z.Close()
	for _, tt := range []struct {
		name, body string
		headers    []string
		id         string
		message    string
	}{
		{"JSON", sentryEvent(idA, "plain"), []string{"Content-Type", "application/json"}, idA, "plain"},
		{"JSON in gzip", gzipped(sentryEvent(idA, "python")), []string{"Content-Encoding", "gzip"}, idA, "python"},
		{"base64 of zlib", base64.StdEncoding.EncodeToString(packed.Bytes()), []string{"Content-Type", "application/octet-stream"}, idB, "from raven"},
		{"no type at all", sentryEvent(idB, "bare"), nil, idB, "bare"},
	} {
		a := post(tt.body, tt.headers...)
		if a.status != http.StatusOK || a.body != `{"id":"`+tt.id+"\"}\n" {
			t.Errorf("%s: %+v", tt.name, a)
		}
		found := false
		for _, e := range h.bus.events(t) {
			found = found || e.Message == tt.message
		}
		if !found {
			t.Errorf("%s: not published", tt.name)
		}
	}
	for body, detail := range map[string]string{
		"": "empty", "!": "base64", "aGVsbG8=": "zlib", `{"message":`: "not valid JSON", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`: "the limit",
	} {
		if a := post(body); a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge || !strings.Contains(a.body, detail) {
			t.Errorf("%.20q: %+v", body, a)
		}
	}
}

// TestIngest_HoldsNoBodyWhileItPublishes sends much that is no event, with one event.
func TestIngest_HoldsNoBodyWhileItPublishes(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	begun, release := make(chan struct{}), make(chan struct{})
	h.bus.say(func(context.Context, string) error { begun <- struct{}{}; <-release; return nil })
	much := strings.Repeat("x", 2<<20)
	for _, tt := range []struct{ path, body string }{
		{Path + "?api_key=" + h.key, good + strings.Repeat(" ", len(much))},
		{h.envelopePath() + "?sentry_key=" + h.key, envelopeOf() + "\n{\"type\":\"attachment\"}\n" + much},
		{"/tunnel", fmt.Sprintf("{\"dsn\":%q}\n{\"type\":\"attachment\"}\n%s\n{\"type\":\"event\"}\n%s", h.dsn(), much, sentryEvent(idA, "a"))},
	} {
		answered := make(chan int)
		go func() { answered <- h.raw(http.MethodPost, tt.path, strings.NewReader(tt.body)).status }()
		<-begun
		if held := h.shares.whole.Held(); held == 0 || held > 10_000 {
			t.Errorf("%.20s: %d bytes are held", tt.path, held)
		}
		release <- struct{}{}
		if status := <-answered; status/100 != 2 {
			t.Errorf("%.20s: status %d", tt.path, status)
		}
	}
}
