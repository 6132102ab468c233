package scheduler_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gcs "cloud.google.com/go/scheduler/apiv1"
	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/job"
	local "github.com/mesherhq/mesher/shared/local/scheduler"
	"github.com/mesherhq/mesher/shared/loopback"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/schedule"
	"github.com/mesherhq/mesher/shared/scheduler"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const parent = "projects/local-test/locations/here"

// bundle is a client of a Cloud Scheduler whose time the test moves.
type bundle struct {
	*scheduler.Client
	server *local.Server
	hand   *clock.Hand
	raw    *gcs.CloudSchedulerClient
	config scheduler.Config
	target *httptest.Server
	status atomic.Int64 // what the target answers
}

func setup(t *testing.T, prefix string) *bundle {
	t.Helper()
	b := &bundle{hand: clock.NewHand(time.Date(2030, 1, 31, 23, 59, 30, 0, time.UTC))}
	b.status.Store(http.StatusOK)
	b.target = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(b.status.Load())) }))
	t.Cleanup(b.target.Close)
	var err error
	b.server, err = local.Open(t.Context(), local.Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Token: "EXAMPLETOKEN", Now: b.hand.Now})
	must(t, err)
	t.Cleanup(func() { _ = b.server.Close(context.Background()) })
	must(t, env.Read(env.Map(map[string]string{
		"GOOGLE_CLOUD_PROJECT": "local-test", "SCHEDULER_LOCATION": "here", "SCHEDULER_PREFIX": prefix,
		"SCHEDULER_EMULATOR_HOST": b.server.Addr(), "SCHEDULER_EMULATOR_TOKEN": "EXAMPLETOKEN",
	}), &b.config))
	b.Client, err = scheduler.Open(t.Context(), b.config)
	must(t, err)
	conn, err := grpc.NewClient(b.server.Addr(), loopback.Dial("EXAMPLETOKEN")...)
	must(t, err)
	b.raw, err = gcs.NewCloudSchedulerClient(t.Context(), option.WithGRPCConn(conn))
	must(t, err)
	t.Cleanup(func() {
		_ = b.raw.Close()
		_ = b.Close()
	})
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// calls has every job call the bundle's target.
func (b *bundle) calls(j schedule.Job) (scheduler.Target, bool) {
	return scheduler.Target{URL: b.target.URL + "/" + j.Name + "?secret=1", ServiceAccount: "jobs@example.com"}, true
}

func nowhere(schedule.Job) (scheduler.Target, bool) { return scheduler.Target{}, false }

// deploy creates the whole table.
func (b *bundle) deploy(t *testing.T) {
	t.Helper()
	_, err := b.Sync(t.Context(), schedule.Jobs(), b.calls, false)
	must(t, err)
}

// job returns a deployed job.
func (b *bundle) job(t *testing.T, name string) scheduler.Job {
	t.Helper()
	jobs, err := b.List(t.Context())
	must(t, err)
	for _, j := range jobs {
		if j.Name == name {
			return j
		}
	}
	t.Fatalf("there is no job %s among %v", name, jobs)
	return scheduler.Job{}
}

func actions(changes []scheduler.Change) string {
	var out []string
	for _, c := range changes {
		s := c.Job + " " + string(c.Action)
		if c.Done {
			s += " done"
		}
		out = append(out, strings.Join(append([]string{s}, c.Differs...), ": "))
	}
	return strings.Join(out, "\n")
}

func TestOpen(t *testing.T) {
	t.Parallel()
	if _, err := scheduler.Open(t.Context(), scheduler.Config{Project: "p"}); !fault.Is(err, fault.NotConfigured) || !strings.Contains(err.Error(), "SCHEDULER_LOCATION") {
		t.Errorf("without a place: %v", err)
	}
	var nobody *scheduler.Client
	if err := nobody.Close(); err != nil {
		t.Error(err)
	}
	b := setup(t, "")
	b.config.EmulatorToken = "wrong"
	c, err := scheduler.Open(t.Context(), b.config)
	must(t, err)
	defer c.Close()
	if _, err := c.List(t.Context()); !fault.Is(err, fault.NotConfigured) || !strings.Contains(err.Error(), "roles/cloudscheduler.viewer") {
		t.Errorf("with a wrong token: %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	b := setup(t, "mesher-")
	b.deploy(t)
	_, err := b.raw.CreateJob(t.Context(), &schedulerpb.CreateJobRequest{Parent: parent, Job: &schedulerpb.Job{
		Name: parent + "/jobs/backup", Schedule: "0 0 * * *",
		Target: &schedulerpb.Job_HttpTarget{HttpTarget: &schedulerpb.HttpTarget{Uri: "http://127.0.0.1:1/"}},
	}})
	must(t, err)
	b.status.Store(http.StatusServiceUnavailable)
	must(t, b.server.Advance(t.Context(), b.hand.Now().Add(45*time.Second), b.hand.Set))
	jobs, err := b.List(t.Context())
	must(t, err)
	if len(jobs) != len(schedule.Jobs()) {
		t.Errorf("listed %v: those of others are not ours", jobs)
	}
	at := func(h, m, s int) time.Time { return time.Date(2030, 2, 1, h, m, s, 0, time.UTC) }
	want := scheduler.Job{
		Name: "probe", State: scheduler.Enabled, Cron: "* * * * *", Zone: "Etc/UTC", Deadline: 2 * time.Minute, Target: b.target.URL + "/probe",
		LastAttempt: at(0, 0, 0), LastStatus: "Unavailable: the target answered 503 Service Unavailable", Next: at(0, 1, 0),
		Changed: time.Date(2030, 1, 31, 23, 59, 30, 0, time.UTC),
	}
	if diff := cmp.Diff(want, b.job(t, "probe")); diff != "" {
		t.Errorf("a job (-want +got):\n%s", diff)
	}
	b.status.Store(http.StatusOK)
	must(t, b.server.Advance(t.Context(), at(0, 1, 0), b.hand.Set))
	if got := b.job(t, "probe"); got.LastStatus != scheduler.StatusOK {
		t.Errorf("its last attempt is %q", got.LastStatus)
	}
	if got := b.job(t, "partitions"); got.LastStatus != "" || !got.LastAttempt.IsZero() {
		t.Errorf("one that never ran: %+v", got)
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	b := setup(t, "mesher-")
	b.deploy(t)
	for range 2 { // what is so already stays so
		if j, err := b.Pause(t.Context(), "probe"); err != nil || j.State != scheduler.Paused || j.Name != "probe" {
			t.Errorf("pause: %+v, %v", j, err)
		}
	}
	if j, err := b.Run(t.Context(), "probe"); err != nil || !j.LastAttempt.Equal(b.hand.Now()) {
		t.Errorf("run: %+v, %v", j, err)
	}
	for range 2 {
		if j, err := b.Resume(t.Context(), "probe"); err != nil || j.State != scheduler.Enabled {
			t.Errorf("resume: %+v, %v", j, err)
		}
	}
	for what, do := range map[string]func(context.Context, string) (scheduler.Job, error){"run": b.Run, "pause": b.Pause, "resume": b.Resume} {
		if _, err := do(t.Context(), "nonsense"); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s what there is none of: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Run(ctx, "probe"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a call that is given up: %v", err)
	}
}

func TestSync(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	table := schedule.Jobs()
	sync := func(target func(schedule.Job) (scheduler.Target, bool), dry bool) string {
		t.Helper()
		changes, err := b.Sync(t.Context(), table, target, dry)
		must(t, err)
		return actions(changes)
	}
	if got := sync(nowhere, false); got != "partitions missing\nretention missing\nprobe missing\nalerts missing" {
		t.Errorf("without targets:\n%s", got)
	}
	if got := sync(b.calls, true); got != "partitions create\nretention create\nprobe create\nalerts create" {
		t.Errorf("dry:\n%s", got)
	}
	if jobs, err := b.List(t.Context()); err != nil || len(jobs) != 0 {
		t.Errorf("a dry run has made %v, %v", jobs, err)
	}
	if got := sync(b.calls, false); got != "partitions create done\nretention create done\nprobe create done\nalerts create done" {
		t.Errorf("for real:\n%s", got)
	}
	made, err := b.raw.GetJob(t.Context(), &schedulerpb.GetJobRequest{Name: parent + "/jobs/retention"})
	must(t, err)
	oidc := made.GetHttpTarget().GetOidcToken()
	if oidc.GetServiceAccountEmail() != "jobs@example.com" || oidc.GetAudience() != b.target.URL+"/retention" ||
		made.GetRetryConfig().GetRetryCount() != 3 || made.GetDescription() == "" {
		t.Errorf("created %v", made)
	}
	if got := sync(nowhere, false); got != "partitions same\nretention same\nprobe same\nalerts same" {
		t.Errorf("once in line:\n%s", got)
	}

	// What people change by hand. The target stays what they have made of it.
	made.Schedule, made.TimeZone = "0 3 * * *", "Europe/Berlin"
	made.GetHttpTarget().Uri = b.target.URL + "/elsewhere"
	_, err = b.raw.UpdateJob(t.Context(), &schedulerpb.UpdateJobRequest{Job: made})
	must(t, err)
	_, err = b.raw.PauseJob(t.Context(), &schedulerpb.PauseJobRequest{Name: made.GetName()})
	must(t, err)
	_, err = b.raw.CreateJob(t.Context(), &schedulerpb.CreateJobRequest{Parent: parent, Job: &schedulerpb.Job{
		Name: parent + "/jobs/backup", Schedule: "0 0 * * *", Target: made.GetTarget(),
	}})
	must(t, err)
	table[2].Deadline = time.Minute
	want := func(done string) string {
		return "partitions same\n" +
			`retention update` + done + `: schedule "0 3 * * *", not "40 * * * *": time zone Europe/Berlin, not UTC` + "\n" +
			`probe update` + done + `: deadline 2m0s, not 1m0s` + "\nalerts same\nbackup extra"
	}
	if diff := cmp.Diff(want(""), sync(b.calls, true)); diff != "" {
		t.Errorf("dry (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want(" done"), sync(b.calls, false)); diff != "" {
		t.Errorf("for real (-want +got):\n%s", diff)
	}
	got := b.job(t, "retention")
	if got.Cron != "40 * * * *" || got.Zone != "Etc/UTC" || got.Target != b.target.URL+"/elsewhere" || got.State != scheduler.Paused {
		t.Errorf("brought in line: %+v", got)
	}
	if got := b.job(t, "probe"); got.Deadline != time.Minute {
		t.Errorf("brought in line: %+v", got)
	}
	if got := sync(b.calls, false); !strings.HasSuffix(got, "alerts same\nbackup extra") || strings.Contains(got, "update") {
		t.Errorf("once in line again:\n%s", got)
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	probe, _ := schedule.Find("probe")
	for _, path := range []string{"/a", "/b"} {
		if j, err := b.Put(t.Context(), probe, scheduler.Target{URL: b.target.URL + path}); err != nil || j.Target != b.target.URL+path {
			t.Errorf("put: %+v, %v", j, err)
		}
		_, err := b.Pause(t.Context(), "probe")
		must(t, err)
	}
	if got := b.job(t, "probe"); got.State != scheduler.Paused {
		t.Errorf("it is %s: what is paused stays so", got.State)
	}
	if _, err := b.Put(t.Context(), probe, scheduler.Target{URL: "ftp://x"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a target that is none: %v", err)
	}
}

// deployed returns the table as it is deployed and works, at a time.
func deployed(now time.Time) []scheduler.Job {
	var out []scheduler.Job
	for _, j := range schedule.Jobs() {
		out = append(out, scheduler.Job{
			Name: j.Name, State: scheduler.Enabled, Cron: j.Cron, Zone: "UTC", Deadline: j.Deadline,
			LastAttempt: now.Add(-j.Period), LastStatus: scheduler.StatusOK, Changed: now.AddDate(-1, 0, 0),
		})
	}
	return out
}

func recorded(now time.Time) map[string]job.Last {
	out := map[string]job.Last{}
	for _, j := range schedule.Jobs() {
		out[j.Name] = job.Last{StartedAt: now.Add(-j.Period), Outcome: job.Done}
	}
	return out
}

func TestCheck(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 2, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		edit func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job
		want []string
	}{
		"all is well":     {func(jobs []scheduler.Job, _ map[string]job.Last) []scheduler.Job { return jobs }, nil},
		"nobody may look": {func([]scheduler.Job, map[string]job.Last) []scheduler.Job { return nil }, nil},
		"missing": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			delete(runs, "partitions")
			return jobs[1:]
		}, []string{"partitions is missing in Cloud Scheduler"}},
		"paused": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			jobs[0].State, jobs[0].LastAttempt = scheduler.Paused, now.AddDate(0, 0, -9)
			runs["partitions"] = job.Last{StartedAt: now.AddDate(0, 0, -9), Outcome: job.Done}
			return jobs
		}, []string{"partitions is paused"}},
		"disabled by Google": {func(jobs []scheduler.Job, _ map[string]job.Last) []scheduler.Job {
			jobs[1].State = scheduler.UpdateFailed
			return jobs
		}, []string{"retention is update failed"}},
		"another schedule": {func(jobs []scheduler.Job, _ map[string]job.Last) []scheduler.Job {
			jobs[0].Cron, jobs[0].Zone, jobs[0].Deadline = "0 0 * * *", "Europe/Berlin", time.Minute
			return jobs
		}, []string{
			`partitions has the schedule "0 0 * * *", not "10 */6 * * *"`, "partitions has the time zone Europe/Berlin, not UTC",
			"partitions has the deadline 1m0s, not 5m0s",
		}},
		"the last attempt failed": {func(jobs []scheduler.Job, _ map[string]job.Last) []scheduler.Job {
			jobs[2].LastStatus = "Internal"
			return jobs
		}, []string{"the last attempt of probe failed (Internal)"}},
		"the last run failed": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			runs["alerts"] = job.Last{StartedAt: now, Outcome: job.Failed, Failed: map[string]string{"sweep": "no", "rules": "why"}}
			return jobs
		}, []string{"the last run of alerts failed (rules: why; sweep: no)"}},
		"the last run died": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			runs["retention"] = job.Last{StartedAt: now.Add(-11 * time.Minute), Outcome: job.Running}
			return jobs
		}, []string{"the last run of retention, of 2030-02-01 11:49:00 UTC, did not come to its end"}},
		"a run is under way": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			runs["retention"] = job.Last{StartedAt: now.Add(-9 * time.Minute), Outcome: job.Running}
			return jobs
		}, nil},
		"late by both sources": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			jobs[0].LastAttempt = now.Add(-12*time.Hour - time.Second)
			runs["partitions"] = job.Last{StartedAt: now.Add(-12*time.Hour - time.Second), Outcome: job.Done}
			return jobs
		}, []string{
			"partitions is late: it was last called 2030-01-31 23:59:59 UTC, and it is to run every 6h",
			"partitions is late: its last recorded run began 2030-01-31 23:59:59 UTC, and it is to run every 6h",
		}},
		"called, but never begun": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			delete(runs, "probe")
			return jobs
		}, []string{"probe is late: no run of it is recorded, and it is to run every 1m"}},
		"just in time": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			jobs[0].LastAttempt = now.Add(-12 * time.Hour)
			runs["partitions"] = job.Last{StartedAt: now.Add(-12 * time.Hour), Outcome: job.Done}
			return jobs
		}, nil},
		"just created": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			jobs[0].LastAttempt, jobs[0].LastStatus, jobs[0].Changed = time.Time{}, "", now.Add(-time.Hour)
			delete(runs, "partitions")
			return jobs
		}, nil},
		"created long ago, and never called": {func(jobs []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			jobs[0].LastAttempt, jobs[0].LastStatus, jobs[0].Changed = time.Time{}, "", now.Add(-13*time.Hour)
			delete(runs, "partitions")
			return jobs
		}, []string{
			"partitions is late: it was never called, and it is to run every 6h", "partitions is late: no run of it is recorded, and it is to run every 6h",
		}},
		"nobody may look, and it is late": {func(_ []scheduler.Job, runs map[string]job.Last) []scheduler.Job {
			runs["probe"] = job.Last{StartedAt: now.Add(-3 * time.Minute), Outcome: job.Done}
			delete(runs, "alerts")
			return nil
		}, []string{
			"probe is late: its last recorded run began 2030-02-01 11:57:00 UTC, and it is to run every 1m",
			"alerts is late: no run of it is recorded, and it is to run every 1m",
		}},
	} {
		jobs, runs := deployed(now), recorded(now)
		ok, problems := scheduler.Check(tt.edit(jobs, runs), runs, now)
		if diff := cmp.Diff(tt.want, problems); diff != "" || ok != (tt.want == nil) {
			t.Errorf("%s: %t (-want +got):\n%s", name, ok, diff)
		}
	}
}

func TestClient_Check(t *testing.T) {
	t.Parallel()
	b := setup(t, "")
	db := pgtest.New(t).Pool(t, pgtest.App)
	b.deploy(t)
	run := func(name string, do func(context.Context, *job.Run) error) {
		t.Helper()
		r := job.Runner{Name: name, Pool: db, Now: b.hand.Now, Most: time.Minute, Log: quiet()}
		_, err := r.Run(t.Context(), false, do)
		must(t, err)
	}
	check := func(c *scheduler.Client) string {
		t.Helper()
		ok, problems, err := c.Check(t.Context(), db, b.hand.Now())
		must(t, err)
		if ok != (problems == nil) {
			t.Errorf("%t with the problems %v", ok, problems)
		}
		return strings.Join(problems, "\n")
	}
	if got := check(b.Client); got != "" {
		t.Errorf("just deployed:\n%s", got)
	}
	well := func(context.Context, *job.Run) error { return nil }
	for _, j := range schedule.Jobs() {
		run(j.Name, well)
	}
	if got := check(nil); got != "" {
		t.Errorf("with records alone:\n%s", got)
	}
	run("alerts", func(context.Context, *job.Run) error { return fault.New(fault.Invalid, "it is wrong") })
	if got := check(b.Client); got != "the last run of alerts failed (run: it is wrong)" {
		t.Errorf("after a run that failed:\n%s", got)
	}
	b.config.EmulatorToken = "wrong"
	stranger, err := scheduler.Open(t.Context(), b.config)
	must(t, err)
	defer stranger.Close()
	if got := check(stranger); !strings.Contains(got, "does not allow it") || !strings.HasSuffix(got, "alerts failed (run: it is wrong)") || strings.Contains(got, "missing") {
		t.Errorf("where it may not look:\n%s", got)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestEvery(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Minute: "1m", 10 * time.Minute: "10m", 30 * time.Second: "30s", time.Hour: "1h", 10 * time.Hour: "10h", 90 * time.Minute: "1h30m", 24 * time.Hour: "24h",
	} {
		if got := scheduler.Every(d); got != want {
			t.Errorf("%s is shown as %s, want %s", d, got, want)
		}
	}
}
