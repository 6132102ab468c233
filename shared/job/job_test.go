package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// patience bounds every wait for something that has to come.
const patience = 30 * time.Second

// bundle is a job's runner on a database of its own, in a time that stands still.
type bundle struct {
	*pgtest.Database
	pool *pgxpool.Pool
	log  *strings.Builder
	hand *clock.Hand
	job.Runner
}

func setup(t *testing.T) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{
		Database: db, pool: db.Pool(t, pgtest.App), log: new(strings.Builder),
		hand: clock.NewHand(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)),
	}
	b.Runner = job.Runner{
		Name: "sweep", Pool: b.pool, Log: slog.New(slog.NewTextHandler(b.log, nil)), Now: b.hand.Now, Most: time.Minute,
	}
	return b
}

// runs returns the outcome of every run with the part of its summary that does not vary, the oldest first.
func (b *bundle) runs(t *testing.T) []string {
	t.Helper()
	rows, err := b.pool.Query(t.Context(), `
		select outcome || ' ' || (finished_at is not null) || ' ' || (summary - 'took_ms' - 'job')::text from mesher.job_runs order by id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// post calls the function over HTTP.
func post(t *testing.T, h http.Handler, method, query string) (status int, header http.Header, body map[string]any) {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return resp.StatusCode, resp.Header, body
}

// nothing is a run that has nothing to do.
func nothing(context.Context, *job.Run) error { return nil }

func TestHandler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var dry []bool
	h := b.Handler(func(_ context.Context, run *job.Run) error {
		dry = append(dry, run.DryRun)
		return nil
	})
	for _, tt := range []struct {
		method, query string
		status        int
		code          string
	}{
		{http.MethodGet, "", http.StatusMethodNotAllowed, "method_not_allowed"},
		{http.MethodPost, "?dry_run=maybe", http.StatusBadRequest, "invalid"},
		{http.MethodPost, "?dry_run=true&dry_run=false", http.StatusBadRequest, "invalid"},
	} {
		status, header, body := post(t, h, tt.method, tt.query)
		if status != tt.status || body["code"] != tt.code {
			t.Errorf("%s %s is answered %d %v", tt.method, tt.query, status, body)
		}
		if status == http.StatusMethodNotAllowed && header.Get("Allow") != http.MethodPost {
			t.Errorf("it does not say which method: %v", header)
		}
	}
	if runs := b.runs(t); dry != nil || runs != nil {
		t.Errorf("what is refused runs all the same: %v, %v", dry, runs)
	}
	for _, query := range []string{"", "?dry_run=true", "?dry_run=1", "?dry_run=false"} {
		if status, _, body := post(t, h, http.MethodPost, query); status != http.StatusOK || body["job"] != "sweep" {
			t.Errorf("%s is answered %d %v", query, status, body)
		}
	}
	if diff := cmp.Diff([]bool{false, true, true, false}, dry); diff != "" {
		t.Errorf("dry runs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		`done true {"done": {}}`, `done true {"done": {}, "dry_run": true}`, `done true {"done": {}, "dry_run": true}`, `done true {"done": {}}`,
	}, b.runs(t)); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

func TestRun_Steps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.Handler(func(ctx context.Context, run *job.Run) error {
		run.Step(ctx, "first", time.Minute, func(context.Context) (int64, int64, error) { return 3, 2, errors.New("secret") })
		run.Step(ctx, "broken", time.Minute, func(context.Context) (int64, int64, error) { panic("secret") })
		run.Step(ctx, "slow", time.Millisecond, func(ctx context.Context) (int64, int64, error) {
			<-ctx.Done()
			return 1, 1, fault.New(fault.Conflict, "it is \x00 busy")
		})
		for range 2 {
			run.Step(ctx, "last", time.Minute, func(context.Context) (int64, int64, error) { return 4, 1, nil })
		}
		run.Report(map[string]string{"horizon": "2030"})
		return nil
	})
	status, _, body := post(t, h, http.MethodPost, "")
	if status != http.StatusOK {
		t.Errorf("status %d: nothing of this gets better by trying again", status)
	}
	delete(body, "took_ms")
	want := map[string]any{
		"job": "sweep", "report": map[string]any{"horizon": "2030"},
		"done":      map[string]any{"first": 3.0, "broken": 0.0, "slow": 1.0, "last": 8.0},
		"remaining": map[string]any{"first": 2.0, "slow": 1.0, "last": 2.0},
		"failed": map[string]any{
			"first": "it failed; the log has the details", "broken": "it failed; the log has the details", "slow": "it is \x00 busy",
		},
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("answered (-want +got):\n%s", diff)
	}
	if log := b.log.String(); !strings.Contains(log, "panic: secret") || !strings.Contains(log, "job_test.go") {
		t.Errorf("the log does not say where it panicked:\n%s", log)
	}
	if runs := b.runs(t); len(runs) != 1 || !strings.HasPrefix(runs[0], "failed true ") || !strings.Contains(runs[0], `"horizon": "2030"`) ||
		strings.Contains(runs[0], "secret") {
		t.Errorf("recorded %v", runs)
	}
}

func TestRun_AsksForARetryOnlyWhereItHelps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, tt := range map[string]struct {
		err    error
		status int
	}{
		"unavailable":   {fault.New(fault.Unavailable, "it is away"), http.StatusServiceUnavailable},
		"out of time":   {context.DeadlineExceeded, http.StatusServiceUnavailable},
		"misconfigured": {fault.New(fault.NotConfigured, "it is not set"), http.StatusOK},
		"a bug":         {errors.New("bug"), http.StatusOK},
	} {
		for where, do := range map[string]func(ctx context.Context, run *job.Run) error{
			"in a step": func(ctx context.Context, run *job.Run) error {
				run.Step(ctx, "only", time.Minute, func(context.Context) (int64, int64, error) { return 0, 0, tt.err })
				return nil
			},
			"outside of steps": func(context.Context, *job.Run) error { return tt.err },
		} {
			status, _, body := post(t, b.Handler(do), http.MethodPost, "")
			if status != tt.status {
				t.Errorf("%s %s: status %d, want %d: %v", name, where, status, tt.status, body)
			}
			summary := body
			if status != http.StatusOK {
				summary, _ = body["summary"].(map[string]any)
			}
			if failed, ok := summary["failed"].(map[string]any); !ok || len(failed) != 1 {
				t.Errorf("%s %s: the answer does not say what failed: %v", name, where, body)
			}
		}
	}
	for _, run := range b.runs(t) {
		if !strings.HasPrefix(run, "failed true ") {
			t.Errorf("recorded %s", run)
		}
	}
	if status, _, _ := post(t, b.Handler(nothing), http.MethodPost, ""); status != http.StatusOK {
		t.Errorf("after runs that failed: status %d, want 200: they gave the lease back", status)
	}
}

// busy starts a run and returns once it works; end lets it end, and returns once it has.
func (b *bundle) busy(t *testing.T, r job.Runner) (end func()) {
	t.Helper()
	working, goOn, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		if s, err := r.Run(t.Context(), false, func(context.Context, *job.Run) error {
			close(working)
			<-goOn
			return nil
		}); err != nil || s.Skipped != "" {
			t.Errorf("the first run: %+v, %v", s, err)
		}
	}()
	select {
	case <-working:
	case <-time.After(patience):
		t.Fatal("the first run does not begin")
	}
	return func() {
		close(goOn)
		<-over
	}
}

func TestRun_OneAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	end := b.busy(t, b.Runner)
	status, _, body := post(t, b.Handler(func(context.Context, *job.Run) error {
		t.Error("two runs work at once")
		return nil
	}), http.MethodPost, "")
	if status != http.StatusOK || body["skipped"] != "another run is under way" {
		t.Errorf("while one works, another is answered %d %v", status, body)
	}
	// A dry run changes nothing, and another job is another matter.
	if _, _, body := post(t, b.Handler(nothing), http.MethodPost, "?dry_run=true"); body["skipped"] != nil {
		t.Errorf("a dry run is skipped: %v", body)
	}
	other := b.Runner
	other.Name = "other"
	if _, _, body := post(t, other.Handler(nothing), http.MethodPost, ""); body["skipped"] != nil {
		t.Errorf("another job is skipped: %v", body)
	}
	end()
	if _, _, body := post(t, b.Handler(nothing), http.MethodPost, ""); body["skipped"] != nil {
		t.Errorf("a run after the end of the first is skipped: %v", body)
	}
	if diff := cmp.Diff([]string{
		`done true {"done": {}}`, `skipped true {"done": {}, "skipped": "another run is under way"}`,
		`done true {"done": {}, "dry_run": true}`, `done true {"done": {}}`, `done true {"done": {}}`,
	}, b.runs(t)); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

func TestRun_SharedRunsOverlap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Shared = true
	end := b.busy(t, b.Runner)
	if _, _, body := post(t, b.Handler(nothing), http.MethodPost, ""); body["skipped"] != nil {
		t.Errorf("a second run is skipped: %v", body)
	}
	end()
}

// An instance that is killed runs nothing more, not even what is deferred to the end of a run.
func TestRun_DiesWithItsInstance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		_, _ = b.Run(t.Context(), false, func(context.Context, *job.Run) error {
			runtime.Goexit()
			return nil
		})
	}()
	<-dead
	if diff := cmp.Diff([]string{`running false {"done": {}}`}, b.runs(t)); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	if _, _, body := post(t, b.Handler(nothing), http.MethodPost, ""); body["skipped"] == nil {
		t.Errorf("the lease of the dead is not waited for: %v", body)
	}
	var left time.Duration
	if err := b.pool.QueryRow(t.Context(), "select leased_until - clock_timestamp() from mesher.job_leases").Scan(&left); err != nil ||
		left <= 0 || left > b.Most+10*time.Second {
		t.Errorf("the lease lasts for %s more, %v; want at most the run's time and 10 s", left, err)
	}
	b.Exec(t, "update mesher.job_leases set leased_until = clock_timestamp() - interval '1 millisecond'")
	if _, _, body := post(t, b.Handler(nothing), http.MethodPost, ""); body["skipped"] != nil {
		t.Errorf("the lease of the dead does not end: %v", body)
	}
}

// Whoever was thought dead must not end the lease of the next.
func TestRun_LateEndLeavesTheNextLeaseAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	endFirst := b.busy(t, b.Runner)
	b.Exec(t, "update mesher.job_leases set leased_until = clock_timestamp() - interval '1 millisecond'")
	endSecond := b.busy(t, b.Runner)
	endFirst()
	if _, _, body := post(t, b.Handler(nothing), http.MethodPost, ""); body["skipped"] == nil {
		t.Errorf("the second run lost its lease to the end of the first: %v", body)
	}
	endSecond()
}

func TestRun_LeavesWhatItsTimeDoesNotReachTo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Most = 5 * time.Second // all of it is for the end
	s, err := b.Run(t.Context(), false, func(ctx context.Context, run *job.Run) error {
		if left := run.Time(); left > 0 {
			t.Errorf("there are %s left", left)
		}
		run.Step(ctx, "late", time.Minute, func(context.Context) (int64, int64, error) {
			t.Error("a step begins after the run's time")
			return 1, 0, nil
		})
		return nil
	})
	if err != nil || s.Remaining["late"] != 1 || len(s.Failed) != 0 {
		t.Errorf("%+v, %v; want the step to remain", s, err)
	}
	if _, ok := s.Done["late"]; !ok {
		t.Errorf("the summary does not name the step: %+v", s)
	}
}

func TestRun_BoundsSteps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for most, want := range map[time.Duration]time.Duration{time.Hour: b.Most, time.Second: time.Second} {
		if _, err := b.Run(t.Context(), false, func(ctx context.Context, run *job.Run) error {
			run.Step(ctx, "only", most, func(ctx context.Context) (int64, int64, error) {
				if ends, ok := ctx.Deadline(); !ok || time.Until(ends) > want {
					t.Errorf("a step of at most %s may take until %v", most, ends)
				}
				return 0, 0, nil
			})
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

// Who called may go away, and what has begun is ended all the same.
func TestRun_OutlivesItsCaller(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := b.Run(ctx, false, func(ctx context.Context, run *job.Run) error {
		cancel()
		run.Step(ctx, "only", time.Minute, func(ctx context.Context) (int64, int64, error) { return 1, 0, ctx.Err() })
		return nil
	})
	if err != nil || s.Done["only"] != 1 || len(s.Failed) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestRun_ReportsWithinBounds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, report := range map[string]any{
		"too large": strings.Repeat("x", 33<<10), "no JSON": func() {}, "too large as the report of one": []string{strings.Repeat("\x00", 32<<10)},
	} {
		s, err := b.Run(t.Context(), false, func(_ context.Context, run *job.Run) error {
			run.Report(report)
			return nil
		})
		if err != nil || s.Report != nil || s.Failed["report"] == "" {
			t.Errorf("%s: %v, %v", name, s.Failed, err)
		}
	}
	for _, run := range b.runs(t) {
		if !strings.HasPrefix(run, "failed true ") {
			t.Errorf("recorded %s", run)
		}
	}
}

func TestRun_WithoutDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.pool.Close()
	if _, err := b.Run(t.Context(), false, nothing); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v, want it to be tried again", err)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.hand.Set(time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC))
	run := func(dry bool, err error) {
		t.Helper()
		b.hand.Set(b.hand.Now().Add(time.Minute))
		if _, got := b.Run(t.Context(), dry, func(context.Context, *job.Run) error { return err }); got != nil {
			t.Fatal(got)
		}
	}
	if last, err := job.LastRuns(t.Context(), b.pool, []string{"sweep"}); err != nil || len(last) != 0 {
		t.Errorf("before the first run: %v, %v", last, err)
	}
	run(false, nil)
	run(false, fault.New(fault.Invalid, "it is wrong"))
	run(true, nil)
	end := b.busy(t, b.Runner)
	run(false, nil) // skipped
	end()
	b.Exec(t, "delete from mesher.job_runs where outcome = 'done' and summary ->> 'dry_run' is null")
	last, err := job.LastRuns(t.Context(), b.pool, []string{"sweep", "other"})
	if diff := cmp.Diff(map[string]job.Last{"sweep": {
		StartedAt: time.Date(2030, 1, 2, 0, 2, 0, 0, time.UTC), Outcome: job.Failed, Failed: map[string]string{"run": "it is wrong"},
	}}, last); diff != "" || err != nil {
		t.Errorf("last runs: %v (-want +got):\n%s", err, diff)
	}
	all, err := job.Recent(t.Context(), b.pool, []string{"other", "sweep"}, 2)
	if err != nil || len(all) != 1 || len(all["sweep"]) != 2 {
		t.Fatalf("recent runs: %v, %v", all, err)
	}
	newest := all["sweep"][0]
	if newest.Outcome != job.Skipped || !newest.StartedAt.Equal(b.hand.Now()) || !newest.FinishedAt.Equal(newest.StartedAt) ||
		!strings.Contains(string(newest.Summary), "under way") || all["sweep"][1].Outcome != job.Done {
		t.Errorf("recent runs: %+v", all["sweep"])
	}
}
