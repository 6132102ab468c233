// Package year_test lets a platform live through a year in a minute: real functions behind HTTP, a real database, and a
// clock that the test moves.
package year_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	// A request holds so many events, and so many requests are sent at each of the hours of a day.
	requestEvents = 25
	hourRequests  = 2
	// While the jobs run up to so many more are sent.
	meanwhileMost = 3
	// The jobs run every so often: half as often as they are called in truth, and with twice as much to do.
	runEvery    = 48 * time.Hour
	vacuumEvery = 20
	// steadyAfter is from which day on nothing grows any more: what is kept longest here is usage, for 90 days.
	steadyAfter = 100
)

// start is the first day of a leap year.
var start = time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)

// life is what a platform lives through, and what is seen of it.
type life struct {
	*platform
	days    int
	without string    // a job that does not run
	lastRun time.Time // the day on which the jobs ran last

	other     uuid.UUID // a project that keeps less
	otherKey  string
	mu        sync.Mutex
	accepted  map[uuid.UUID]map[time.Time]int64 // by project and day
	problems  []string
	sizes     []int64 // of all tables, at the end of each day
	dropped   int64
	cleaned   int64
	whileGone int64 // requests that were answered while Retention ran
}

func (l *life) problem(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const most = 20
	if len(l.problems) < most {
		l.problems = append(l.problems, fmt.Sprintf(format, args...))
	}
}

// live lets so many days pass and returns what was wrong.
func live(t *testing.T, days int, change func(*life)) *life {
	t.Helper()
	l := &life{platform: newPlatform(t, start), days: days, accepted: map[uuid.UUID]map[time.Time]int64{}}
	other, key := l.newProject(t, "less", 7)
	l.other, l.otherKey = other.ID, key
	if change != nil {
		change(l)
	}
	if _, _, _, err := postgres.PreparePartitions(t.Context(), l.admin, start); err != nil {
		t.Fatal(err)
	}
	for n := range days {
		l.day(t, start.AddDate(0, 0, n))
	}
	l.queue.waiting.Wait()
	l.count(t)
	return l
}

// day is one day. Events come in right after midnight, when the jobs run every other day, and over the next midnight.
func (l *life) day(t *testing.T, day time.Time) {
	t.Helper()
	l.set(day.Add(time.Millisecond))
	if l.lastRun.IsZero() || day.Sub(l.lastRun) >= runEvery {
		l.lastRun = day
		l.jobs(t)
	} else {
		l.send(t, hourRequests)
	}
	l.set(day.Add(24*time.Hour - time.Millisecond))
	// Midnight comes while these are under way.
	var sending sync.WaitGroup
	sending.Go(func() { l.send(t, hourRequests) })
	l.set(day.Add(24 * time.Hour))
	sending.Wait()
	if len(l.sizes)%vacuumEvery == 0 {
		l.vacuum(t)
	}
	l.sizes = append(l.sizes, l.number(t, `
		select sum(pg_total_relation_size(oid))::bigint from pg_class where relnamespace = 'mesher'::regnamespace and relkind in ('r', 'p')`))
}

// vacuum does what the server does by itself over a year, for which it has a minute here.
func (l *life) vacuum(t *testing.T) {
	t.Helper()
	rows, err := l.admin.Query(t.Context(), `select 'vacuum ' || oid::regclass from pg_class
		where relnamespace = 'mesher'::regnamespace and relkind = 'r' and not relispartition`)
	if err != nil {
		t.Fatal(err)
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range statements {
		if _, err := l.admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// jobs has the jobs run while events come in.
func (l *life) jobs(t *testing.T) {
	t.Helper()
	var sending sync.WaitGroup
	done := make(chan struct{})
	sending.Go(func() { l.send(t, hourRequests) })
	sending.Go(func() {
		for range meanwhileMost {
			l.send(t, 1)
			l.whileGone++
			select {
			case <-done:
				return
			default:
			}
		}
	})
	l.run(t, "partitions", nil)
	var summary struct{ Done map[string]int64 }
	l.run(t, "retention", &summary)
	close(done)
	sending.Wait()
	l.dropped, l.cleaned = l.dropped+summary.Done["days"], l.cleaned+summary.Done["events"]
	l.look(t)
}

// send sends requests of both projects. Every event must be accepted.
func (l *life) send(t *testing.T, requests int) {
	for n := range requests {
		project, key := l.project.ID, l.key
		if n%2 == 1 {
			project, key = l.other, l.otherKey
		}
		var body []byte
		for i := range requestEvents {
			body = fmt.Appendf(body, `{"message":"order %d is late","level":"error","timestamp":%q,"release":"r%s","user":{"id":"u%d"},`+
				`"tags":{"shop":"s%d"},"extra_text":"%0300d"}`+"\n", i, l.clock().Format(time.RFC3339), l.clock().Format("200601"), i%7, i%3, i)
		}
		var answer struct {
			Accepted []struct{ ID uuid.UUID }
			Rejected []any
		}
		if err := l.post(t.Context(), l.ingest+"/v1/events", key, body, http.StatusAccepted, &answer); err != nil {
			l.problem("%s: a request is %v", l.clock(), err)
			continue
		}
		if len(answer.Accepted) != requestEvents || len(answer.Rejected) != 0 {
			l.problem("%s: %d of %d events accepted", l.clock(), len(answer.Accepted), requestEvents)
		}
		l.mu.Lock()
		if l.accepted[project] == nil {
			l.accepted[project] = map[time.Time]int64{}
		}
		for _, a := range answer.Accepted {
			l.accepted[project][dayOf(a.ID)]++
		}
		l.mu.Unlock()
	}
}

// run has a job run.
func (l *life) run(t *testing.T, name string, answer any) {
	t.Helper()
	if name == l.without {
		return
	}
	if answer == nil {
		answer = &struct{}{}
	}
	if err := l.post(t.Context(), l.urls[name], "", []byte("{}"), http.StatusOK, answer); err != nil {
		l.problem("%s: %s is %v", l.clock(), name, err)
	}
}

// look looks whether the coming days have their partitions, and whether those that are over are gone.
func (l *life) look(t *testing.T) {
	t.Helper()
	h, err := postgres.PartitionHorizon(t.Context(), l.app, l.clock())
	if err != nil {
		t.Fatal(err)
	}
	if h.Days < 14 || len(h.Gaps) > 0 {
		l.problem("%s: partitions reach to %s, gaps %v", l.today(), h.Last, h.Gaps)
	}
	oldest := l.today().AddDate(0, 0, -31)
	if n := l.number(t, `select count(*) from pg_class where relnamespace = 'mesher'::regnamespace and relkind = 'r'
		and relname ~ '^events_\d{8}$' and relname < 'events_' || $1`, oldest.Format("20060102")); n > 0 {
		l.problem("%s: %d days are there that no project keeps", l.today(), n)
	}
}

// count compares what was accepted with what is there. Issues keep their counts for ever, so that they tell of every event of
// the year; of the days that are kept, each event is there.
func (l *life) count(t *testing.T) {
	t.Helper()
	for project, days := range l.accepted {
		var all int64
		kept := map[uuid.UUID]int{l.project.ID: 30, l.other: 7}[project]
		for day, want := range days {
			all += want
			got := l.number(t, "select count(*) from mesher.events where project_id = $1 and received_at >= $2 and received_at < $3",
				project, day, day.AddDate(0, 0, 1))
			if expect := !day.Before(l.lastRun.AddDate(0, 0, -kept)); expect && got != want || !expect && got != 0 && l.without == "" {
				l.problem("%s: %d events are there, %d were accepted", day.Format(time.DateOnly), got, want)
			}
		}
		if got := l.number(t, "select coalesce(sum(event_count), 0)::bigint from mesher.issues where project_id = $1", project); got != all {
			l.problem("%d events are counted, %d were accepted", got, all)
		}
	}
	if n := l.number(t, "select count(*) from mesher.dead_letters"); n > 0 {
		l.problem("%d dead letters", n)
	}
	for _, line := range l.errors.lines {
		l.problem("logged: %s", line)
	}
	if len(l.sizes) > steadyAfter {
		early, late := slices.Max(l.sizes[60:steadyAfter]), slices.Max(l.sizes[steadyAfter:])
		if late > early+early/10 {
			l.problem("the tables took %d bytes in the first months, and %d later", early, late)
		}
	}
}

// What the year looks for is found when it is there. A month and a half is enough to see it.
func TestYear_WouldShowWhatIsWrong(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("three lives take some time")
	}
	const days = 40
	for name, tt := range map[string]struct {
		change func(*life)
		want   string
	}{
		"without Retention":    {func(l *life) { l.without = "retention" }, "days are there that no project keeps"},
		"without Partitions":   {func(l *life) { l.without = "partitions" }, "partitions reach to"},
		"events that are lost": {func(l *life) { l.queue.lose.Store(50) }, "are counted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := live(t, days, tt.change)
			if !slices.ContainsFunc(l.problems, func(p string) bool { return strings.Contains(p, tt.want) }) {
				t.Errorf("problems = %q, want one that %q", l.problems, tt.want)
			}
			if name == "without Retention" && l.sizes[days-1] < l.sizes[31]+l.sizes[31]/10 {
				t.Errorf("tables take %d bytes at the end and %d before: nothing grows", l.sizes[days-1], l.sizes[31])
			}
		})
	}
}

func TestYear(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a year takes a minute")
	}
	l := live(t, 366, nil)
	for _, p := range l.problems {
		t.Error(p)
	}
	if l.dropped < 366-31-2 || l.cleaned == 0 || l.whileGone == 0 {
		t.Errorf("%d days dropped, %d events deleted, %d requests meanwhile: the year was not lived through", l.dropped, l.cleaned, l.whileGone)
	}
	var events int64
	for _, days := range l.accepted {
		for _, n := range days {
			events += n
		}
	}
	t.Logf("%d events in %d messages, %d delivered again, the slowest in %s; %d days dropped, %d events deleted; tables: %d KB after 31 days, %d KB after 100, %d KB at the end; database %d KB",
		events, l.queue.published.Load(), l.queue.again.Load(), time.Duration(l.queue.slowest.Load()), l.dropped, l.cleaned,
		l.sizes[31]>>10, l.sizes[100]>>10, l.sizes[365]>>10, l.number(t, "select pg_database_size(current_database())")>>10)
}
