package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/job"
	laptop "github.com/mesherhq/mesher/shared/local/scheduler"
	"github.com/mesherhq/mesher/shared/schedule"
	"github.com/mesherhq/mesher/shared/scheduler"
)

// deploy gives the function a Cloud Scheduler with all jobs. Its time stands still, so they run only when they are asked to.
func (b *bundle) deploy(t *testing.T) (*scheduler.Client, *laptop.Server) {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(target.Close)
	hand := clock.NewHand(time.Now())
	s, err := laptop.Open(t.Context(), laptop.Options{Path: filepath.Join(t.TempDir(), "jobs.db"), Token: "EXAMPLETOKEN", Now: hand.Now})
	must(t, err)
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	c, err := scheduler.Open(t.Context(), scheduler.Config{Project: "p", Location: "here", EmulatorHost: s.Addr(), EmulatorToken: "EXAMPLETOKEN"})
	must(t, err)
	_, err = c.Sync(t.Context(), schedule.Jobs(), func(schedule.Job) (scheduler.Target, bool) {
		return scheduler.Target{URL: target.URL + "/?token=SECRET", Headers: map[string]string{"Authorization": "SECRET"}}, true
	}, false)
	must(t, err)
	b.function.WithSchedule(c)
	return c, s
}

// ran records a run of a job.
func (b *bundle) ran(t *testing.T, name string, err error) {
	t.Helper()
	r := job.Runner{Name: name, Pool: b.app, Now: clock.Of(t.Context()), Most: time.Minute, Log: slog.New(slog.DiscardHandler)}
	_, got := r.Run(t.Context(), false, func(ctx context.Context, run *job.Run) error {
		run.Step(ctx, "days", time.Minute, func(context.Context) (int64, int64, error) { return 3, 0, err })
		return nil
	})
	must(t, got)
}

func TestPlatformJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.deploy(t)
	root := b.user(t, "root")
	for _, name := range []string{"partitions", "probe", "alerts"} {
		b.ran(t, name, nil)
	}
	for range 12 {
		b.ran(t, "retention", fault.New(fault.Invalid, "it is wrong"))
	}
	a := b.get(t, root, "/platform/jobs")
	if strings.Contains(string(a.body), "SECRET") {
		t.Errorf("it shows what only the functions should know: %s", a.body)
	}
	got := read[api.PlatformJobs](a, http.StatusOK)
	if diff := cmp.Diff([]string{"the last run of retention failed (days: it is wrong)"}, got.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if names := names(got.Jobs, func(j api.PlatformJob) string { return j.Name }); strings.Join(names, " ") != "partitions retention probe alerts" {
		t.Fatalf("jobs: %v", names)
	}
	retention := got.Jobs[1]
	if retention.Cron != "40 * * * *" || retention.Doc == "" || retention.Deployed == nil || retention.Deployed.State != scheduler.Enabled ||
		retention.Deployed.Cron != retention.Cron || retention.Deployed.NextAttemptAt.IsZero() || len(retention.Runs) != 10 {
		t.Errorf("a job: %+v", retention)
	}
	if r := retention.Runs[0]; r.Outcome != job.Failed || r.FinishedAt.IsZero() || !strings.Contains(string(r.Summary), `"days"`) {
		t.Errorf("its last run: %+v", r)
	}

	// What is done to jobs.
	if j := read[api.DeployedJob](b.post(t, root, "/platform/jobs/probe/pause", nil), http.StatusOK); j.State != scheduler.Paused || j.Name != "probe" {
		t.Errorf("paused: %+v", j)
	}
	got = read[api.PlatformJobs](b.get(t, root, "/platform/jobs"), http.StatusOK)
	if got.Jobs[2].Deployed.State != scheduler.Paused || got.Problems[1] != "probe is paused" {
		t.Errorf("once paused: %+v, %v", got.Jobs[2].Deployed, got.Problems)
	}
	if j := read[api.DeployedJob](b.post(t, root, "/platform/jobs/probe/run", nil), http.StatusAccepted); j.LastAttemptAt.IsZero() {
		t.Errorf("run: %+v", j)
	}
	if j := read[api.DeployedJob](b.post(t, root, "/platform/jobs/probe/resume", nil), http.StatusOK); j.State != scheduler.Enabled {
		t.Errorf("resumed: %+v", j)
	}
	b.post(t, root, "/platform/jobs/nonsense/run", nil).refused(http.StatusNotFound, "not_found", "no such job")
	want := []string{"job.pause job probe {}", "job.run job probe {}", "job.resume job probe {}"}
	if diff := cmp.Diff(want, b.trail(t)); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
	if all := items[map[string]any](t, b, root, "/user/activity?action=job"); len(all) != 3 {
		t.Errorf("what the operator did: %v", all)
	}
}

func TestPlatformJobs_WhereNobodyMayLook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	root := b.user(t, "root")
	got := read[api.PlatformJobs](b.get(t, root, "/platform/jobs"), http.StatusOK)
	if len(got.Jobs) != 4 || got.Jobs[0].Deployed != nil || len(got.Problems) != 4 || !strings.Contains(got.Problems[0], "no run of it is recorded") {
		t.Errorf("without Cloud Scheduler: %+v", got)
	}
	b.post(t, root, "/platform/jobs/probe/run", nil).refused(http.StatusServiceUnavailable, "not_configured", "SCHEDULER_LOCATION")

	_, server := b.deploy(t)
	must(t, server.Close(t.Context()))
	got = read[api.PlatformJobs](b.get(t, root, "/platform/jobs"), http.StatusOK)
	if len(got.Problems) != 5 || !strings.Contains(got.Problems[0], "does not answer") || got.Jobs[0].Deployed != nil {
		t.Errorf("while it is away: %+v", got)
	}
	b.post(t, root, "/platform/jobs/probe/pause", nil).refused(http.StatusServiceUnavailable, "unavailable", "does not answer")
	if log := b.trail(t); len(log) != 0 {
		t.Errorf("what did not happen is noted: %v", log)
	}
}

func TestOperator(t *testing.T) {
	t.Parallel()
	b := setup(t)
	root := b.user(t, "root")
	o := b.organization(t, root, "Acme")
	b.get(t, root, "/platform/jobs").is(http.StatusOK)
	b.get(t, b.token(t, root, account.ScopeAdmin, uuid.Nil), "/platform/jobs").is(http.StatusOK)
	b.get(t, b.token(t, root, account.ScopeWrite, uuid.Nil), "/platform/jobs").refused(http.StatusForbidden, "scope_too_low", "this needs admin")
	b.get(t, b.token(t, root, account.ScopeAdmin, o.ID), "/platform/jobs").refused(http.StatusForbidden, "token_bound", "all organizations")
	// An address counts in whatever case, but only once it is shown to be the user's own.
	b.Exec(t, "update mesher.users set email = 'Root@Example.com'")
	b.get(t, root, "/platform/jobs").is(http.StatusOK)
	b.Exec(t, "update mesher.users set email_verified_at = null")
	b.get(t, root, "/platform/jobs").refused(http.StatusForbidden, "not_operator", "OPERATORS")

	_, err := api.New(api.Config{Operators: []string{"root"}, Passwords: cheap}, b.app, nil, slog.New(slog.DiscardHandler))
	if !fault.Is(err, fault.NotConfigured) || !strings.Contains(err.Error(), "OPERATORS") {
		t.Errorf("an operator without an address: %v", err)
	}
	if _, err := api.New(api.Config{Operators: []string{"", " a@example.com "}, Passwords: cheap}, b.app, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Errorf("operators with spaces around them: %v", err)
	}
}
