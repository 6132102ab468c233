package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/logging"
	"github.com/mesherhq/mesher/shared/web"
)

// serve starts a server of one handler and returns its address and its log.
func serve(t *testing.T, f web.HandlerFunc) (*httptest.Server, *lockedBuffer) {
	t.Helper()
	log := new(lockedBuffer)
	s := httptest.NewServer(web.Handler(logging.New(log, slog.LevelDebug, "proj"), f))
	t.Cleanup(s.Close)
	return s, log
}

// get sends a GET with headers in pairs.
func get(t *testing.T, s *httptest.Server, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestHandler_AnswersProblems(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp 10.0.0.1:5432: secret cause")
	for _, tt := range []struct {
		name       string
		err        error
		status     int
		retryAfter string
		want       map[string]any
		says       string // as it stands there
	}{
		{
			name: "with what the client should fix", err: fault.Wrap(cause, fault.Invalid, "level is %q", "bad"), status: 400,
			want: map[string]any{
				"type": "about:blank", "title": "Bad Request", "status": 400.0, "code": "invalid", "detail": `level is "bad"`,
			},
		},
		{
			name: "with when to come back, rounded up", status: 503, retryAfter: "3",
			err: fmt.Errorf("ingest: %w", fault.New(fault.Unavailable, "busy").After(2100*time.Millisecond)),
			want: map[string]any{
				"type": "about:blank", "title": "Service Unavailable", "status": 503.0, "code": "unavailable", "detail": "busy",
			},
		},
		{
			name: "with a code of its own", err: fault.Wrap(cause, fault.Conflict, "taken").Named("slug_taken"), status: 409,
			want: map[string]any{
				"type": "about:blank", "title": "Conflict", "status": 409.0, "code": "slug_taken", "detail": "taken",
			},
		},
		{
			name: "readable in a terminal", err: fault.New(fault.Invalid, "Anna & <b@example.com>"), status: 400, says: `"Anna & <b@example.com>"`,
			want: map[string]any{
				"type": "about:blank", "title": "Bad Request", "status": 400.0, "code": "invalid", "detail": "Anna & <b@example.com>",
			},
		},
		{
			name: "with nothing of an error that nobody classified", err: fmt.Errorf("query: %w", cause), status: 500,
			want: map[string]any{
				"type": "about:blank", "title": "Internal Server Error", "status": 500.0, "code": "internal",
				"detail": "something went wrong on our side; it is logged",
			},
		},
		{
			name: "with fields of their own, which cannot displace the standard ones", status: 413,
			err: &web.Problem{
				Err:   fault.New(fault.TooLarge, "too much"),
				Extra: map[string]any{"rejected": []int{1, 2}, "status": 200, "code": "fine"},
			},
			want: map[string]any{
				"type": "about:blank", "title": "Request Entity Too Large", "status": 413.0, "code": "too_large", "detail": "too much",
				"rejected": []any{1.0, 2.0},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, log := serve(t, func(http.ResponseWriter, *http.Request) error { return tt.err })
			resp, body := get(t, s, "/path")
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != "application/problem+json" ||
				resp.Header.Get("Retry-After") != tt.retryAfter {
				t.Errorf("status %d, headers %v", resp.StatusCode, resp.Header)
			}
			if !strings.Contains(body, tt.says) {
				t.Errorf("%s, want %s", body, tt.says)
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
			if strings.Contains(body, "secret cause") {
				t.Errorf("the cause is shown: %s", body)
			}
			// A client's own error may repeat what the client sent, which is nothing for the log.
			ours := fault.KindOf(tt.err).Level() > slog.LevelInfo
			if logged := strings.Contains(log.String(), "secret cause"); errors.Is(tt.err, cause) && logged != ours {
				t.Errorf("the cause is logged: %v, want %v: %s", logged, ours, log)
			}
		})
	}
}

func TestHandler_Panics(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	release := make(chan struct{})
	s, log := serve(t, func(w http.ResponseWriter, r *http.Request) error {
		switch r.URL.Path {
		case "/panic":
			panic("of secret cause")
		case "/error":
			panic(errors.New("secret cause"))
		case "/odd":
			panic([]int{1}) // cannot be compared
		case "/index":
			_ = []int{}[len(r.URL.Path)]
		case "/abort":
			panic(http.ErrAbortHandler)
		}
		<-release
		return web.JSON(w, http.StatusOK, "fine")
	})
	// One request is in flight while others panic.
	wg.Go(func() {
		if resp, body := get(t, s, "/fine"); resp.StatusCode != http.StatusOK || body != "\"fine\"\n" {
			t.Errorf("the request next to it: %d %s", resp.StatusCode, body)
		}
	})
	for _, path := range []string{"/panic", "/error", "/odd", "/index"} {
		resp, body := get(t, s, path)
		if resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "secret") || strings.Contains(body, "goroutine") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	if _, err := s.Client().Get(s.URL + "/abort"); err == nil {
		t.Error("an aborted answer has to end the connection")
	}
	close(release)
	wg.Wait()
	if got := log.String(); !strings.Contains(got, "secret cause") || !strings.Contains(got, "web_test.go") {
		t.Errorf("the panic's cause and stack are not logged: %s", got)
	}
}

func TestHandler_LogsNoSecrets(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		fault.New(fault.Unauthenticated, "the key is unknown"), errors.New("boom"), fault.New(fault.Unavailable, "away"),
	} {
		s, log := serve(t, func(http.ResponseWriter, *http.Request) error { return err })
		get(t, s, "/v1/events?api_key=mshr_topsecret", "Authorization", "Bearer mshr_topsecret", "X-Mesher-Key", "mshr_topsecret",
			"Cookie", "session=mshr_topsecret", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		line := log.String()
		if strings.Contains(line, "topsecret") {
			t.Errorf("a secret is logged: %s", line)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("not one line of JSON: %v: %s", err, line)
		}
		if got["path"] != "/v1/events" || got["logging.googleapis.com/trace"] != "projects/proj/traces/0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("log line = %v", got)
		}
	}
}

func TestJSON_ValueThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) error { return web.JSON(w, http.StatusOK, math.NaN()) })
	if resp, body := get(t, s, "/"); resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "NaN") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for in, want := range map[time.Duration]string{
		-time.Hour: "1", 0: "1", time.Nanosecond: "1", time.Second: "1", time.Second + 1: "2", time.Minute: "60",
	} {
		if got := web.RetryAfter(in); got != want {
			t.Errorf("RetryAfter(%s) = %q, want %q", in, got, want)
		}
	}
}
