package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestCreateJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := newJob("probe", "*/5 * * * *", "http://127.0.0.1:1/jobs/probe")
	j.State, j.LastAttemptTime = schedulerpb.Job_PAUSED, timestamppb.Now() // only the server sets these
	got := b.create(t, j)
	want := newJob("probe", "*/5 * * * *", "http://127.0.0.1:1/jobs/probe")
	want.State, want.UserUpdateTime = schedulerpb.Job_ENABLED, timestamppb.New(begin)
	want.ScheduleTime = timestamppb.New(time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC))
	want.GetHttpTarget().HttpMethod = schedulerpb.HttpMethod_POST
	want.AttemptDeadline = durationpb.New(3 * time.Minute)
	want.RetryConfig = &schedulerpb.RetryConfig{
		MaxRetryDuration: durationpb.New(0), MinBackoffDuration: durationpb.New(5 * time.Second),
		MaxBackoffDuration: durationpb.New(time.Hour), MaxDoublings: 5,
	}
	if !proto.Equal(got, want) || !proto.Equal(b.get(t, "probe"), want) {
		t.Errorf("created %v\nwant %v", got, want)
	}
	if _, err := b.client.CreateJob(t.Context(), &schedulerpb.CreateJobRequest{Parent: parent, Job: j}); status.Code(err) != codes.AlreadyExists {
		t.Errorf("created twice: %v", err)
	}
	nameless := newJob("", "0 0 1 1 *", "http://127.0.0.1:1/")
	nameless.Name = ""
	if made := b.create(t, nameless); !strings.HasPrefix(made.GetName(), parent+"/jobs/") || len(made.GetName()) != len(parent)+len("/jobs/")+36 {
		t.Errorf("a job without a name is called %s", made.GetName())
	}
}

func TestCreateJob_Refuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, tt := range map[string]struct {
		edit func(*schedulerpb.Job)
		want codes.Code
		says string
	}{
		"no target": {func(j *schedulerpb.Job) { j.Target = nil }, codes.InvalidArgument, "target"},
		"a topic": {func(j *schedulerpb.Job) {
			j.Target = &schedulerpb.Job_PubsubTarget{PubsubTarget: &schedulerpb.PubsubTarget{}}
		}, codes.Unimplemented, "HTTP"},
		"a file":     {func(j *schedulerpb.Job) { j.GetHttpTarget().Uri = "file:///etc" }, codes.InvalidArgument, "http URL"},
		"no host":    {func(j *schedulerpb.Job) { j.GetHttpTarget().Uri = "http:///x" }, codes.InvalidArgument, "http URL"},
		"a long URL": {func(j *schedulerpb.Job) { j.GetHttpTarget().Uri += strings.Repeat("x", 2083) }, codes.InvalidArgument, "2083"},
		"a body to GET": {func(j *schedulerpb.Job) {
			t := j.GetHttpTarget()
			t.HttpMethod, t.Body = schedulerpb.HttpMethod_GET, []byte("x")
		}, codes.InvalidArgument, "body"},
		"a header of two": {func(j *schedulerpb.Job) { j.GetHttpTarget().Headers = map[string]string{"A": "b\r\nC: d"} }, codes.InvalidArgument, "header"},
		"large headers": {func(j *schedulerpb.Job) {
			j.GetHttpTarget().Headers = map[string]string{"A": strings.Repeat("b", 80<<10)}
		}, codes.InvalidArgument, "bytes"},
		"no schedule":          {func(j *schedulerpb.Job) { j.Schedule = "" }, codes.InvalidArgument, "cron"},
		"six fields":           {func(j *schedulerpb.Job) { j.Schedule = "* * * * * *" }, codes.InvalidArgument, "cron"},
		"a name of a schedule": {func(j *schedulerpb.Job) { j.Schedule = "@hourly" }, codes.InvalidArgument, "five fields"},
		"a zone in a schedule": {func(j *schedulerpb.Job) { j.Schedule = "TZ=UTC" }, codes.InvalidArgument, "five fields"},
		"no such minute":       {func(j *schedulerpb.Job) { j.Schedule = "60 * * * *" }, codes.InvalidArgument, "cron"},
		"no such day":          {func(j *schedulerpb.Job) { j.Schedule = "0 0 30 2 *" }, codes.InvalidArgument, "no time"},
		"no such zone":         {func(j *schedulerpb.Job) { j.TimeZone = "Europe/Nowhere" }, codes.InvalidArgument, "tz database"},
		"the machine's zone":   {func(j *schedulerpb.Job) { j.TimeZone = "Local" }, codes.InvalidArgument, "tz database"},
		"a short deadline":     {func(j *schedulerpb.Job) { j.AttemptDeadline = durationpb.New(14 * time.Second) }, codes.InvalidArgument, "deadline"},
		"a long deadline":      {func(j *schedulerpb.Job) { j.AttemptDeadline = durationpb.New(31 * time.Minute) }, codes.InvalidArgument, "deadline"},
		"many retries":         {func(j *schedulerpb.Job) { j.RetryConfig = &schedulerpb.RetryConfig{RetryCount: 6} }, codes.InvalidArgument, "retry_count"},
		"waits less than none": {func(j *schedulerpb.Job) {
			j.RetryConfig = &schedulerpb.RetryConfig{MinBackoffDuration: durationpb.New(-1)}
		}, codes.InvalidArgument, "negative"},
		"a long description":  {func(j *schedulerpb.Job) { j.Description = strings.Repeat("ä", 501) }, codes.InvalidArgument, "500"},
		"a name with a dot":   {func(j *schedulerpb.Job) { j.Name += "." }, codes.InvalidArgument, "of the form"},
		"one of other places": {func(j *schedulerpb.Job) { j.Name = "projects/local-test/locations/there/jobs/probe" }, codes.InvalidArgument, "does not lie in"},
	} {
		j := newJob("probe", "* * * * *", "http://127.0.0.1:1/")
		tt.edit(j)
		_, err := b.client.CreateJob(t.Context(), &schedulerpb.CreateJobRequest{Parent: parent, Job: j})
		if status.Code(err) != tt.want || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %s and %q", name, err, tt.want, tt.says)
		}
	}
	if _, err := b.client.CreateJob(t.Context(), &schedulerpb.CreateJobRequest{Parent: "here", Job: newJob("a", "* * * * *", "http://a/")}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("in a place that is none: %v", err)
	}
	if jobs := b.list(t, 0); len(jobs) != 0 {
		t.Errorf("what was refused is there: %v", jobs)
	}
}

// list returns the names of all jobs, read in pages of a size.
func (b *bundle) list(t *testing.T, size int32) []string {
	t.Helper()
	var out []string
	it := b.client.ListJobs(t.Context(), &schedulerpb.ListJobsRequest{Parent: parent, PageSize: size})
	for {
		j, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimPrefix(j.GetName(), parent+"/jobs/"))
	}
}

func TestListJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 7 {
		b.create(t, newJob(fmt.Sprintf("job-%d", 6-i), "* * * * *", "http://127.0.0.1:1/"))
	}
	const want = "job-0 job-1 job-2 job-3 job-4 job-5 job-6"
	for _, size := range []int32{0, 1, 3, 7, 1000} {
		if got := strings.Join(b.list(t, size), " "); got != want {
			t.Errorf("in pages of %d: %s", size, got)
		}
	}
	for name, req := range map[string]*schedulerpb.ListJobsRequest{
		"a place that is none": {Parent: "projects/x"}, "a page of less than nothing": {Parent: parent, PageSize: -1},
	} {
		if _, err := b.client.ListJobs(t.Context(), req).Next(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.client.ListJobs(t.Context(), &schedulerpb.ListJobsRequest{Parent: "projects/local-test/locations/he"}).Next(); !errors.Is(err, iterator.Done) {
		t.Errorf("the jobs of another place: %v", err)
	}
}

func TestUpdateJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := newJob("probe", "* * * * *", "http://127.0.0.1:1/a")
	j.Description, j.GetHttpTarget().Headers = "old", map[string]string{"A": "b"}
	b.create(t, j)
	update := func(edit *schedulerpb.Job, paths ...string) (*schedulerpb.Job, error) {
		req := &schedulerpb.UpdateJobRequest{Job: edit}
		if paths != nil {
			req.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		return b.client.UpdateJob(t.Context(), req)
	}
	other := newJob("probe", "0 12 * * *", "http://127.0.0.1:1/b")
	other.Description, other.State = "new", schedulerpb.Job_PAUSED

	got, err := update(other, "schedule", "state")
	if err != nil || got.GetSchedule() != "0 12 * * *" || got.GetDescription() != "old" || got.GetState() != schedulerpb.Job_ENABLED ||
		!got.GetScheduleTime().AsTime().Equal(time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("the schedule alone: %v, %v", got, err)
	}
	got, err = update(other, "http_target.uri")
	if err != nil || got.GetHttpTarget().GetUri() != "http://127.0.0.1:1/b" || got.GetHttpTarget().GetHeaders()["A"] != "b" {
		t.Errorf("the URL alone: %v, %v", got, err)
	}
	got, err = update(other, "http_target.headers", "retry_config.retry_count", "time_zone")
	if err != nil || len(got.GetHttpTarget().GetHeaders()) != 0 || got.GetRetryConfig().GetMaxDoublings() != 5 {
		t.Errorf("what is not there is cleared: %v, %v", got, err)
	}
	got, err = update(other)
	if err != nil || got.GetDescription() != "new" || !proto.Equal(got, b.get(t, "probe")) {
		t.Errorf("everything: %v, %v", got, err)
	}
	before := b.get(t, "probe")
	wrong := proto.CloneOf(other)
	wrong.Schedule = "nonsense"
	for name, tt := range map[string]struct {
		job   *schedulerpb.Job
		paths []string
		want  codes.Code
	}{
		"no such job":       {newJob("other", "* * * * *", "http://127.0.0.1:1/"), nil, codes.NotFound},
		"no name":           {&schedulerpb.Job{}, nil, codes.InvalidArgument},
		"no such field":     {other, []string{"nonsense"}, codes.InvalidArgument},
		"a part of a map":   {other, []string{"http_target.headers.A"}, codes.InvalidArgument},
		"a wrong value":     {wrong, []string{"schedule"}, codes.InvalidArgument},
		"no target":         {&schedulerpb.Job{Name: other.GetName()}, []string{"http_target"}, codes.InvalidArgument},
		"everything to nil": {&schedulerpb.Job{Name: other.GetName()}, nil, codes.InvalidArgument},
	} {
		if _, err := update(tt.job, tt.paths...); status.Code(err) != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	if after := b.get(t, "probe"); !proto.Equal(before, after) {
		t.Errorf("what was refused has changed\n%v to\n%v", before, after)
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	to := newTarget(t, nil)
	name := b.create(t, newJob("probe", "0 * * * *", to.URL)).GetName()
	steps := []struct {
		what string
		do   func() error
		want codes.Code
	}{
		{"resume what runs", func() error {
			_, err := b.client.ResumeJob(t.Context(), &schedulerpb.ResumeJobRequest{Name: name})
			return err
		}, codes.FailedPrecondition},
		{"pause", func() error {
			_, err := b.client.PauseJob(t.Context(), &schedulerpb.PauseJobRequest{Name: name})
			return err
		}, codes.OK},
		{"pause what is paused", func() error {
			_, err := b.client.PauseJob(t.Context(), &schedulerpb.PauseJobRequest{Name: name})
			return err
		}, codes.FailedPrecondition},
	}
	for _, s := range steps {
		if err := s.do(); status.Code(err) != s.want {
			t.Errorf("%s: %v, want %s", s.what, err, s.want)
		}
	}
	b.advance(t, 5*time.Hour)
	b.shut(t, b.Server)
	b.open(t, Options{Now: b.hand.Now})
	if got := b.get(t, "probe"); got.GetState() != schedulerpb.Job_PAUSED {
		t.Errorf("after a restart it is %s", got.GetState())
	}
	b.create(t, newJob("other", "0 0 1 1 *", to.URL))
	if _, err := b.client.UpdateJob(t.Context(), &schedulerpb.UpdateJobRequest{Job: newJob("probe", "0 * * * *", to.URL)}); err != nil {
		t.Fatal(err)
	}
	b.advance(t, 5*time.Hour)
	if calls := to.called(); calls != nil {
		t.Errorf("a paused job is called: %v", calls)
	}
	if _, err := b.client.ResumeJob(t.Context(), &schedulerpb.ResumeJobRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	b.advance(t, time.Hour)
	if calls := strings.Join(to.called(), ","); calls != "probe 2030-01-31T10:00:00Z" {
		t.Errorf("once resumed it is called %s: what it missed while it was paused is over", calls)
	}
	if err := b.client.DeleteJob(t.Context(), &schedulerpb.DeleteJobRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"get": func() error {
			_, err := b.client.GetJob(t.Context(), &schedulerpb.GetJobRequest{Name: name})
			return err
		},
		"run": func() error {
			_, err := b.client.RunJob(t.Context(), &schedulerpb.RunJobRequest{Name: name})
			return err
		},
		"pause": func() error {
			_, err := b.client.PauseJob(t.Context(), &schedulerpb.PauseJobRequest{Name: name})
			return err
		},
		"resume": func() error {
			_, err := b.client.ResumeJob(t.Context(), &schedulerpb.ResumeJobRequest{Name: name})
			return err
		},
		"delete": func() error {
			return b.client.DeleteJob(t.Context(), &schedulerpb.DeleteJobRequest{Name: name})
		},
	} {
		if err := do(); status.Code(err) != codes.NotFound {
			t.Errorf("%s what is deleted: %v", what, err)
		}
	}
	b.shut(t, b.Server)
	b.open(t, Options{Now: b.hand.Now})
	if got := b.list(t, 0); len(got) != 1 || got[0] != "other" {
		t.Errorf("after a restart there are %v", got)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, token := range []string{"", "EXAMPLETOKE", "wrong"} {
		c := newTestClient(t, b.Addr(), token)
		_, err := c.ListJobs(t.Context(), &schedulerpb.ListJobsRequest{Parent: parent}).Next()
		if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), "SCHEDULER_EMULATOR_TOKEN") {
			t.Errorf("with the token %q: %v", token, err)
		}
	}
}

func TestOpen_OneAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if s, err := Open(context.Background(), Options{Path: b.path}); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("a second server on the file: %v, %v", s, err)
	}
	if s, err := Open(context.Background(), Options{Path: b.path + ".2", Listen: b.Addr()}); err == nil {
		t.Errorf("a second server at the address: %v", s.Addr())
	}
}
