package check

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/monitor"
)

func TestHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.Header.Get("X-Api-Key")+" "+string(body))
		fmt.Fprint(w, "all is well")
	})
	c := usual(t)
	got := c.Run(t.Context(), monitor.HTTP, monitor.Config{HTTP: &monitor.HTTPConfig{
		URL: s.URL + "/health?a=b#c", Method: http.MethodPost, Headers: []string{"X-Api-Key"}, Body: "ping",
		Header:   []monitor.Condition{{Name: "X-Seen", Op: monitor.Equals, Value: "POST s3cret-value ping"}},
		BodyText: []monitor.Condition{{Op: monitor.Contains, Value: "well"}},
	}}, monitor.Secrets{Headers: []string{"s3cret-value"}}, patient)
	want(t, got, monitor.Healthy, monitor.CodeOK)
	d := got.Details
	if d.HTTPStatus != 200 || d.Region != "test" || "http://"+d.Address != s.URL || d.ConnectMS <= 0 || d.FirstByteMS <= 0 || d.TLSMS != 0 || got.Latency <= 0 {
		t.Errorf("got %+v, latency %s", d, got.Latency)
	}
}

func TestHTTPStatus(t *testing.T) {
	t.Parallel()
	c := usual(t)
	for _, x := range []struct {
		status   int
		expected []string
		code     string
	}{
		{200, nil, monitor.CodeOK},
		{204, nil, monitor.CodeOK},
		{404, nil, monitor.CodeStatus},
		{500, nil, monitor.CodeStatus},
		{302, nil, monitor.CodeStatus},
		{302, []string{"3xx"}, monitor.CodeOK},
		{404, []string{"200", "404"}, monitor.CodeOK},
		{299, []string{"200-299"}, monitor.CodeOK},
		{300, []string{"200-299"}, monitor.CodeStatus},
		{503, []string{"5xx"}, monitor.CodeOK},
		{200, []string{"ok"}, monitor.CodeConfiguration},
		{200, []string{"9xx"}, monitor.CodeConfiguration},
		{200, []string{"299-200"}, monitor.CodeConfiguration},
	} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(x.status)
		})
		got := c.get(t, s.URL, func(h *monitor.HTTPConfig) { h.Statuses = x.expected })
		if got.Details.Code != x.code || got.Details.HTTPStatus != x.status {
			t.Errorf("%d, expected %v: got %s (%s)", x.status, x.expected, got.Details.Code, got.Details.Error)
		}
	}
}

func TestHTTPConditions(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Many"] = []string{"a", "b"}
		w.Header().Set("X-Version", "1.25")
		w.Header().Set("Set-Cookie", "session=private")
		fmt.Fprint(w, `{"status":"ok","n":12345678901234567890,"list":[{"name":"db","up":true},{"name":"queue","up":false}],"none":null,"e":"<a&b>","deep":{"a":[1]},"private":"tell nobody"}`)
	})
	c := usual(t)
	json := func(h *monitor.HTTPConfig, x monitor.Condition) { h.JSON = []monitor.Condition{x} }
	header := func(h *monitor.HTTPConfig, x monitor.Condition) { h.Header = []monitor.Condition{x} }
	body := func(h *monitor.HTTPConfig, x monitor.Condition) { h.BodyText = []monitor.Condition{x} }
	for _, x := range []struct {
		set      func(*monitor.HTTPConfig, monitor.Condition)
		name, op string
		value    string
		code     string
		text     string
	}{
		{json, "$.status", "equals", "ok", monitor.CodeOK, ""},
		{json, "$.status", "equals", "fine", monitor.CodeJSON, `$.status is "ok", expected: equals "fine"`},
		{json, "$.status", "not_equals", "fine", monitor.CodeOK, ""},
		{json, "$.status", "not_equals", "ok", monitor.CodeJSON, `expected: not equals "ok"`},
		{json, "$.status", "matches", "^o.$", monitor.CodeOK, ""},
		{json, "$.status", "matches", "^x", monitor.CodeJSON, `expected: matches "^x"`},
		{json, "$.status", "matches", "(", monitor.CodeConfiguration, "not valid"},
		{json, "$.status", "matches", "(a{30}){30}", monitor.CodeConfiguration, "too large"},
		{json, "$.status", "exists", "", monitor.CodeOK, ""},
		{json, "$.status", "missing", "", monitor.CodeJSON, "expected: missing"},
		{json, "$.status", "greater", "1", monitor.CodeJSON, `expected: greater "1"`},
		{json, "$.status", "greater", "x", monitor.CodeConfiguration, "no number"},
		{json, "$.status", "like", "x", monitor.CodeConfiguration, "no operator"},
		{json, "$.gone", "missing", "", monitor.CodeOK, ""},
		{json, "$.gone", "exists", "", monitor.CodeJSON, "$.gone is missing, expected: exists"},
		{json, "$.gone", "not_equals", "x", monitor.CodeOK, ""},
		{json, "$.gone", "equals", "x", monitor.CodeJSON, "is missing"},
		{json, "$.n", "equals", "12345678901234567890", monitor.CodeOK, ""},
		{json, "$.n", "greater", "1e18", monitor.CodeOK, ""},
		{json, "$.n", "less", "1e18", monitor.CodeJSON, ""},
		{json, "$.none", "equals", "null", monitor.CodeOK, ""},
		{json, "$.e", "contains", "<a&b>", monitor.CodeOK, ""},
		{json, "$.list[0].up", "equals", "true", monitor.CodeOK, ""},
		{json, "$.list[?@.name == 'queue'].up", "equals", "true", monitor.CodeJSON, `is "false"`},
		{json, "$.list[*].up", "equals", "true", monitor.CodeOK, ""},
		{json, "$.list[*].up", "not_equals", "false", monitor.CodeJSON, "has 2 values, none of them right"},
		{json, "$..name", "equals", "queue", monitor.CodeOK, ""},
		{json, "$.deep", "equals", `{"a":[1]}`, monitor.CodeOK, ""},
		{json, "$", "equals", "x", monitor.CodeJSON, "$ is something else"}, // a part of the document is not shown
		{json, "$..*..*", "exists", "", monitor.CodeConfiguration, "one .. at most"},
		{json, "status", "exists", "", monitor.CodeConfiguration, "JSON path"},
		{header, "X-Version", "equals", "1.25", monitor.CodeOK, ""},
		{header, "x-version", "greater", "2", monitor.CodeHeader, `the header x-version is "1.25", expected: greater "2"`},
		{header, "X-Many", "equals", "b", monitor.CodeOK, ""},
		{header, "X-Gone", "exists", "", monitor.CodeHeader, "is missing"},
		{header, "Set-Cookie", "equals", "a=b", monitor.CodeHeader, "is something else"},
		{body, "", "contains", "queue", monitor.CodeOK, ""},
		{body, "", "contains", "error", monitor.CodeBody, `the body is something else, expected: contains "error"`},
		{body, "", "not_contains", "queue", monitor.CodeBody, "expected: not contains"},
		{body, "", "exists", "", monitor.CodeOK, ""},
		{body, "", "missing", "", monitor.CodeBody, "expected: missing"},
		{body, "", "matches", `"up":\s*false`, monitor.CodeOK, ""},
	} {
		got := c.get(t, s.URL, func(h *monitor.HTTPConfig) {
			x.set(h, monitor.Condition{Name: x.name, Op: monitor.Operator(x.op), Value: x.value})
		})
		if got.Details.Code != x.code || !strings.Contains(got.Details.Error, x.text) || got.Status != monitor.Healthy && got.Status != monitor.Down {
			t.Errorf("%s %s %q: got %s %s (%s), want %s (%s)", x.name, x.op, x.value, got.Status, got.Details.Code, got.Details.Error, x.code, x.text)
		}
		for _, private := range []string{"tell nobody", "private"} {
			if strings.Contains(got.Details.Error, private) {
				t.Errorf("%s: the text shows what is private: %s", x.name, got.Details.Error)
			}
		}
	}
}

func TestHTTPBodies(t *testing.T) {
	t.Parallel()
	c := usual(t)
	large := strings.Repeat("a", 70<<10)
	for name, x := range map[string]struct {
		encoding, body string
		change         func(*monitor.HTTPConfig)
		code           string
	}{
		"no JSON":                 {"", "well", jsonStatus, monitor.CodeJSON},
		"two documents":           {"", `{"status":"ok"}{}`, jsonStatus, monitor.CodeJSON},
		"nested too deeply":       {"", strings.Repeat("[", 101) + strings.Repeat("]", 101), jsonStatus, monitor.CodeJSON},
		"nothing":                 {"", "", jsonStatus, monitor.CodeJSON},
		"white space around":      {"", " {\"status\": \"ok\"}\r\n", jsonStatus, monitor.CodeOK},
		"large, without":          {"", large, nil, monitor.CodeOK},
		"large, text":             {"", "ok" + large, func(h *monitor.HTTPConfig) { h.BodyText = []monitor.Condition{{Op: monitor.Contains, Value: "ok"}} }, monitor.CodeOK},
		"large, JSON":             {"", `{"status":"ok","a":"` + large + `"}`, jsonStatus, monitor.CodeTooLarge},
		"an encoding unknown":     {"br", "xx", jsonStatus, monitor.CodeEncoding},
		"an encoding, unneeded":   {"br", "xx", nil, monitor.CodeOK},
		"no encoding, named":      {"identity", `{"status":"ok"}`, jsonStatus, monitor.CodeOK},
		"compressed, but is not":  {"gzip", "plain text that is none", jsonStatus, monitor.CodeProtocol},
		"large, without a reader": {"", large, func(h *monitor.HTTPConfig) { h.Method = http.MethodHead }, monitor.CodeOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if x.encoding != "" {
					w.Header().Set("Content-Encoding", x.encoding)
				}
				_, _ = io.WriteString(w, x.body)
			})
			change := x.change
			if change == nil {
				change = func(*monitor.HTTPConfig) {}
			}
			if got := c.get(t, s.URL, change); got.Details.Code != x.code {
				t.Errorf("got %s (%s), want %s", got.Details.Code, got.Details.Error, x.code)
			}
		})
	}
}

func jsonStatus(h *monitor.HTTPConfig) {
	h.JSON = []monitor.Condition{{Name: "$.status", Op: monitor.Equals, Value: "ok"}}
}

func TestHTTPLatency(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for range 1 { // a fake that takes its time
			time.Sleep(50 * time.Millisecond)
		}
	})
	c := usual(t)
	want(t, c.get(t, s.URL, func(h *monitor.HTTPConfig) { h.DegradedAfterMS = 10 }), monitor.Degraded, monitor.CodeSlow, "more than 10 ms")
	want(t, c.get(t, s.URL, func(h *monitor.HTTPConfig) { h.DegradedAfterMS, h.DownAfterMS = 5, 20 }), monitor.Down, monitor.CodeSlow, "more than 20 ms")
	want(t, c.get(t, s.URL, func(h *monitor.HTTPConfig) { h.DegradedAfterMS, h.DownAfterMS = 60_000, 90_000 }), monitor.Healthy, monitor.CodeOK)
	want(t, c.get(t, s.URL, func(h *monitor.HTTPConfig) { h.DegradedAfterMS, h.Statuses = 10, []string{"404"} }), monitor.Down, monitor.CodeStatus)
}

func TestHTTPSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	// A server that sends back all that it got.
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		fmt.Fprintf(w, `{"auth":%q}`, r.Header.Get("Authorization"))
	})
	c := usual(t)
	secrets := monitor.Secrets{Headers: []string{"Bearer " + secret}}
	for _, h := range []monitor.HTTPConfig{
		{JSON: []monitor.Condition{{Name: "$.auth", Op: monitor.Equals, Value: "x"}}},
		{Header: []monitor.Condition{{Name: "X-Echo", Op: monitor.Equals, Value: "x"}}},
		{BodyText: []monitor.Condition{{Op: monitor.Equals, Value: "x"}}},
		{Statuses: []string{"500"}},
	} {
		h.URL, h.Headers = s.URL, []string{"Authorization"}
		got := c.Run(t.Context(), monitor.HTTP, monitor.Config{HTTP: &h}, secrets, patient)
		if text := fmt.Sprintf("%+v", got); got.Status != monitor.Down || strings.Contains(text, "hunter2") {
			t.Errorf("got %s", text)
		}
	}
	// Neither is it in the text of a request that cannot be made.
	for _, name := range []string{"Metadata-Flavor", "Host", "Bad\nName"} {
		h := monitor.HTTPConfig{URL: s.URL, Headers: []string{name}}
		got := c.Run(t.Context(), monitor.HTTP, monitor.Config{HTTP: &h}, secrets, patient)
		want(t, got, monitor.Down, monitor.CodeRefusedHeader)
		if strings.Contains(got.Details.Error, "hunter2") {
			t.Errorf("got %s", got.Details.Error)
		}
	}
	h := monitor.HTTPConfig{URL: s.URL, Headers: []string{"A", "B"}}
	want(t, c.Run(t.Context(), monitor.HTTP, monitor.Config{HTTP: &h}, secrets, patient), monitor.Down, monitor.CodeConfiguration)
	// URLs hold secrets as well.
	got := c.get(t, "http://127.0.0.1:1/?token="+secret)
	want(t, got, monitor.Down, monitor.CodeConnect, "nothing listens there")
	if strings.Contains(got.Details.Error, "hunter2") {
		t.Errorf("got %s", got.Details.Error)
	}
}

func TestHTTPRedirects(t *testing.T) {
	t.Parallel()
	c := usual(t)
	for name, x := range map[string]struct {
		to   string
		most int
		code string
	}{
		"none is followed":    {"/well", 0, monitor.CodeStatus},
		"one is":              {"/well", 1, monitor.CodeOK},
		"without an end":      {"/", 5, monitor.CodeRedirect},
		"to metadata":         {"http://169.254.169.254/computeMetadata/v1/", 5, monitor.CodeRefusedAddress},
		"to metadata by name": {"http://metadata.google.internal/", 5, monitor.CodeRefusedAddress},
		"to a file":           {"file:///etc/passwd", 5, monitor.CodeRefusedURL},
		"to gopher":           {"gopher://127.0.0.1:70/_x", 5, monitor.CodeRefusedURL},
		"to a mail server":    {"http://127.0.0.1:25/", 5, monitor.CodeRefusedPort},
		"to nowhere":          {"http://[::1", 5, monitor.CodeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/well" {
					w.Header().Set("Location", x.to)
					w.WriteHeader(http.StatusFound)
				}
			})
			got := c.get(t, s.URL, func(h *monitor.HTTPConfig) { h.Redirects = x.most })
			if got.Details.Code != x.code {
				t.Errorf("got %s (%s), want %s", got.Details.Code, got.Details.Error, x.code)
			}
		})
	}
}

func TestHTTPConfiguration(t *testing.T) {
	t.Parallel()
	c := usual(t)
	for url, code := range map[string]string{
		"":                                  monitor.CodeRefusedURL,
		"://":                               monitor.CodeConfiguration,
		"ftp://127.0.0.1/":                  monitor.CodeRefusedURL,
		"http://user:pass@127.0.0.1/":       monitor.CodeRefusedURL,
		"http://169.254.169.254/":           monitor.CodeRefusedAddress,
		"http://2130706433/":                monitor.CodeRefusedAddress,
		"http://10.0.0.1/":                  monitor.CodeRefusedAddress,
		"http://127.0.0.1:25/":              monitor.CodeRefusedPort,
		"http://127.0.0.1:99999/":           monitor.CodeRefusedPort,
		"http://metadata.google.internal/x": monitor.CodeRefusedAddress,
	} {
		got := c.get(t, url)
		if got.Status != monitor.Down || got.Details.Code != code || got.Latency != 0 {
			t.Errorf("%s: got %s %s (%s) after %s, want %s", url, got.Status, got.Details.Code, got.Details.Error, got.Latency, code)
		}
	}
	want(t, c.get(t, "http://127.0.0.1", func(h *monitor.HTTPConfig) { h.Method = "BAD METHOD" }), monitor.Down, monitor.CodeConfiguration)
	want(t, checker(t, settings(), Options{}).Run(t.Context(), monitor.HTTP, monitor.Config{}, monitor.Secrets{}, 0), monitor.Down, monitor.CodeConfiguration)
	want(t, checker(t, settings(), Options{}).Run(t.Context(), monitor.Heartbeat, monitor.Config{}, monitor.Secrets{}, 0), monitor.Down, monitor.CodeConfiguration)
}
