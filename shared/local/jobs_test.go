package local

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/scheduler"
	"github.com/mesherhq/mesher/shared/secret"
)

// worker is a scheduled function that remembers when it was called, by the time that it lives in.
type worker struct {
	probe
	now   clock.Clock
	mu    sync.Mutex
	times []string
}

func (w *worker) build(ctx context.Context, lookup env.Lookup, log *slog.Logger) (boot.Handler, error) {
	w.now = clock.Of(ctx)
	if _, err := w.probe.build(ctx, lookup, log); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *worker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := clock.Of(r.Context())()
	w.times = append(w.times, at.Format(time.DateTime))
	if !at.Equal(w.now()) {
		rw.WriteHeader(http.StatusInternalServerError)
	}
	fmt.Fprint(rw, r.URL.Path)
}

// called returns when the function was called so far, and forgets it.
func (w *worker) called() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	times := w.times
	w.times = nil
	return times
}

func TestPlatform_Schedule(t *testing.T) {
	t.Parallel()
	hand := clock.NewHand(time.Date(2031, 1, 31, 5, 0, 0, 0, time.UTC))
	partitions := &worker{probe: probe{name: "Partitions"}}
	f := Function{Name: "Partitions", Path: "POST /", Job: true, Role: "mesher_store", Build: partitions.build}
	p := startIn(t, newHome(t), hand.Now, nil, f)
	t.Cleanup(func() { p.Stop(context.Background()) }) // the one that runs then
	move := func(to time.Time) {
		t.Helper()
		if err := p.Advance(t.Context(), to, hand.Set); err != nil {
			t.Fatal(err)
		}
	}
	move(time.Date(2031, 2, 1, 0, 10, 0, 0, time.UTC))
	if diff := cmp.Diff([]string{"2031-01-31 06:10:00", "2031-01-31 12:10:00", "2031-01-31 18:10:00", "2031-02-01 00:10:00"}, partitions.called()); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
	if got := partitions.setting("SCHEDULER_EMULATOR_HOST"); got != p.Info.Scheduler || got == "" {
		t.Errorf("the scheduler is at %s, and the function is told %s", p.Info.Scheduler, got)
	}
	for name, want := range map[string]string{
		"SCHEDULER_LOCATION": "local", "SCHEDULER_EMULATOR_TOKEN": p.Info.SchedulerToken, "OPERATORS": "dev@mesher.local",
	} {
		if got := partitions.setting(name); got != want {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}

	t.Run("lets only the scheduler call a job", func(t *testing.T) {
		for _, token := range []string{"", "Bearer ", "Bearer " + p.pushToken, p.jobToken} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Info.URL+"/jobs/partitions", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("with %q: %s", token, resp.Status)
			}
		}
		if calls := partitions.called(); calls != nil {
			t.Errorf("called %v", calls)
		}
	})

	t.Run("is looked at with what stands in dev.json", func(t *testing.T) {
		info, err := ReadInfo(p.opts.Home)
		if err != nil {
			t.Fatal(err)
		}
		c := clientOf(t, info)
		jobs, err := c.List(t.Context())
		if err != nil || len(jobs) != 1 || jobs[0].Name != "partitions" || jobs[0].Target != p.Info.URL+"/jobs/partitions" || jobs[0].LastStatus != "ok" {
			t.Errorf("listed %+v, %v", jobs, err)
		}
		if _, err := c.Pause(t.Context(), "partitions"); err != nil {
			t.Error(err)
		}
	})

	t.Run("keeps what is paused and what sealed over a restart", func(t *testing.T) {
		key, home := partitions.setting("SEAL_KEY"), p.opts.Home
		p.Stop(context.Background())
		again := startIn(t, home, hand.Now, nil, f)
		p = again
		jobs, err := clientOf(t, again.Info).List(t.Context())
		if err != nil || len(jobs) != 1 || jobs[0].State != scheduler.Paused || jobs[0].Target != again.Info.URL+"/jobs/partitions" {
			t.Errorf("listed %+v, %v; want it paused, and at the new address", jobs, err)
		}
		move(time.Date(2031, 2, 3, 0, 0, 0, 0, time.UTC))
		if calls := partitions.called(); calls != nil {
			t.Errorf("called while paused: %v", calls)
		}
		if status, body := get(t, again.Info.URL+"/health"); status != http.StatusOK { // builds it
			t.Fatalf("health is %d, %s", status, body)
		}
		if got := partitions.setting("SEAL_KEY"); got != key {
			t.Error("the key that seals is another")
		}
	})
}

func clientOf(t *testing.T, info Info) *scheduler.Client {
	t.Helper()
	lookup, ok := info.Schedule()
	if !ok {
		t.Fatal("the scheduler is not known")
	}
	var cfg scheduler.Config
	if err := env.Read(lookup, &cfg); err != nil {
		t.Fatal(err)
	}
	c, err := scheduler.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestStart_RefusesAFunctionWithoutAJob(t *testing.T) {
	t.Parallel()
	lost := &worker{probe: probe{name: "Lost"}}
	_, err := Start(t.Context(), options(newHome(t), nil, nil, Function{Name: "Lost", Job: true, Role: "mesher_app", Build: lost.build}))
	if err == nil || !strings.Contains(err.Error(), "no job that calls the function Lost") {
		t.Errorf("got %v", err)
	}
}

func TestSealKey(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	key, err := sealKey(home)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 32 {
		t.Errorf("the key has %d bytes, %v", len(raw), err)
	}
	if _, err := secret.NewSealer(secret.SealConfig{Keys: key}); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(home, "seal.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file is %v, %v; want one that only its owner reads", info, err)
	}
	if again, err := sealKey(home); err != nil || again != key {
		t.Errorf("the second time it is another: %v", err)
	}
}
