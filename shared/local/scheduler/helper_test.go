package scheduler

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	scheduler "cloud.google.com/go/scheduler/apiv1"
	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/loopback"
)

const (
	parent = "projects/local-test/locations/here"
	// patience is how long a test waits for what must happen; it is only used up by a failure.
	patience = 30 * time.Second
)

// target is what jobs call. It remembers the calls, and answers what the test says.
type target struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []string
	header http.Header // of the last call
	body   string
	answer func(ctx context.Context, n int) int // n counts from 1
}

// newTarget starts a target that answers 200 unless the test says otherwise.
func newTarget(t *testing.T, answer func(ctx context.Context, n int) int) *target {
	t.Helper()
	to := &target{answer: answer}
	to.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		to.mu.Lock()
		to.calls = append(to.calls, r.Header.Get("X-CloudScheduler-JobName")+" "+r.Header.Get("X-CloudScheduler-ScheduleTime"))
		to.header, to.body = r.Header, r.Method+" "+r.URL.String()+" "+string(body)
		n := len(to.calls)
		to.mu.Unlock()
		if to.answer != nil {
			w.WriteHeader(to.answer(r.Context(), n))
		}
	}))
	t.Cleanup(func() {
		to.CloseClientConnections() // a call may hang, as the test means it to
		to.Close()
	})
	return to
}

// called returns the job and the time of each call so far, and forgets them.
func (to *target) called() []string {
	to.mu.Lock()
	defer to.mu.Unlock()
	calls := to.calls
	to.calls = nil
	return calls
}

func (to *target) count() int {
	to.mu.Lock()
	defer to.mu.Unlock()
	return len(to.calls)
}

// bundle is a server in a time that the test moves, with a client of it.
type bundle struct {
	*Server
	hand   *clock.Hand
	path   string
	client *scheduler.CloudSchedulerClient
}

var begin = time.Date(2030, 1, 30, 23, 57, 30, 0, time.UTC)

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{hand: clock.NewHand(begin), path: filepath.Join(t.TempDir(), "scheduler", "jobs.db")}
	b.open(t, Options{Now: b.hand.Now})
	return b
}

// open starts the server, as often as the test likes.
func (b *bundle) open(t *testing.T, o Options) {
	t.Helper()
	o.Path, o.Token = b.path, "EXAMPLETOKEN"
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.Server, b.client = s, newTestClient(t, s.Addr(), o.Token)
	t.Cleanup(func() { b.shut(t, s) })
}

// shut closes a server, once.
func (b *bundle) shut(t *testing.T, s *Server) {
	t.Helper()
	if s.alive.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func newTestClient(t *testing.T, addr, token string) *scheduler.CloudSchedulerClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, loopback.Dial(token)...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := scheduler.NewCloudSchedulerClient(t.Context(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// job returns a job that calls a URL.
func newJob(name, cron, url string) *schedulerpb.Job {
	return &schedulerpb.Job{
		Name: parent + "/jobs/" + name, Schedule: cron,
		Target: &schedulerpb.Job_HttpTarget{HttpTarget: &schedulerpb.HttpTarget{Uri: url}},
	}
}

func (b *bundle) create(t *testing.T, j *schedulerpb.Job) *schedulerpb.Job {
	t.Helper()
	made, err := b.client.CreateJob(t.Context(), &schedulerpb.CreateJobRequest{Parent: parent, Job: j})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (b *bundle) get(t *testing.T, name string) *schedulerpb.Job {
	t.Helper()
	j, err := b.client.GetJob(t.Context(), &schedulerpb.GetJobRequest{Name: parent + "/jobs/" + name})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// advance lets time pass.
func (b *bundle) advance(t *testing.T, d time.Duration) {
	t.Helper()
	if err := b.Advance(t.Context(), b.hand.Now().Add(d), b.hand.Set); err != nil {
		t.Fatal(err)
	}
}

// state says when a job is next, when it was last attempted, and what came of that.
func (b *bundle) state(t *testing.T, name string) string {
	t.Helper()
	j := b.get(t, name)
	last, status := "never", "none"
	if j.LastAttemptTime != nil {
		last = j.GetLastAttemptTime().AsTime().Format(time.DateTime)
	}
	if j.Status != nil {
		status = fmt.Sprint(j.GetStatus().GetCode())
	}
	return fmt.Sprintf("%s last %s %s next %s", j.GetState(), last, status, j.GetScheduleTime().AsTime().Format(time.DateTime))
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}
