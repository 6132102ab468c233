package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/job"
	laptop "github.com/mesherhq/mesher/shared/local/scheduler"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/schedule"
	"github.com/mesherhq/mesher/shared/scheduler"
)

// jobsBundle is a Cloud Scheduler whose jobs are functions on a database.
type jobsBundle struct {
	*pgtest.Database
	jobsPlace
	targets []string
}

func newJobs(t *testing.T) *jobsBundle {
	t.Helper()
	db := pgtest.NewCluster(t).New(t)
	b := &jobsBundle{Database: db, jobsPlace: jobsPlace{db: db.Pool(t, pgtest.Admin)}}
	functions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		job.Runner{Name: name, Pool: b.db, Log: slog.New(slog.DiscardHandler), Now: clock.Of(r.Context()), Most: time.Minute}.
			Handler(func(ctx context.Context, run *job.Run) error {
				run.Step(ctx, "days", time.Minute, func(context.Context) (int64, int64, error) {
					if name == "retention" {
						return 2, 3, fault.New(fault.Invalid, "a day \x1b[31m stays")
					}
					return 14, 0, nil
				})
				run.Report(map[string]string{"horizon": "2030-01-01"})
				return nil
			}).ServeHTTP(w, r)
	}))
	t.Cleanup(functions.Close)
	s, err := laptop.Open(t.Context(), laptop.Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Token: "EXAMPLETOKEN"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	b.client, err = scheduler.Open(t.Context(), scheduler.Config{
		Project: "p", Location: "here", EmulatorHost: s.Addr(), EmulatorToken: "EXAMPLETOKEN",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.client.Close() })
	for _, j := range schedule.Jobs() {
		b.targets = append(b.targets, "-target", j.Name+"="+functions.URL+"/"+j.Name)
	}
	return b
}

// do runs a command line on the bundle.
func (b *jobsBundle) do(t *testing.T, args ...string) (string, error) {
	t.Helper()
	i := slices.IndexFunc(jobsActions(), func(a jobsAction) bool { return a.name == args[0] })
	if i < 0 {
		t.Fatalf("there is no action %s", args[0])
	}
	a := jobsActions()[i]
	o, err := a.options(args[1:])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = a.run(t.Context(), b.jobsPlace, o, &out)
	return out.String(), err
}

func (b *jobsBundle) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := b.do(t, args...)
	if err != nil {
		t.Fatalf("mesher jobs %v: %v\n%s", args, err, out)
	}
	return out
}

func TestJobs(t *testing.T) {
	t.Parallel()
	b := newJobs(t)
	contains(t, b.must(t, "list"), "(no jobs)", "! partitions is missing", "! alerts is missing")
	contains(t, b.must(t, "sync"), "partitions  missing", "give -target partitions=URL")
	contains(t, b.must(t, append([]string{"sync", "-dry-run"}, b.targets...)...), "probe       create", "not done: -dry-run")
	contains(t, b.must(t, "list"), "(no jobs)")
	// The minutes do not pass while a test looks.
	paused := func() {
		for _, name := range []string{"probe", "alerts"} {
			b.must(t, "pause", name)
		}
	}
	b.must(t, append([]string{"sync", "-service-account", "jobs@example.com"}, b.targets...)...)
	paused()

	out := b.must(t, "run", "partitions")
	contains(t, out, "partitions: done within", "days  14 done  0 left", `"horizon": "2030-01-01"`)
	out, err := b.do(t, "run", "retention", "-wait", "1m")
	if err == nil || !strings.Contains(err.Error(), "the run of retention failed") || strings.Contains(out, "\x1b") {
		t.Errorf("a run that fails: %v\n%q", err, out)
	}
	contains(t, out, "retention: failed", "days  2 done  3 left", "stays")
	if run := decoded[job.Record](t, b.must(t, "run", "-json", "partitions")); run.Outcome != job.Done || run.FinishedAt.IsZero() {
		t.Errorf("as JSON: %+v", run)
	}
	b.Exec(t, "insert into mesher.job_leases (job, holder, leased_until) values ('probe', gen_random_uuid(), now() + interval '1 hour')")
	contains(t, b.must(t, "run", "probe"), "probe was skipped: another run is under way")
	contains(t, b.must(t, "run", "-wait", "0", "alerts"), "alerts is called")

	b.Exec(t, "insert into mesher.job_runs (id, job, outcome, summary, started_at, finished_at) values (gen_random_uuid(), 'alerts', 'done', '{\"dry_run\": true}', '2040-01-01', '2040-01-01')")
	out = b.must(t, "list")
	contains(t, out, "dry run done 2040-01-01 00:00:00  -\n") // a job that is paused has no next call
	contains(t, out, "probe       paused", "partitions  enabled", "done 20", "failed 20", "! probe is paused", "! the last run of retention failed (days:")
	if strings.Contains(out, "\x1b") || strings.Contains(out, "partitions is") {
		t.Errorf("listed:\n%q", out)
	}
	shown := decoded[shownSchedule](t, b.must(t, "list", "-json"))
	if len(shown.Jobs) != 4 || len(shown.Problems) != 3 || shown.Jobs[2].Name != "probe" || shown.Jobs[2].LastRun.Outcome != job.Skipped {
		t.Errorf("as JSON: %+v", shown)
	}

	contains(t, b.must(t, "resume", "probe"), "probe is enabled; it is called next at")
	if j := decoded[scheduler.Job](t, b.must(t, "pause", "-json", "probe")); j.State != scheduler.Paused {
		t.Errorf("as JSON: %+v", j)
	}
	changes := decoded[[]scheduler.Change](t, b.must(t, "sync", "-json"))
	if len(changes) != 4 || changes[0].Action != scheduler.Same {
		t.Errorf("as JSON: %+v", changes)
	}

	want := []string{
		"job.sync job f partitions", "job.sync job f retention", "job.sync job f probe", "job.sync job f alerts",
		"job.pause job f probe", "job.pause job f alerts", "job.run job f partitions", "job.run job f retention", "job.run job f partitions",
		"job.run job f probe", "job.run job f alerts", "job.resume job f probe", "job.pause job f probe",
	}
	if diff := cmp.Diff(want, trail(t, b.db)); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}

	// Without a database the schedule is still there.
	b.db = nil
	contains(t, b.must(t, "run", "partitions"), "partitions is called")
	contains(t, b.must(t, "list"), "DATABASE_URL is not set", "! probe is paused")
}

func TestJobs_WaitsInVain(t *testing.T) {
	t.Parallel()
	b := newJobs(t)
	run, err := b.awaitRun(t.Context(), "probe", uuid.Nil, time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "no run has ended within 1ms") {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestJobs_SaysHowItIsUsed(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"jobs"}, 0, "mesher jobs <action>"},
		{[]string{"jobs", "nonsense"}, 2, `no action "nonsense"`},
		{[]string{"jobs", "run"}, 2, "mesher jobs run JOB"},
		{[]string{"jobs", "pause", "nonsense"}, 2, "it has partitions, retention, probe, alerts"},
		{[]string{"jobs", "pause", "probe", "alerts"}, 2, "no further argument"},
		{[]string{"jobs", "run", "probe", "-wait", "-1s"}, 2, "not negative"},
		{[]string{"jobs", "sync", "-target", "probe"}, 2, "write JOB=URL"},
		{[]string{"jobs", "list"}, 1, "make run"},
		{[]string{"jobs", "list", "-location", "europe-west1"}, 1, "GOOGLE_CLOUD_PROJECT"},
	} {
		if out, code := runProgram(t, home, tt.args...); code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("mesher %v ends with %d, want %d and %q:\n%s", tt.args, code, tt.code, tt.want, out)
		}
	}
}

func TestOpenJobs_MixesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		settings map[string]string
		want     string
	}{
		"a database, and no region": {map[string]string{"DATABASE_URL": "postgres://h/d", "GOOGLE_CLOUD_PROJECT": "p"}, "SCHEDULER_LOCATION"},
		"a region, and no project":  {map[string]string{"SCHEDULER_LOCATION": "here"}, "GOOGLE_CLOUD_PROJECT"},
	} {
		if _, err := openJobs(t.Context(), jobsOptions{}, env.Map(tt.settings)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := openJobs(t.Context(), jobsOptions{project: "p"}, env.Map(map[string]string{"SCHEDULER_LOCATION": "here", "SCHEDULER_EMULATOR_HOST": "127.0.0.1:1"}))
	if err != nil || p.db != nil {
		t.Fatalf("a deployment of which the database is not known: %+v, %v", p, err)
	}
	p.close()
}

// The commands find the platform on this machine, and what they change outlives it.
func TestJobs_OfThePlatform(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	p := start(t, home)
	list := func() []string {
		t.Helper()
		out, code := runProgram(t, home, "jobs", "list", "-json")
		if code != 0 {
			t.Fatalf("mesher jobs list ends with %d:\n%s", code, out)
		}
		var names []string
		for _, j := range decoded[shownSchedule](t, out).Jobs {
			names = append(names, j.Name+" "+string(j.State))
		}
		return names
	}
	var want []string
	for _, f := range mesher.Functions() {
		if f.Trigger == mesher.Schedule {
			want = append(want, strings.ToLower(f.Name)+" enabled")
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	do := func(args ...string) {
		t.Helper()
		if out, code := runProgram(t, home, append([]string{"jobs"}, args...)...); code != 0 {
			t.Fatalf("mesher jobs %v ends with %d:\n%s", args, code, out)
		}
	}
	do("sync", "-target", "partitions="+p.URL+"/health")
	do("pause", "partitions")
	p.interrupt(t)
	p = start(t, home)
	if got := list(); !slices.Contains(got, "partitions paused") {
		t.Errorf("after a restart: %v", got)
	}
	do("resume", "partitions")
	if got := list(); !slices.Contains(got, "partitions enabled") {
		t.Errorf("once resumed: %v", got)
	}
	p.interrupt(t)
	gone(t, home, p)
}
