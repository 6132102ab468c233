package scheduler

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/mesherhq/mesher/shared/clock"
)

func TestAdvance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var times []time.Time
	to := newTarget(t, func(context.Context, int) int {
		times = append(times, b.hand.Now())
		return http.StatusOK
	})
	b.create(t, newJob("minutes", "59 23,0 * * *", to.URL))
	b.create(t, newJob("hours", "0 * * * *", to.URL))
	b.create(t, newJob("also", "0 0 * * *", to.URL))
	b.create(t, newJob("months", "0 0 1 * *", to.URL))
	berlin := newJob("berlin", "30 1 * * *", to.URL)
	berlin.TimeZone = "Europe/Berlin"
	b.create(t, berlin)

	b.advance(t, 3*time.Hour) // over midnight
	if diff := cmp.Diff([]string{
		"minutes 2030-01-30T23:59:00Z", "also 2030-01-31T00:00:00Z", "hours 2030-01-31T00:00:00Z", "berlin 2030-01-31T00:30:00Z",
		"minutes 2030-01-31T00:59:00Z", "hours 2030-01-31T01:00:00Z", "hours 2030-01-31T02:00:00Z",
	}, to.called()); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
	if !times[0].Equal(time.Date(2030, 1, 30, 23, 59, 0, 0, time.UTC)) || !times[6].Equal(time.Date(2030, 1, 31, 2, 0, 0, 0, time.UTC)) {
		t.Errorf("the calls are made at %v: each in its own time", times)
	}
	if want := begin.Add(3 * time.Hour); !b.hand.Now().Equal(want) {
		t.Errorf("it is %v then, want %v", b.hand.Now(), want)
	}
	if got := b.state(t, "hours"); got != "ENABLED last 2030-01-31 02:00:00 0 next 2030-01-31 03:00:00" {
		t.Error(got)
	}

	if err := b.client.DeleteJob(t.Context(), &schedulerpb.DeleteJobRequest{Name: parent + "/jobs/minutes"}); err != nil {
		t.Fatal(err)
	}
	b.advance(t, 60*24*time.Hour) // over two months and the day that summer time begins on
	counts := map[string]int{}
	var last string
	for _, call := range to.called() {
		name, at, _ := strings.Cut(call, " ")
		counts[name]++
		if at < last {
			t.Fatalf("%s is called after what was due at %s", call, last)
		}
		last = at
	}
	if diff := cmp.Diff(map[string]int{"hours": 60 * 24, "also": 60, "months": 3, "berlin": 60}, counts); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
	if got := b.state(t, "berlin"); got != "ENABLED last 2030-03-31 23:30:00 0 next 2030-04-01 23:30:00" {
		t.Errorf("in summer time: %s", got)
	}
	if err := b.Advance(t.Context(), begin, b.hand.Set); err == nil {
		t.Error("time runs backwards")
	}
	ctx, cancel := context.WithCancel(t.Context())
	to.mu.Lock()
	to.answer = func(context.Context, int) int { cancel(); return http.StatusOK }
	to.mu.Unlock()
	if err := b.Advance(ctx, b.hand.Now().AddDate(1, 0, 0), b.hand.Set); err == nil || len(to.called()) != 1 {
		t.Errorf("it does not stop when it is told to: %v", err)
	}
}

func TestAdvance_NotInTheSystemsTime(t *testing.T) {
	t.Parallel()
	b := &bundle{path: t.TempDir() + "/jobs.db"}
	b.open(t, Options{})
	if err := b.Advance(t.Context(), time.Now().Add(time.Hour), func(time.Time) {}); err == nil {
		t.Error("the system's time is moved")
	}
}

func TestCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newTarget(t, nil)
	j := newJob("probe", "* * * * *", to.URL+"/jobs/probe?a=b")
	j.GetHttpTarget().Headers = map[string]string{
		"Authorization": "Bearer x", "User-Agent": "mine", "X-CloudScheduler-Jobname": "mine", "x-google-y": "mine", "Host": "mine", "X-Mine": "mine",
	}
	j.GetHttpTarget().Body = []byte("hello")
	b.create(t, j)
	b.advance(t, time.Minute)
	if to.body != "POST /jobs/probe?a=b hello" {
		t.Errorf("called %s", to.body)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer x", "User-Agent": "Google-Cloud-Scheduler", "X-Mine": "mine", "Content-Type": "application/octet-stream",
		"X-CloudScheduler": "true", "X-CloudScheduler-JobName": "probe", "X-CloudScheduler-ScheduleTime": "2030-01-30T23:58:00Z", "X-Google-Y": "",
	} {
		if got := to.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var times []string
	fails := 2
	to := newTarget(t, func(context.Context, int) int {
		times = append(times, b.hand.Now().Format(time.TimeOnly))
		if fails--; fails >= 0 {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	j := newJob("probe", "*/10 * * * *", to.URL)
	j.RetryConfig = &schedulerpb.RetryConfig{RetryCount: 3, MinBackoffDuration: durationpb.New(30 * time.Second), MaxDoublings: 2}
	b.create(t, j)
	b.advance(t, 2*time.Minute+45*time.Second) // until 00:00:15, between the first attempt and the second
	if got := b.state(t, "probe"); got != "ENABLED last 2030-01-31 00:00:00 14 next 2030-01-31 00:00:30" {
		t.Error(got)
	}
	b.advance(t, 5*time.Minute)
	if got := b.state(t, "probe"); got != "ENABLED last 2030-01-31 00:01:30 0 next 2030-01-31 00:10:00" {
		t.Error(got)
	}
	if got := strings.Join(to.called(), ","); got != "probe 2030-01-31T00:00:00Z,probe 2030-01-31T00:00:00Z,probe 2030-01-31T00:00:00Z" {
		t.Errorf("a retry is for the time that failed: %s", got)
	}
	times, fails = nil, 1000
	b.advance(t, 10*time.Minute) // until 00:15:15
	if diff := cmp.Diff([]string{"00:10:00", "00:10:30", "00:11:30", "00:13:30"}, times); diff != "" {
		t.Errorf("a failure is tried again three times (-want +got):\n%s", diff)
	}
	if got := b.state(t, "probe"); got != "ENABLED last 2030-01-31 00:13:30 14 next 2030-01-31 00:20:00" {
		t.Error(got)
	}
	// What would be tried again after the next time of the schedule is not.
	j.RetryConfig = &schedulerpb.RetryConfig{RetryCount: 5, MinBackoffDuration: durationpb.New(4 * time.Minute)}
	if _, err := b.client.UpdateJob(t.Context(), &schedulerpb.UpdateJobRequest{Job: j}); err != nil {
		t.Fatal(err)
	}
	times = nil
	b.advance(t, 16*time.Minute) // until 00:31:15
	if diff := cmp.Diff([]string{"00:20:00", "00:24:00", "00:30:00"}, times); diff != "" {
		t.Errorf("a retry gives way to the schedule (-want +got):\n%s", diff)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	r := &schedulerpb.RetryConfig{MinBackoffDuration: durationpb.New(10 * time.Second), MaxBackoffDuration: durationpb.New(300 * time.Second), MaxDoublings: 3}
	var got []time.Duration
	for failures := range 9 {
		got = append(got, backoff(r, failures+1)/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{10, 20, 40, 80, 160, 240, 300, 300, 300}, got); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	if got := backoff(r, 1<<31); got != 300*time.Second {
		t.Errorf("in the end it waits %s", got)
	}
}

func TestMayRetry(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config   *schedulerpb.RetryConfig
		attempts int
		after    time.Duration
		want     bool
	}{
		"none":                         {&schedulerpb.RetryConfig{MaxRetryDuration: durationpb.New(time.Hour)}, 1, 0, false},
		"the last of three":            {&schedulerpb.RetryConfig{RetryCount: 3}, 3, time.Hour, true},
		"after the last":               {&schedulerpb.RetryConfig{RetryCount: 3}, 4, 0, false},
		"until both limits are met":    {&schedulerpb.RetryConfig{RetryCount: 3, MaxRetryDuration: durationpb.New(time.Hour)}, 4, time.Minute, true},
		"when both of them are":        {&schedulerpb.RetryConfig{RetryCount: 3, MaxRetryDuration: durationpb.New(time.Hour)}, 4, time.Hour, false},
		"when the time is over, first": {&schedulerpb.RetryConfig{RetryCount: 3, MaxRetryDuration: durationpb.New(time.Hour)}, 1, 2 * time.Hour, true},
	} {
		j := &job{pb: &schedulerpb.Job{RetryConfig: tt.config}, attempts: tt.attempts, first: begin}
		if got := j.mayRetry(begin.Add(tt.after)); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answer := 0
	to := newTarget(t, func(ctx context.Context, _ int) int {
		if answer == 0 {
			<-ctx.Done()
		}
		return max(answer, 200)
	})
	b.create(t, newJob("probe", "* * * * *", to.URL))
	for status, want := range map[int]codes.Code{
		200: codes.OK, 204: codes.OK, 304: codes.Unknown, 400: codes.InvalidArgument, 401: codes.Unauthenticated, 403: codes.PermissionDenied,
		404: codes.NotFound, 409: codes.Aborted, 418: codes.Unknown, 429: codes.ResourceExhausted, 500: codes.Internal, 501: codes.Unimplemented,
		503: codes.Unavailable, 504: codes.DeadlineExceeded,
	} {
		answer = status
		b.advance(t, time.Minute)
		if got := b.get(t, "probe").GetStatus(); codes.Code(got.GetCode()) != want || want != codes.OK && !strings.Contains(got.GetMessage(), http.StatusText(status)) {
			t.Errorf("%d is noted as %v, want %s", status, got, want)
		}
	}
	// It does not answer in time. Jobs have 15 s at least, which is longer than a test likes to wait.
	b.mu.Lock()
	j := b.jobs[parent+"/jobs/probe"]
	j.pb = proto.CloneOf(j.pb)
	j.pb.AttemptDeadline = durationpb.New(20 * time.Millisecond)
	b.mu.Unlock()
	answer = 0
	b.advance(t, time.Minute)
	if got := b.get(t, "probe").GetStatus(); codes.Code(got.GetCode()) != codes.DeadlineExceeded || !strings.Contains(got.GetMessage(), "20ms") {
		t.Errorf("no answer is noted as %v", got)
	}
	to.Close()
	b.advance(t, time.Minute)
	if got := b.get(t, "probe").GetStatus(); codes.Code(got.GetCode()) != codes.Unavailable || strings.Contains(got.GetMessage(), "http://") {
		t.Errorf("nobody there is noted as %v", got)
	}
}

// A laptop that slept for a year has missed half a million minutes, and makes up for them by one call.
func TestRun_MakesUpForWhatWasMissedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.hand.Set(time.Now().AddDate(-1, 0, 0))
	to := newTarget(t, nil)
	b.create(t, newJob("probe", "* * * * *", to.URL))
	b.shut(t, b.Server)

	b.open(t, Options{}) // in the system's time
	b.create(t, newJob("other", "0 0 1 1 *", to.URL))
	if got := b.state(t, "probe"); !strings.Contains(got, "last never") {
		t.Errorf("what the target of the last run was is called: %s", got)
	}
	if _, err := b.client.RunJob(t.Context(), &schedulerpb.RunJobRequest{Name: parent + "/jobs/probe"}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("and may be called by hand: %v", err)
	}
	before := time.Now()
	if _, err := b.client.UpdateJob(t.Context(), &schedulerpb.UpdateJobRequest{Job: newJob("probe", "* * * * *", to.URL)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job is called", func() bool { return to.count() > 0 && b.get(t, "probe").Status != nil })
	next := b.get(t, "probe").GetScheduleTime().AsTime()
	calls := to.called()
	at, err := time.Parse(time.RFC3339, strings.TrimPrefix(calls[0], "probe "))
	if err != nil || before.Sub(at) > time.Minute || !next.After(before) || time.Until(next) > time.Minute {
		t.Errorf("called %v, then at %v: %v", calls, next, err)
	}
	if len(calls) > 2 { // two if a minute ended meanwhile
		t.Errorf("called %d times", len(calls))
	}
}

func TestRun_OneAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	goOn := make(chan struct{})
	to := newTarget(t, func(ctx context.Context, _ int) int {
		select {
		case <-goOn:
		case <-ctx.Done():
		}
		return http.StatusOK
	})
	b.create(t, newJob("probe", "* * * * *", to.URL))
	for range 5 { // as the loop does, while the first call is under way
		b.hand.Set(b.hand.Now().Add(time.Minute))
		if _, ok := b.startDue(); !ok {
			t.Fatal("the server closes")
		}
	}
	eventually(t, "the job is called", func() bool { return to.count() > 0 })
	forced, err := b.client.RunJob(t.Context(), &schedulerpb.RunJobRequest{Name: parent + "/jobs/probe"})
	if err != nil || !forced.GetLastAttemptTime().AsTime().Equal(b.hand.Now()) {
		t.Errorf("run meanwhile: %v, %v", forced, err)
	}
	eventually(t, "it is called as it was asked for", func() bool { return to.count() == 2 })
	close(goOn)
	eventually(t, "both end", func() bool { return strings.Contains(b.state(t, "probe"), " 0 next 2030-01-30 23:59:00") })
	eventually(t, "one call makes up for the others", func() bool {
		if _, ok := b.startDue(); !ok {
			t.Fatal("the server closes")
		}
		return strings.Contains(b.state(t, "probe"), " 0 next 2030-01-31 00:03:00")
	})
	if diff := cmp.Diff([]string{"probe 2030-01-30T23:58:00Z", "probe 2030-01-31T00:02:30Z", "probe 2030-01-31T00:02:00Z"}, to.called()); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
}

func TestRunJob_Bounds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newTarget(t, func(ctx context.Context, _ int) int {
		<-ctx.Done()
		return http.StatusOK
	})
	b.create(t, newJob("probe", "0 0 1 1 *", to.URL))
	run := func() error {
		_, err := b.client.RunJob(t.Context(), &schedulerpb.RunJobRequest{Name: parent + "/jobs/probe"})
		return err
	}
	for range forcedMost {
		if err := run(); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one more: %v", err)
	}
}

// An attempt that the end of the server breaks off is made again in the next run.
func TestClose_BreaksAttemptsOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hang := newTarget(t, func(ctx context.Context, _ int) int {
		<-ctx.Done()
		return http.StatusOK
	})
	b.create(t, newJob("probe", "* * * * *", hang.URL))
	b.hand.Set(begin.Add(time.Minute))
	b.startDue()
	eventually(t, "the job is called", func() bool { return hang.count() > 0 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
	b.open(t, Options{Now: b.hand.Now})
	if got := b.state(t, "probe"); got != "ENABLED last 2030-01-30 23:58:30 none next 2030-01-30 23:58:00" {
		t.Error(got)
	}
	to := newTarget(t, nil)
	if _, err := b.client.UpdateJob(t.Context(), &schedulerpb.UpdateJobRequest{Job: newJob("probe", "* * * * *", to.URL)}); err != nil {
		t.Fatal(err)
	}
	b.advance(t, time.Second)
	if got := strings.Join(to.called(), ","); got != "probe 2030-01-30T23:58:00Z" {
		t.Errorf("called %s", got)
	}
}

// A target's URL and headers may hold what only the target should know.
func TestLog_HoldsNoURL(t *testing.T) {
	t.Parallel()
	var logs logged
	b := &bundle{hand: clock.NewHand(begin), path: t.TempDir() + "/jobs.db"}
	b.open(t, Options{Now: b.hand.Now, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	j := newJob("probe", "* * * * *", "http://127.0.0.1:1/?token=SECRET")
	j.GetHttpTarget().Headers = map[string]string{"Authorization": "SECRET"}
	b.create(t, j)
	b.advance(t, time.Minute)
	if text := logs.String(); !strings.Contains(text, "a job failed") || strings.Contains(text, "SECRET") {
		t.Errorf("logged: %s", text)
	}
}

// logged is a log that is read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestLatest(t *testing.T) {
	t.Parallel()
	for cron, want := range map[string]string{
		"* * * * *": "2031-03-01 00:00:00", "0 */6 * * *": "2031-03-01 00:00:00", "30 5 * * *": "2031-02-28 05:30:00",
		"0 0 29 2 *": "2030-01-30 23:57:30", "0 0 1 2 *": "2031-02-01 00:00:00", "1 0 1 3 *": "2030-03-01 00:01:00",
	} {
		w, err := parseWhen(cron, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := w.latest(begin, time.Date(2031, 3, 1, 0, 0, 59, 0, time.UTC)).Format(time.DateTime); got != want {
			t.Errorf("%s: %s, want %s", cron, got, want)
		}
	}
}
