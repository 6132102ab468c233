package store

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/web"
)

func TestFunction_CountsARedeliveredMessageOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	fs := b.functions(t, 4)
	m := pack(project, samples(t, project, 0, 120)...)
	inParallel(10, func(i int) { acked(t, fs[i%len(fs)], m) })
	b.stored(t, project, 120)
	if got := b.usage(t, project, "duplicates"); got != 9*120 {
		t.Errorf("duplicates = %d, want %d", got, 9*120)
	}
}

func TestFunction_StoresAnEventOnce(t *testing.T) {
	t.Parallel()
	midnight := noon.Truncate(day).Add(day)
	b := setup(t)
	// again returns the same event as a client's retry brings it: another id, received later.
	again := func(e event.Event, at time.Time) event.Event {
		e.ReceivedAt, e.ID = at, event.NewID(at)
		return e
	}
	for _, tt := range []struct {
		name     string
		messages func(e, other event.Event) [][]event.Event
	}{
		{"twice in a message", func(e, other event.Event) [][]event.Event {
			return [][]event.Event{{e, other, again(e, e.ReceivedAt)}}
		}},
		{"in two messages", func(e, other event.Event) [][]event.Event {
			return [][]event.Event{{e, other}, {again(e, e.ReceivedAt.Add(time.Second))}}
		}},
		{"after midnight", func(e, other event.Event) [][]event.Event {
			return [][]event.Event{{again(e, midnight.Add(-time.Millisecond)), other}, {again(e, midnight)}}
		}},
		{"before midnight, delivered later", func(e, other event.Event) [][]event.Event {
			return [][]event.Event{{again(e, midnight)}, {again(e, midnight.Add(-time.Millisecond)), other}}
		}},
		{"around midnight in one message", func(e, other event.Event) [][]event.Event {
			return [][]event.Event{{again(e, midnight.Add(-time.Millisecond)), other, again(e, midnight)}}
		}},
		{"on the first and the last moment of neighbouring days", func(e, other event.Event) [][]event.Event {
			return [][]event.Event{{again(e, midnight.Add(-day)), other}, {again(e, midnight.Add(day-time.Millisecond))}}
		}},
	} {
		for _, parallel := range []bool{false, true} {
			name := tt.name
			if parallel {
				name += ", from four instances at once"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				project := b.project(t)
				messages := tt.messages(sample(t, project, 1, noon), sample(t, project, 2, noon))
				if !parallel {
					f := b.function(t)
					for _, events := range messages {
						acked(t, f, pack(project, events...))
					}
					b.stored(t, project, 2)
					return
				}
				fs := b.functions(t, 4)
				inParallel(4*len(messages), func(i int) {
					acked(t, fs[i%len(fs)], pack(project, messages[i/len(fs)]...))
				})
				b.stored(t, project, 2)
			})
		}
	}
}

func TestFunction_StoresTheSameEventIDForEachProject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := b.function(t)
	one, two := b.project(t), b.project(t)
	e, twin := sample(t, one, 1, noon), sample(t, two, 1, noon)
	twin.EventID = e.EventID
	acked(t, f, pack(one, e))
	acked(t, f, pack(two, twin))
	b.stored(t, one, 1)
	b.stored(t, two, 1)
}

func TestFunction_StoresTheLargestMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	events := make([]event.Event, rowsMost)
	for i := range events {
		events[i] = event.Event{
			ID: event.NewID(noon), EventID: uuid.New(), Fingerprint: project, ReceivedAt: noon, OccurredAt: noon,
			Level: event.Debug, Tags: []byte("{}"), Extra: []byte("{}"),
		}
	}
	acked(t, b.function(t), pack(project, events...))
	b.stored(t, project, rowsMost)
}

// What a message takes is what is allocated for it.
func TestDecode_ChargesWhatItAllocates(t *testing.T) {
	t.Parallel()
	project := uuid.New()
	small := make([]event.Event, 1000)
	for i := range small {
		small[i] = event.Event{
			ID: event.NewID(noon), EventID: uuid.New(), Fingerprint: project, ReceivedAt: noon, OccurredAt: noon,
			Level: event.Debug, Tags: []byte("{}"), Extra: []byte("{}"),
		}
	}
	z, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	for _, events := range [][]event.Event{small, samples(t, project, 0, 500)} {
		budget := web.NewBudget(1 << 30)
		p, err := decode(z, pack(project, events...), budget.NewLease(), newMemory())
		if err != nil {
			t.Fatal(err)
		}
		// Tuples that outgrew the first allocation would not be neighbours.
		tuples := 0
		for i := range p.rows {
			tuples += len(p.rows[i].tuple)
		}
		raw := len(lines(events))
		if tuples > raw+raw/4 {
			t.Errorf("tuples of %d bytes do not fit in what lines of %d bytes make room for", tuples, raw)
		}
		want := int64(raw) + int64(raw+raw/4) + int64(cap(p.rows))*int64(reflect.TypeFor[row]().Size())
		if got := budget.Held(); got != want {
			t.Errorf("held = %d, want %d", got, want)
		}
	}
}

// What is stored of an event is what was sent, column by column.
func TestFunction_WritesEveryField(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	full := sample(t, project, 1, noon)
	full.OccurredAt = time.Date(1969, 12, 31, 23, 59, 59, 123_456_000, time.UTC)
	full.Message, full.Title = "Grüße, 世界 \U0001f680 \\ \" \n", "title '\\"
	for text, of := range map[string]*string{
		"xtype": &full.ExceptionType, "xval": &full.ExceptionValue, "culprit": &full.Culprit, "env": &full.Environment,
		"rel": &full.Release, "plat": &full.Platform, "tx": &full.Transaction, "host": &full.ServerName,
		"logger": &full.Logger, "uid": &full.UserID, "trace": &full.TraceID,
	} {
		*of = text
	}
	for text, of := range map[string]*[]byte{
		`{"t":"1"}`: &full.Tags, `{"e":[1,null]}`: &full.Extra, `[{"x":1}]`: &full.Exception, `[{"th":1}]`: &full.Threads,
		`[{"b":1}]`: &full.Breadcrumbs, `{"u":1}`: &full.UserInfo, `{"c":1}`: &full.Contexts, `{"r":1}`: &full.Request,
		`{"s":1}`: &full.SDK, `["cfp"]`: &full.ClientFingerprint, `{"m":1}`: &full.Meta,
	} {
		*of = []byte(text)
	}
	empty := event.Event{
		ID: event.NewID(noon), EventID: uuid.New(), Fingerprint: uuid.New(), ReceivedAt: noon, OccurredAt: noon,
		Level: event.Debug, Tags: []byte("{}"), Extra: []byte("{}"),
	}
	acked(t, b.function(t), pack(project, full, empty))
	b.stored(t, project, 2)

	columns := strings.Split(copyColumns, ", ")
	read := func(id uuid.UUID) map[string]string {
		sql := "select array[" + strings.Join(columns, "::text, ") + "::text] from mesher.events where id = $1"
		var values []*string
		if err := b.admin.QueryRow(t.Context(), sql, id).Scan(&values); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]string)
		for i, v := range values {
			if v != nil {
				got[columns[i]] = *v
			}
		}
		return got
	}
	want := map[string]string{
		"project_id": project.String(), "received_at": "2026-03-10 12:00:00+00", "id": full.ID.String(),
		"event_id": full.EventID.String(), "fingerprint": full.Fingerprint.String(),
		"occurred_at": "1969-12-31 23:59:59.123456+00", "level": string(full.Level), "message": full.Message,
		"exception_type": "xtype", "exception_value": "xval", "culprit": "culprit", "environment": "env",
		"release": "rel", "platform": "plat", "transaction": "tx", "server_name": "host", "logger": "logger",
		"user_id": "uid", "trace_id": "trace", "tags": `{"t": "1"}`, "extra": `{"e": [1, null]}`,
		"exception": `[{"x":1}]`, "threads": `[{"th":1}]`, "breadcrumbs": `[{"b":1}]`, "user_info": `{"u":1}`,
		"contexts": `{"c":1}`, "request": `{"r":1}`, "sdk": `{"s":1}`, "client_fingerprint": `["cfp"]`, "meta": `{"m":1}`,
	}
	if diff := cmp.Diff(want, read(full.ID)); diff != "" {
		t.Errorf("a full event (-want +got)\n%s", diff)
	}
	want = map[string]string{
		"project_id": project.String(), "received_at": "2026-03-10 12:00:00+00", "id": empty.ID.String(),
		"event_id": empty.EventID.String(), "fingerprint": empty.Fingerprint.String(),
		"occurred_at": "2026-03-10 12:00:00+00", "level": "debug", "message": "", "tags": "{}", "extra": "{}",
	}
	if diff := cmp.Diff(want, read(empty.ID)); diff != "" {
		t.Errorf("an empty event (-want +got)\n%s", diff)
	}
	if n := b.number(t, "select count(*) from mesher.issues where title = $1 and culprit = 'culprit'", full.Title); n != 1 {
		t.Errorf("issues with the event's title and culprit = %d, want 1", n)
	}
}

func TestFunction_CreatesAMissingPartition(t *testing.T) {
	t.Parallel()
	for _, instances := range []int{1, 4} {
		t.Run(map[int]string{1: "alone", 4: "from four instances at once"}[instances], func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			project := b.project(t)
			fs := b.functions(t, instances)
			// Two days without a partition and one with, in each message.
			inParallel(2*instances, func(i int) {
				var events []event.Event
				for n, age := range []time.Duration{0, 5 * day, 7 * day} {
					events = append(events, sample(t, project, 3*i+n, noon.Add(-age)))
				}
				acked(t, fs[i%instances], pack(project, events...))
			})
			b.stored(t, project, 6*instances)
			unprotected := b.number(t, `
				select count(*) from pg_class c join pg_inherits i on i.inhrelid = c.oid
				where i.inhparent = 'mesher.events'::regclass and not c.relrowsecurity`)
			partitions := b.number(t, "select count(*) from pg_inherits where inhparent = 'mesher.events'::regclass")
			if partitions != 5 || unprotected != 0 {
				t.Errorf("partitions = %d, %d of them without row level security; want 5 and 0", partitions, unprotected)
			}
		})
	}
}

func TestFunction_LetsExpiredEventsGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	b.exec(t, "update mesher.projects set retention_days = 1 where id = $1", project)
	f := b.function(t)
	acked(t, f, pack(project, sample(t, project, 1, noon.Add(-25*time.Hour))))
	b.stored(t, project, 0)
	acked(t, f, pack(project,
		sample(t, project, 2, noon.Add(-day-time.Millisecond)), sample(t, project, 3, noon.Add(-day)),
		sample(t, project, 4, noon.AddDate(-20, 0, 0)), sample(t, project, 5, noon)))
	b.stored(t, project, 2)
	if got := b.usage(t, project, "expired"); got != 3 {
		t.Errorf("expired = %d, want 3", got)
	}
	if n := b.number(t, "select count(*) from pg_inherits where inhparent = 'mesher.events'::regclass"); n != 3 {
		t.Errorf("partitions = %d, want the 3 there were", n)
	}
}

func TestFunction_RefusesWhatIsNoPush(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := b.function(t)
	for _, tt := range []struct {
		name, method, body string
		want               int
	}{
		{"another method", http.MethodGet, "", http.StatusMethodNotAllowed},
		{"nothing", http.MethodPost, "", http.StatusBadRequest},
		{"not JSON", http.MethodPost, "hello", http.StatusBadRequest},
		{"no message", http.MethodPost, "{}", http.StatusBadRequest},
		{"too much", http.MethodPost, strings.Repeat(" ", pushMost+1), http.StatusRequestEntityTooLarge},
	} {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(tt.method, "/", strings.NewReader(tt.body)))
		if w.Code != tt.want {
			t.Errorf("%s: answer = %d, want %d", tt.name, w.Code, tt.want)
		}
		if held := f.budget.Held(); held != 0 {
			t.Errorf("%s: %d bytes are held afterwards", tt.name, held)
		}
	}
}

func TestFunction_SendsMessagesBackWhenMemoryIsShort(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	m := pack(project, samples(t, project, 0, 200)...)
	raw := int64(len(lines(samples(t, project, 0, 200))))
	for _, tt := range []struct {
		name   string
		memory int64
	}{{"for the body", 100}, {"for the events", raw / 2}, {"for the tuples", 3 * raw / 2}} {
		f := b.function(t, func(c *Config) { c.Memory = tt.memory })
		w := deliver(f, m)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: answer = %d, Retry-After %q; want 503 with one", tt.name, w.Code, w.Header().Get("Retry-After"))
		}
	}
	b.stored(t, project, 0)
	if got := b.deadLetters(t, ""); len(got) != 0 {
		t.Errorf("dead letters = %v, want none", got)
	}
}

func TestFunction_SurvivesAPanicInATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	f := b.function(t, func(c *Config) { c.Database.PoolSize = 1 })
	m := pack(project, samples(t, project, 0, 5)...)
	calls := 0
	f.writer.now = func() time.Time {
		// The first call is before the transaction, the second one in it.
		if calls++; calls == 2 {
			panic("a bug")
		}
		return noon
	}
	if w := deliver(f, m); w.Code != http.StatusServiceUnavailable {
		t.Errorf("answer = %d, want 503", w.Code)
	}
	acked(t, f, m)
	b.stored(t, project, 5)
}

func TestFunction_LivesInTheTimeOfItsClock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	f := b.function(t)
	late := noon.Add(aheadMost + time.Minute)
	acked(t, f, pack(project, samples(t, project, 0, 3)...))
	acked(t, f, pack(project, sample(t, project, 3, noon.Add(-91*day)), sample(t, project, 4, late)))
	for what, c := range map[string]struct {
		sql  string
		want int
	}{
		"usage of the minute":                {"select coalesce(sum(stored + expired + dead_lettered), 0) from mesher.usage where minute = $1", 5},
		"usage of other minutes":             {"select count(*) from mesher.usage where minute <> $1", 0},
		"events of the future that are kept": {"select count(*) from mesher.dead_letters where created_at = $1", 1},
	} {
		if got := b.number(t, c.sql, noon); got != c.want {
			t.Errorf("%s = %d, want %d", what, got, c.want)
		}
	}
}

func TestFunction_Health(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.function(t).Health(t.Context()); err != nil {
		t.Errorf("health = %v, want none", err)
	}
	away := b.function(t, func(c *Config) { c.Database.URL = strings.Replace(b.db.URL(pgtest.Store), b.db.Name(), "nowhere", 1) })
	if err := away.Health(t.Context()); err == nil {
		t.Error("health of a database that does not exist = nil, want an error")
	}
}

// A database that takes a connection and never answers is one that cannot be reached.
func TestFunction_HealthOfADatabaseThatHangs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	f := b.function(t, func(c *Config) {
		c.Database.URL = fmt.Sprintf("postgres://mesher_store@%s/mesher?sslmode=disable", l.Addr())
		c.Database.ConnectTimeout = time.Hour
	})
	health := make(chan error, 1)
	go func() { health <- f.Health(t.Context()) }()
	select {
	case err := <-health:
		if err == nil {
			t.Error("health = nil, want an error")
		}
	case <-time.After(patience):
		t.Fatal("health hangs")
	}
}
