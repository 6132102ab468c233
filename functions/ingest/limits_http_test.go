package ingest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// limitTest is Ingest with a clock to turn, which begins five seconds into a minute.
type limitTest struct {
	*harness
	clock atomic.Int64 // nanoseconds
}

func startLimits(t *testing.T, set string) *limitTest {
	t.Helper()
	l := &limitTest{harness: start(t, nil)}
	l.clock.Store(time.Now().UTC().Truncate(time.Minute).Add(5 * time.Second).UnixNano())
	l.now = func() time.Time { return time.Unix(0, l.clock.Load()) }
	if set != "" {
		l.key = l.newProjectWith("limited", set)
	}
	return l
}

// later turns the clock.
func (l *limitTest) later(d time.Duration) { l.clock.Add(int64(d)) }

// batchOf returns n events with a message.
func batchOf(n int, message string) string {
	return strings.Repeat(strings.Replace(good, "disk full", message, 1)+"\n", n)
}

// counted reports what is counted and returns the sum of it, of all projects.
func (l *limitTest) counted(t *testing.T) tenant.Usage {
	t.Helper()
	l.usage.flush(t.Context(), l.now())
	var u tenant.Usage
	if err := l.db.Pool(t, pgtest.Admin).QueryRow(t.Context(), `
		select sum(accepted)::bigint, sum(rejected)::bigint, sum(dropped)::bigint, sum(rate_limited)::bigint, sum(over_quota)::bigint,
		       sum(filtered)::bigint from mesher.usage`).
		Scan(&u.Accepted, &u.Rejected, &u.Dropped, &u.RateLimited, &u.OverQuota, &u.Filtered); err != nil {
		t.Fatal(err)
	}
	return u
}

func (l *limitTest) wantCounted(t *testing.T, want tenant.Usage) {
	t.Helper()
	if diff := cmp.Diff(want, l.counted(t)); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

// wantLimited checks an answer of which some or all was refused.
func wantLimited(t *testing.T, a answer, status, accepted, refused int, retryAfter, limits string) {
	t.Helper()
	if a.Status != status || len(a.Accepted) != accepted || len(a.Rejected) != refused {
		t.Fatalf("answered %d with %d accepted and %d rejected (%s), want %d with %d and %d",
			a.Status, len(a.Accepted), len(a.Rejected), a.Detail, status, accepted, refused)
	}
	if got := a.Header.Get("Retry-After"); got != retryAfter {
		t.Errorf("Retry-After: %s, want %s", got, retryAfter)
	}
	if got := a.Header.Get("X-Sentry-Rate-Limits"); got != limits {
		t.Errorf("X-Sentry-Rate-Limits: %s, want %s", got, limits)
	}
}

func TestIngest_RateLimit(t *testing.T) {
	t.Parallel()
	l := startLimits(t, "rate_limit = 3")
	const limits = "55:error;feedback:project:rate"
	a := l.post(batchOf(2, "one") + "{}\n")
	wantLimited(t, a, http.StatusAccepted, 2, 1, "", "")
	a = l.post(batchOf(2, "two") + "{}\n")
	wantLimited(t, a, http.StatusAccepted, 1, 2, "55", limits)
	if r := a.Rejected[1]; !r.Retryable || r.Index != 1 || !strings.Contains(r.Error, "3 events a minute") {
		t.Errorf("rejected: %+v", r)
	}
	a = l.post(batchOf(2, "three") + "{}\n")
	wantLimited(t, a, http.StatusTooManyRequests, 0, 3, "55", limits)
	if a.Code != "rate_limited" || !a.Rejected[0].Retryable {
		t.Errorf("answer: %+v", a)
	}
	if n := len(l.bus.events(t)); n != 3 {
		t.Errorf("%d events are published", n)
	}
	l.later(55 * time.Second)
	wantLimited(t, l.post(batchOf(3, "four")), http.StatusAccepted, 3, 0, "", "")
	// 11 valid ones and 3 invalid ones were sent.
	l.wantCounted(t, tenant.Usage{Accepted: 6, Rejected: 3, RateLimited: 3})
}

func TestIngest_RateLimitOfAKey(t *testing.T) {
	t.Parallel()
	l := startLimits(t, "")
	key := l.key
	l.db.Exec(t, "update mesher.api_keys set rate_limit = 1")
	other, err := tenant.EnsureKey(t.Context(), l.db.Pool(t, pgtest.Admin), l.project.ID, "other", "")
	if err != nil {
		t.Fatal(err)
	}
	wantLimited(t, l.post(batchOf(2, "one")), http.StatusAccepted, 1, 1, "55", "55:error;feedback:key:rate")
	l.key = other
	wantLimited(t, l.post(batchOf(2, "two")), http.StatusAccepted, 2, 0, "", "")
	l.key = key
	wantLimited(t, l.post(good), http.StatusTooManyRequests, 0, 1, "55", "55:error;feedback:key:rate")
	l.wantCounted(t, tenant.Usage{Accepted: 3, RateLimited: 2})
}

func TestIngest_Budget(t *testing.T) {
	t.Parallel()
	for set, scope := range map[string]string{
		"update mesher.projects set monthly_budget = 10":      "project",
		"update mesher.organizations set monthly_budget = 10": "organization",
	} {
		t.Run(scope, func(t *testing.T) {
			t.Parallel()
			l := startLimits(t, "")
			l.db.Exec(t, set, `insert into mesher.usage_months select id, date_trunc('month', now() at time zone 'utc')::date, 8 from mesher.projects`)
			a := l.post(batchOf(3, "one"))
			retry := a.Header.Get("Retry-After") // until the month ends, an hour at most
			limits := retry + ":error;feedback:" + scope + ":quota"
			wantLimited(t, a, http.StatusAccepted, 2, 1, retry, limits)
			a = l.post(batchOf(3, "two"))
			wantLimited(t, a, http.StatusTooManyRequests, 0, 3, retry, limits)
			if a.Code != "over_quota" || !strings.Contains(a.Detail, "10 events this month") {
				t.Errorf("answer: %+v", a)
			}
			l.wantCounted(t, tenant.Usage{Accepted: 2, OverQuota: 4})
		})
	}
}

// statusOf sends a request of any kind and returns the status and header of the answer.
func (l *limitTest) statusOf(t *testing.T, path, contentType, body string) (int, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Mesher-Key", l.key)
	req.Header.Set("Content-Type", contentType)
	resp, err := l.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header
}

func TestIngest_LimitsOfSentry(t *testing.T) {
	t.Parallel()
	l := startLimits(t, "")
	l.db.Exec(t, "update mesher.projects set rate_limit = 2")
	const event, session = `{"type":"event"}` + "\n" + `{"message":"x"}` + "\n", `{"type":"session"}` + "\n{}\n"
	path := fmt.Sprintf("/api/%d/envelope/", l.project.Number)
	for i, step := range []struct {
		items  string
		status int
		limits string
	}{
		{event + session, http.StatusOK, ""},
		{event + event, http.StatusOK, "55:error;feedback:project:rate"},
		{event + session, http.StatusTooManyRequests, "55:error;feedback:project:rate"},
		{session, http.StatusOK, ""},
		{session + session, http.StatusOK, ""},
	} {
		status, header := l.statusOf(t, path, "application/x-sentry-envelope", "{}\n"+step.items)
		if got := header.Get("X-Sentry-Rate-Limits"); status != step.status || got != step.limits {
			t.Errorf("step %d: %d with limits %q, want %d with %q", i, status, got, step.status, step.limits)
		}
		if (header.Get("Retry-After") == "") != (step.limits == "") {
			t.Errorf("step %d: Retry-After %q", i, header.Get("Retry-After"))
		}
	}
	l.wantCounted(t, tenant.Usage{Accepted: 2, RateLimited: 2})
	var sessions int
	if err := l.db.Pool(t, pgtest.Admin).QueryRow(t.Context(), "select sum(items)::bigint from mesher.usage_items where type = 'session'").Scan(&sessions); err != nil || sessions != 5 {
		t.Errorf("%d sessions are counted, %v", sessions, err)
	}
}

func TestIngest_LimitsOfOTLP(t *testing.T) {
	t.Parallel()
	l := startLimits(t, "rate_limit = 3")
	record := `{"severityNumber":17,"body":{"stringValue":"x"}}`
	export := func(n int) string {
		return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[` + strings.TrimSuffix(strings.Repeat(record+",", n), ",") + `]}]}]}`
	}
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		status, header := l.statusOf(t, "/v1/logs", "application/json", export(2))
		if status != want || (header.Get("Retry-After") == "55") != (i > 0) {
			t.Errorf("step %d: %d, Retry-After %s", i, status, header.Get("Retry-After"))
		}
	}
	l.wantCounted(t, tenant.Usage{Accepted: 3, RateLimited: 3})
}

// TestIngest_LimitsGiveBack checks that events that could not be published do not count.
func TestIngest_LimitsGiveBack(t *testing.T) {
	t.Parallel()
	l := startLimits(t, "rate_limit = 3")
	l.bus.say(func(context.Context, string) error { return statusPermissionDenied() })
	wantLimited(t, l.post(batchOf(4, "x")), http.StatusServiceUnavailable, 0, 4, "5", "55:error;feedback:project:rate")
	l.bus.say(nil)
	wantLimited(t, l.post(batchOf(4, "x")), http.StatusAccepted, 3, 1, "55", "55:error;feedback:project:rate")
	l.wantCounted(t, tenant.Usage{Accepted: 3, Dropped: 3, RateLimited: 2})
}

// TestIngest_LimitsWithoutTheDatabase checks that limits hold while nothing can be reported, and that nothing is lost.
func TestIngest_LimitsWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	l := startLimits(t, "rate_limit = 3")
	wantLimited(t, l.post(good), http.StatusAccepted, 1, 0, "", "")
	report := l.usage.report
	l.usage.report = func(context.Context, tenant.UsageReport) (tenant.UsageState, error) {
		return tenant.UsageState{}, statusPermissionDenied()
	}
	l.later(6 * time.Second)
	wantLimited(t, l.post(batchOf(3, "x")), http.StatusAccepted, 2, 1, "49", "49:error;feedback:project:rate")
	l.later(time.Minute)
	wantLimited(t, l.post(batchOf(4, "x")), http.StatusAccepted, 3, 1, "49", "49:error;feedback:project:rate")
	wantLimited(t, l.post(good), http.StatusTooManyRequests, 0, 1, "49", "49:error;feedback:project:rate")
	l.usage.report = report
	l.wantCounted(t, tenant.Usage{Accepted: 6, RateLimited: 3})
}
