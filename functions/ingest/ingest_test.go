package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/local/pubsub"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestIngest_TakesTheKeyFromEveryPlace(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, tt := range []struct {
		name, path string
		headers    []string
	}{
		{"header", Path, []string{"X-Mesher-Key", h.key}},
		{"bearer token", Path, []string{"Authorization", "Bearer " + h.key}},
		{"bearer token, written otherwise", Path, []string{"Authorization", "bearer  " + h.key}},
		{"query", Path + "?api_key=" + h.key, nil},
		{"header before query", Path + "?api_key=nonsense", []string{"X-Mesher-Key", h.key}},
		{"with a slash at the end", Path + "/?x=1&api_key=" + h.key, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := h.send(http.MethodPost, tt.path, strings.NewReader(good), tt.headers...)
			if a.Status != http.StatusAccepted || len(a.Accepted) != 1 || a.Rejected == nil || len(a.Rejected) != 0 {
				t.Errorf("answer = %+v", a)
			}
			e, ok := h.bus.events(t)[a.Accepted[0].ID]
			if !ok || e.Message != "disk full" || e.EventID != a.Accepted[0].EventID || e.Fingerprint == uuid.Nil || e.Title == "" {
				t.Errorf("published event = %+v", e)
			}
		})
	}
}

func TestIngest_Refuses(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{"INGEST_MAX_BODY": "3000000", "INGEST_MAX_DECOMPRESSED": "4000000"})
	admin := h.db.Pool(t, pgtest.Admin)
	keyOf := func(project uuid.UUID, set string) string {
		key := tenant.NewKey()
		id, err := tenant.CreateKey(t.Context(), admin, project, "x", key)
		if err == nil && set != "" {
			_, err = admin.Exec(t.Context(), "update mesher.api_keys set "+set+" where id = $1", id)
		}
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	archived, archivedKey := h.newProject("old")
	if _, err := admin.Exec(t.Context(), "update mesher.projects set status = 'archived' where id = $1", archived.ID); err != nil {
		t.Fatal(err)
	}
	key := []string{"X-Mesher-Key", h.key}
	wrongKey := func(k string) []string { return []string{"X-Mesher-Key", k} }
	large := fmt.Sprintf(`{"message":"x","level":"info","timestamp":1,"extra":{"a":"%s"}}`, strings.Repeat("x", 1<<20))
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		detail                   string
	}{
		{"no key", "POST", Path, good, nil, 401, "X-Mesher-Key"},
		{"another scheme", "POST", Path, good, []string{"Authorization", "Basic abc"}, 401, "Bearer"},
		{"no token", "POST", Path, good, []string{"Authorization", "Bearer"}, 401, "Bearer"},
		{"no key at all", "POST", Path, good, wrongKey("hunter2"), 401, "starts with mshr_"},
		{"half a key", "POST", Path, good, wrongKey(h.key[:20]), 401, "20 characters instead of 41"},
		{"a typing error", "POST", Path, good, wrongKey(h.key[:40] + map[bool]string{true: "b", false: "a"}[h.key[40] == 'a']), 401, "typing error"},
		{"an unknown key", "POST", Path, good, wrongKey(tenant.NewKey()), 401, "unknown"},
		{"a revoked key", "POST", Path, good, wrongKey(keyOf(h.project.ID, "revoked_at = now()")), 401, "revoked"},
		{"an expired key", "POST", Path, good, wrongKey(keyOf(h.project.ID, "expires_at = now()")), 401, "expired"},
		{"an archived project", "POST", Path, good, wrongKey(archivedKey), 403, "not active"},
		{"another path", "POST", "/v2/events", good, key, 404, "POST /v1/events"},
		{"a path below", "POST", Path + "/x", good, key, 404, "POST /v1/events"},
		{"GET", "GET", Path, "", key, 405, "use POST"},
		{"PUT", "PUT", Path, good, key, 405, "use POST"},
		{"an unknown encoding", "POST", Path, good, append([]string{"Content-Encoding", "snappy"}, key...), 415, "gzip, deflate, br, zstd"},
		{"plain text that says gzip", "POST", Path, good, append([]string{"Content-Encoding", "gzip"}, key...), 400, "gzip"},
		{"a long Idempotency-Key", "POST", Path, good, append([]string{"Idempotency-Key", strings.Repeat("x", 256)}, key...), 400, "at most 255"},
		{"an empty body", "POST", Path, "", key, 400, "empty"},
		{"an empty array", "POST", Path, "[]", key, 400, "at least one event"},
		{"half an array", "POST", Path, "[" + good, key, 400, "cut off"},
		{"1,001 events", "POST", Path, strings.Repeat(good+"\n", 1001), key, 413, "1000 events"},
		{"a large event", "POST", Path, large, key, 413, "the limit is"},
		{"a large body", "POST", Path, strings.Repeat(" ", 3_000_001), key, 413, "3 MB"},
		{"a body that gets large", "POST", Path, gzipped(strings.Repeat(" ", 4_000_001)), append([]string{"Content-Encoding", "gzip"}, key...), 413, "4 MB"},
		{"no level", "POST", Path, `{"message":"x","timestamp":1}`, key, 400, "level"},
		{"nothing that is needed", "POST", Path, "{}", key, 400, "message (or exception), level, timestamp"},
		{"a level that is none", "POST", Path, `{"message":"x","level":"loud","timestamp":1}`, key, 400, "level"},
		{"an event_id that is none", "POST", Path, `{"message":"x","level":"info","timestamp":1,"event_id":"7"}`, key, 400, "event_id"},
		{"several events, none of them valid", "POST", Path, "{}\n{}\n[1]", key, 400, "none of the 3 events"},
		{"deep nesting", "POST", Path, strings.Repeat(`{"a":`, 5000), key, 400, "nested deeper"},
		{"deep nesting in an array", "POST", Path, strings.Repeat("[", 100_000), key, 400, "array"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := h.send(tt.method, tt.path, strings.NewReader(tt.body), tt.headers...)
			if a.Status != tt.status || !strings.Contains(a.Detail, tt.detail) {
				t.Errorf("%d %s, want %d with %q", a.Status, a.Detail, tt.status, tt.detail)
			}
			if tt.status == 405 && a.Header.Get("Allow") != "OPTIONS, POST" {
				t.Errorf("Allow = %q", a.Header.Get("Allow"))
			}
		})
	}
	if n := len(h.bus.events(t)); n != 0 {
		t.Errorf("%d events were published", n)
	}
}

func gzipped(s string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return out.String()
}

// TestIngest_Garbage sends what is no event in all sorts of ways: the answer is 400, and nothing breaks.
func TestIngest_Garbage(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, body := range []string{
		"null", "true", "1", `"text"`, "nonsense", "{", "}", "[", "]", "[[[]]]", "[null]", "\x00", "\xff\xfe{\x00}\x00", "<xml/>",
		"a=b&c=d", "{\"message\":}", "{'message':'x'}", "{\"a\":1,}", "{\"message\":\"x\" \"level\":\"error\"}", "\"", "\\", ",", ":",
		"{}{}{}", "[{}{}]", "NaN", "{\"timestamp\":1e999}", "\xef\xbb\xbf", strings.Repeat("\n", 1000) + "x",
		`{"message":"x","level":"error","timestamp":"yesterday"}`, `{"message":"x","level":["error"],"timestamp":1}`,
		`{"message":"x","level":"error","timestamp":1,"tags":"none"}`,
	} {
		if a := h.post(body); a.Status != http.StatusBadRequest || len(a.Accepted) != 0 {
			t.Errorf("%q: %d %s", body, a.Status, a.Detail)
		}
	}
	for _, body := range []string{
		"", "null", "{}", "[]", "{", "{}\n", "{}\n{", "{}\n{}", "{}\n{\"type\":1}", "{}\n{\"type\":\"event\"}", "{}\n{\"type\":\"event\",\"length\":-1}\n{",
		"{}\n{\"type\":\"event\",\"length\":1e9}\n", "{\"resourceLogs\":7}", "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[7,{}]}]}]}", "\x0a\x7f", "\xff\xff\xff\xff",
		strings.Repeat("[", 100_000), strings.Repeat("{\"a\":", 100_000), strings.Repeat("\n", 100_000), "{}" + strings.Repeat("\n{\"type\":\"event\"}\n{}", 999),
	} {
		for _, path := range []string{h.envelopePath(), "/api/" + h.number() + "/store/", "/tunnel", "/v1/logs", "/v1/traces"} {
			for _, kind := range []string{"", inJSON, inProtobuf} {
				if a := h.raw(http.MethodPost, path+"?api_key="+h.key, strings.NewReader(body), "Content-Type", kind); a.status >= 500 {
					t.Errorf("%s, %q, %.40q: %+v", path, kind, body, a)
				}
			}
		}
	}
	if a := h.post(good); a.Status != http.StatusAccepted {
		t.Errorf("a good event afterwards: %d %s", a.Status, a.Detail)
	}
}

func TestIngest_Accepts(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	t.Run("the good and says what is wrong with the others", func(t *testing.T) {
		a := h.post("[" + good + `,{"message":"x"},` + good + `,7]`)
		if a.Status != http.StatusAccepted || len(a.Accepted) != 2 || len(a.Rejected) != 2 {
			t.Fatalf("answer = %+v", a)
		}
		for i, want := range []int{1, 3} {
			if r := a.Rejected[i]; r.Index != want || r.Error == "" || r.Retryable {
				t.Errorf("rejected[%d] = %+v", i, r)
			}
		}
	})
	t.Run("ids that sort like the events", func(t *testing.T) {
		a := h.post(strings.Repeat(good+"\n", 1000))
		if a.Status != http.StatusAccepted || len(a.Accepted) != 1000 {
			t.Fatalf("%d %s with %d events", a.Status, a.Detail, len(a.Accepted))
		}
		events := h.bus.events(t)
		for i, acc := range a.Accepted {
			if i > 0 && bytes.Compare(a.Accepted[i-1].ID[:], acc.ID[:]) >= 0 {
				t.Fatalf("id %d is not above the one before", i)
			}
			e, ok := events[acc.ID]
			if !ok || acc.ID.Version() != 7 || acc.ID.Variant() != uuid.RFC4122 {
				t.Fatalf("event %d is not published, or its id is %s", i, acc.ID)
			}
			if sec, nsec := acc.ID.Time().UnixTime(); !time.Unix(sec, nsec).Truncate(time.Millisecond).Equal(e.ReceivedAt) {
				t.Fatalf("id %s is not of %s", acc.ID, e.ReceivedAt)
			}
		}
	})
	t.Run("the client's event_id, also twice", func(t *testing.T) {
		withID := strings.Replace(good, "{", `{"event_id":"0123456789abcdef0123456789abcdef",`, 1)
		for _, a := range []answer{h.post(withID), h.post("["+withID+","+withID+"]", "Idempotency-Key", "k")} {
			if a.Status != http.StatusAccepted {
				t.Fatalf("answer = %+v", a)
			}
			for _, acc := range a.Accepted {
				if acc.EventID.String() != "01234567-89ab-cdef-0123-456789abcdef" || acc.ID == acc.EventID {
					t.Errorf("accepted = %+v", acc)
				}
			}
		}
	})
	t.Run("an Idempotency-Key, which names each event for good", func(t *testing.T) {
		two := good + "\n" + good
		first, again, other := h.post(two, "Idempotency-Key", "a"), h.post(two, "Idempotency-Key", "a"), h.post(two, "Idempotency-Key", "b")
		ids := func(a answer) (out []uuid.UUID) {
			for _, acc := range a.Accepted {
				out = append(out, acc.EventID)
			}
			return out
		}
		if diff := cmp.Diff(ids(first), ids(again)); diff != "" || len(first.Accepted) != 2 {
			t.Errorf("event ids of the same request (-first +again):\n%s", diff)
		}
		if first.Accepted[0].EventID == first.Accepted[1].EventID || first.Accepted[0].EventID == other.Accepted[0].EventID {
			t.Error("different events got the same id")
		}
		if first.Accepted[0].ID == again.Accepted[0].ID {
			t.Error("different deliveries got the same id")
		}
		_, key := h.newProject("elsewhere")
		elsewhere := h.send(http.MethodPost, Path, strings.NewReader(two), "X-Mesher-Key", key, "Idempotency-Key", "a")
		if elsewhere.Accepted[0].EventID == first.Accepted[0].EventID {
			t.Error("the same key in another project gave the same id")
		}
	})
	t.Run("what Postgres would refuse, made fit for it", func(t *testing.T) {
		a := h.post(`{"message":"nul \u0000 and \ud800 alone","level":"error","timestamp":1,"tags":{"a\u0000":"\udfff"},"x":"` + "\xff" + `"}`)
		if a.Status != http.StatusAccepted {
			t.Fatalf("answer = %+v", a)
		}
		e := h.bus.events(t)[a.Accepted[0].ID]
		for _, s := range []string{e.Message, string(e.Tags), string(e.Extra)} {
			if strings.Contains(s, "\x00") || strings.Contains(s, `\u0000`) || strings.Contains(s, `\ud8`) || strings.Contains(s, `\udf`) || strings.Contains(s, "\xff") {
				t.Errorf("%q was published", s)
			}
		}
	})
	t.Run("with the environment of the key, unless the event has its own", func(t *testing.T) {
		p, key := h.newProject("staging")
		h.db.Exec(t, fmt.Sprintf("update mesher.api_keys set environment = 'staging' where project_id = '%s'", p.ID))
		body := good + "\n" + strings.Replace(good, "{", `{"environment":"own",`, 1)
		a := h.send(http.MethodPost, Path, strings.NewReader(body), "X-Mesher-Key", key)
		events := h.bus.events(t)
		if got := events[a.Accepted[0].ID].Environment; got != "staging" {
			t.Errorf("environment = %q", got)
		}
		if got := events[a.Accepted[1].ID].Environment; got != "own" {
			t.Errorf("environment = %q", got)
		}
	})
	t.Run("an event of exactly the largest size, chunked", func(t *testing.T) {
		body := fmt.Sprintf(`{"message":"x","level":"info","timestamp":1,"a":"%s"}`, strings.Repeat("x", event.DefaultLimits().EventBytes-51))
		a := h.send(http.MethodPost, Path, io.MultiReader(strings.NewReader(body)), "X-Mesher-Key", h.key)
		if a.Status != http.StatusAccepted {
			t.Errorf("%d bytes: %d %s", len(body), a.Status, a.Detail)
		}
	})
}

func TestIngest_ReportsUsage(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	var later atomic.Int64
	h.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	h.post("[" + good + "," + good + ",{}]")
	later.Store(int64(reportEvery))
	h.post(good) // reports what was before
	var accepted, rejected int64
	var used bool
	err := h.db.Conn(t, pgtest.Admin).QueryRow(t.Context(), `
		select u.accepted, u.rejected, k.last_used_at is not null
		from mesher.usage u join mesher.api_keys k using (project_id) where project_id = $1`, h.project.ID).Scan(&accepted, &rejected, &used)
	if err != nil || accepted != 2 || rejected != 1 || !used {
		t.Errorf("accepted %d, rejected %d, key used %v, %v", accepted, rejected, used, err)
	}
}

func TestIngest_WithoutTheDatabase(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	_, other := h.newProject("other")
	if a := h.post(good); a.Status != http.StatusAccepted {
		t.Fatalf("answer = %+v", a)
	}
	h.pool.Close()
	later := time.Now().Add(time.Hour)
	h.keys.now = func() time.Time { return later }
	h.now = func() time.Time { return later }
	if a := h.post(good); a.Status != http.StatusAccepted {
		t.Errorf("a remembered key: %d %s", a.Status, a.Detail)
	}
	a := h.send(http.MethodPost, Path, strings.NewReader(good), "X-Mesher-Key", other)
	if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != "5" || !strings.Contains(a.Detail, "cannot be checked") {
		t.Errorf("a key nobody remembers: %d %s", a.Status, a.Detail)
	}
}

// TestIngest_WithoutPubSub has a thousand clients send while Pub/Sub is away.
func TestIngest_WithoutPubSub(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{"INGEST_PUBLISH_TIMEOUT": "2s"})
	if a := h.post(good); a.Status != http.StatusAccepted {
		t.Fatalf("answer = %+v", a)
	}
	h.bus.stop()
	before := len(h.bus.events(t))
	var wg sync.WaitGroup
	var dropped, failed atomic.Int64
	for range 1000 {
		wg.Go(func() {
			a, err := h.try(http.MethodPost, Path, strings.NewReader(strings.Repeat(good+"\n", 3)), "X-Mesher-Key", h.key)
			switch {
			case err != nil:
				t.Error(err)
			case a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != "5" || a.Rejected != nil && (len(a.Rejected) != 3 || !a.Rejected[2].Retryable):
				t.Errorf("answer = %+v", a)
			case strings.Contains(a.Detail, "dropped"), a.Rejected == nil: // refused unread while the first publish ran
				dropped.Add(1)
			default:
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if dropped.Load()+failed.Load() != 1000 || failed.Load() == 0 {
		t.Errorf("%d dropped and %d failed", dropped.Load(), failed.Load())
	}
	if held, waiting := h.shares.whole.Held(), h.batcher.Waiting(h.project.ID); held != 0 || waiting != 0 {
		t.Errorf("%d bytes are held and %d callers wait", held, waiting)
	}
	if n := len(h.bus.events(t)); n != before {
		t.Errorf("%d events were published and refused", n-before)
	}
	h.bus.start(t)
	eventually(t, "it works again by itself", func() bool { return h.post(good).Status == http.StatusAccepted })
}

func TestIngest_PermanentRefusalIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	var tries atomic.Int64
	h.bus.say(func(context.Context, string) error {
		tries.Add(1)
		return statusPermissionDenied()
	})
	a := h.post(good)
	if a.Status != http.StatusServiceUnavailable || tries.Load() != 1 || strings.Contains(a.Detail, "permission") {
		t.Errorf("%d %s after %d tries", a.Status, a.Detail, tries.Load())
	}
}

// TestIngest_OneProjectDoesNotSlowAnother has one project's publishes hang with its buffer full.
func TestIngest_OneProjectDoesNotSlowAnother(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{"INGEST_BUFFER_EVENTS": "10", "INGEST_CONCURRENCY": "400"})
	_, other := h.newProject("other")
	release := make(chan struct{})
	h.bus.say(func(ctx context.Context, project string) error {
		if project == h.project.ID.String() {
			select {
			case <-release:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	var wg sync.WaitGroup
	var accepted, dropped atomic.Int64
	for range 60 {
		wg.Go(func() {
			switch a := h.post(good); a.Status {
			case http.StatusAccepted:
				accepted.Add(1)
			case http.StatusServiceUnavailable:
				dropped.Add(1)
			default:
				t.Errorf("answer = %+v", a)
			}
		})
	}
	eventually(t, "the buffer is full and the oldest are dropped", func() bool { return dropped.Load() >= 40 })
	for range 50 {
		if a := h.send(http.MethodPost, Path, strings.NewReader(good), "X-Mesher-Key", other); a.Status != http.StatusAccepted {
			t.Errorf("the other project: %d %s", a.Status, a.Detail)
		}
	}
	if accepted.Load() != 0 {
		t.Error("the first project did not hang")
	}
	close(release)
	wg.Wait()
	if accepted.Load() < 10 {
		t.Errorf("%d requests of the first project were accepted", accepted.Load())
	}
}

func TestIngest_PanicTakesNoOtherDown(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	var n atomic.Int64
	h.now = func() time.Time {
		if n.Add(1)%5 == 0 {
			panic("bug with a secret")
		}
		return time.Now()
	}
	var wg sync.WaitGroup
	var fine, broken atomic.Int64
	for range 50 {
		wg.Go(func() {
			switch a := h.post(good); {
			case a.Status == http.StatusAccepted:
				fine.Add(1)
			case a.Status == http.StatusInternalServerError && !strings.Contains(a.Detail, "secret"):
				broken.Add(1)
			default:
				t.Errorf("answer = %+v", a)
			}
		})
	}
	wg.Wait()
	if fine.Load() != 40 || broken.Load() != 10 {
		t.Errorf("%d fine and %d broken, want 40 and 10", fine.Load(), broken.Load())
	}
}

func TestIngest_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{"INGEST_MEMORY": "3000000"})
	release := make(chan struct{})
	h.bus.say(func(context.Context, string) error { <-release; return nil })
	body := fmt.Sprintf(`{"message":"x","level":"info","timestamp":1,"a":"%s"}`, strings.Repeat("x", 400_000))
	var wg sync.WaitGroup
	var busy, fine atomic.Int64
	for range 20 {
		wg.Go(func() {
			switch a := h.post(body); a.Status {
			case http.StatusAccepted:
				fine.Add(1)
			case http.StatusServiceUnavailable:
				busy.Add(1)
			default:
				t.Errorf("answer = %+v", a)
			}
		})
	}
	eventually(t, "memory is used up", func() bool { return busy.Load() >= 15 })
	close(release)
	wg.Wait()
	if fine.Load() == 0 {
		t.Error("nobody was served")
	}
	if a := h.post(body); a.Status != http.StatusAccepted {
		t.Errorf("afterwards: %d %s", a.Status, a.Detail)
	}
}

// TestIngest_FinishesGracefully drains an instance whose publish is under way, as on SIGTERM.
func TestIngest_FinishesGracefully(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	begun, release := make(chan struct{}), make(chan struct{})
	h.bus.say(func(context.Context, string) error { close(begun); <-release; return nil })
	lazy := boot.New("Ingest", func(context.Context, env.Lookup, *slog.Logger) (boot.Handler, error) { return h.Function, nil },
		nil, slog.New(slog.DiscardHandler))
	h.server.Config.Handler = lazy
	var wg sync.WaitGroup
	wg.Go(func() {
		if a := h.post(good); a.Status != http.StatusAccepted {
			t.Errorf("the request in flight: %d %s", a.Status, a.Detail)
		}
	})
	<-begun
	drained := make(chan struct{})
	go func() {
		lazy.Drain(context.Background())
		close(drained)
	}()
	select {
	case <-drained:
		t.Error("it did not wait for the request in flight")
	default:
	}
	close(release)
	wg.Wait()
	<-drained
	var accepted int64
	if err := h.db.Conn(t, pgtest.Admin).QueryRow(t.Context(), "select accepted from mesher.usage").Scan(&accepted); err != nil || accepted != 1 {
		t.Errorf("accepted %d, %v: the last counts are not reported", accepted, err)
	}
}

// TestIngest_OnTheLaptopsPubSub checks that what is published passes a server that refuses what the real one does.
func TestIngest_OnTheLaptopsPubSub(t *testing.T) {
	t.Parallel()
	s, err := pubsub.Open(t.Context(), pubsub.Options{Path: filepath.Join(t.TempDir(), "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	// Nobody listens at the endpoint: the messages stay.
	if err := pubsub.Declare(t.Context(), s.Addr(), "test", pubsub.Topology{Endpoint: "http://127.0.0.1:1/"}); err != nil {
		t.Fatal(err)
	}
	h := start(t, map[string]string{"PUBSUB_EMULATOR_HOST": s.Addr()})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 10 {
				if a := h.post(strings.Repeat(good+"\n", 1+i)); a.Status != http.StatusAccepted || len(a.Accepted) != 1+i {
					t.Errorf("answer = %d %s", a.Status, a.Detail)
				}
			}
		})
	}
	wg.Wait()
	if n := s.Backlog("store"); n == 0 || n >= 640 {
		t.Errorf("%d messages for 640 requests of 64 clients", n)
	}
}

// TestIngest_SlowClientsKeepNobodyOut has one project announce bodies that never come.
func TestIngest_SlowClientsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{"INGEST_MEMORY": "33554432", "INGEST_BODY_TIMEOUT": "2s"})
	host := strings.TrimPrefix(h.server.URL, "http://")
	for range 300 {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-Mesher-Key: %s\r\nContent-Length: 1048576\r\n\r\n{", Path, h.key)
	}
	eventually(t, "they hold what they may", func() bool { return h.shares.whole.Held() >= 33554432/2-(64<<10) })
	_, other := h.newProject("other")
	if a := h.send(http.MethodPost, Path, strings.NewReader(good), "X-Mesher-Key", other); a.Status != http.StatusAccepted {
		t.Errorf("another project: %d %s", a.Status, a.Detail)
	}
	eventually(t, "they are cut off", func() bool { return h.shares.whole.Held() == 0 })
}

func TestIngest_IdempotencyKeyBelongsToTheEvent(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	ids := func(body string) []uuid.UUID {
		a := h.send(http.MethodPost, Path, strings.NewReader(body), "X-Mesher-Key", h.key, "Idempotency-Key", "k")
		if a.Status != http.StatusAccepted {
			t.Fatalf("%d %s", a.Status, a.Detail)
		}
		var out []uuid.UUID
		for _, e := range a.Accepted {
			out = append(out, e.EventID)
		}
		return out
	}
	one, two := `{"message":"one","level":"info","timestamp":1}`, `{"message":"two","level":"info","timestamp":1}`
	all := ids(one + "\n" + two + "\n" + two)
	if all[0] == all[1] || all[1] == all[2] {
		t.Errorf("events of one request share ids: %v", all)
	}
	if diff := cmp.Diff(all, ids("["+one+","+two+","+two+"]")); diff != "" {
		t.Errorf("the same request again (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(all[1:], ids(two+"\n"+two)); diff != "" {
		t.Errorf("the part that was not taken (-want +got):\n%s", diff)
	}
}
