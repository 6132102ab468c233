package pubsub

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/topic"
)

func TestDurable_Restart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "folder", "queue.db")
	s := open(t, Options{Path: path})
	mustDeclare(t, s, quick("http://127.0.0.1:1/nobody"))
	p := newPublisher(t, s.Addr())
	var want []string
	last := ""
	for i := range 50 {
		want = append(want, fmt.Sprint(i))
		last = publish(t, p, "k", want[i])
	}
	if _, err := Open(t.Context(), Options{Path: path}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second server on the same file: %v", err)
	}
	shut(t, s)

	e := newEndpoint(t, ack)
	s = open(t, Options{Path: path})
	if got := s.Backlog("store"); got != 50 {
		t.Errorf("backlog %d after the restart, want 50", got)
	}
	mustDeclare(t, s, quick(e.URL))
	eventually(t, "all are acknowledged", func() bool { return s.Backlog("store") == 0 })
	if diff := cmp.Diff(want, e.order("k")); diff != "" {
		t.Errorf("order (-want +got)\n%s", diff)
	}
	shut(t, s)

	s = open(t, Options{Path: path})
	if got := s.Backlog("store"); got != 0 {
		t.Errorf("%d acknowledged messages came back after an orderly end", got)
	}
	mustDeclare(t, s, quick(e.URL))
	next, _ := strconv.Atoi(publish(t, newPublisher(t, s.Addr()), "k", "x"))
	if before, _ := strconv.Atoi(last); next <= before {
		t.Errorf("id %d after %d: ids must not be used twice", next, before)
	}
}

func TestDurable_PushesNothingUntilDeclared(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	var strange atomic.Bool
	e := newEndpoint(t, func(context.Context, topic.Message) int {
		if strange.Load() {
			t.Error("a message went to an endpoint of the last run")
		}
		return http.StatusServiceUnavailable
	})
	s := open(t, Options{Path: path})
	mustDeclare(t, s, quick(e.URL))
	publish(t, newPublisher(t, s.Addr()), "k", "x")
	e.next(t)
	shut(t, s)

	strange.Store(true)
	s = open(t, Options{Path: path})
	publish(t, newPublisher(t, s.Addr()), "other", "y")
	own := newEndpoint(t, ack)
	mustDeclare(t, s, quick(own.URL))
	eventually(t, "both arrive at the new endpoint", func() bool { return s.Backlog("store") == 0 })
}

// childEnv tells the test binary to be a server on the file it names.
const childEnv = "PUBSUB_TEST_CHILD"

// TestMain runs the tests, or the server that TestDurable_Kill kills.
func TestMain(m *testing.M) {
	path := os.Getenv(childEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	s, err := Open(context.Background(), Options{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Addr())
	select {} // until it is killed
}

// startChild starts a server in a process of its own and returns its address.
func startChild(t *testing.T, path string) (*exec.Cmd, string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+path)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return child, strings.TrimSpace(addr)
}

// TestDurable_Kill kills a server while many publish to it and it delivers, several times on the same file. What
// was published successfully must be delivered, each key in order.
func TestDurable_Kill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	e := newEndpoint(t, func(_ context.Context, m topic.Message) int {
		if n, _ := strconv.Atoi(string(m.Data)); n%3 == 0 && m.DeliveryAttempt == 1 {
			return http.StatusServiceUnavailable // keeps a backlog
		}
		return http.StatusNoContent
	})
	const keys, rounds = 12, 4
	var mu sync.Mutex
	accepted := map[string][]int{}
	for range rounds {
		child, addr := startChild(t, path)
		if err := Declare(t.Context(), addr, project, quick(e.URL)); err != nil {
			t.Fatal(err)
		}
		p := newPublisher(t, addr)
		ctx, cancel := context.WithCancel(t.Context())
		var publishers sync.WaitGroup
		var count atomic.Int64
		for k := range keys {
			key := fmt.Sprint(k)
			publishers.Go(func() {
				for n := 0; ; n++ {
					mu.Lock()
					if had := accepted[key]; n == 0 && len(had) > 0 {
						n = had[len(had)-1] + 10 // never a number twice
					}
					mu.Unlock()
					if _, err := p.Publish(ctx, topic.Message{Data: []byte(strconv.Itoa(n)), OrderingKey: key}); err != nil {
						return
					}
					mu.Lock()
					accepted[key] = append(accepted[key], n)
					mu.Unlock()
					count.Add(1)
				}
			})
		}
		eventually(t, "many are accepted", func() bool { return count.Load() > 500 })
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
		cancel()
		publishers.Wait()
	}

	s := open(t, Options{Path: path})
	mustDeclare(t, s, quick(e.URL))
	eventually(t, "the backlog is delivered", func() bool { return s.Backlog("store") == 0 })
	for _, key := range slices.Sorted(maps.Keys(accepted)) {
		missing := map[string]bool{}
		for _, n := range accepted[key] {
			missing[strconv.Itoa(n)] = true
		}
		greatest := -1
		for _, data := range e.order(key) {
			n, _ := strconv.Atoi(data)
			// A kill may repeat what was acknowledged just before, from some message on in order; a message seen
			// for the first time must come after all seen before.
			if missing[data] && n < greatest {
				t.Errorf("key %s: %d arrived after %d", key, n, greatest)
			}
			greatest = max(greatest, n)
			delete(missing, data)
		}
		if len(missing) > 0 {
			t.Errorf("key %s: %d of %d accepted messages were lost", key, len(missing), len(accepted[key]))
		}
	}
}

// Not parallel: it measures the heap, so nothing else may run.
func TestBacklog_StaysOutOfMemory(t *testing.T) {
	const messages, size = 2000, 50_000
	s := open(t, Options{})
	// Long pauses, or the messages would be dead-lettered.
	mustDeclare(t, s, Topology{Endpoint: "http://127.0.0.1:1/nobody", MinBackoff: 10 * time.Minute, MaxBackoff: 10 * time.Minute})
	c := newPublisher(t, s.Addr())
	before := heap()
	data := make([]byte, size)
	for i := range messages {
		if _, err := c.Publish(t.Context(), topic.Message{Data: data, OrderingKey: fmt.Sprint(i % 500)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Backlog("store"); got != messages {
		t.Fatalf("backlog %d, want %d", got, messages)
	}
	s.subs[storeName].stop() // no push holds a payload while it is measured
	eventually(t, "no push runs", func() bool {
		sub := s.subs[storeName]
		sub.mu.Lock()
		defer sub.mu.Unlock()
		return sub.workers == 0
	})
	// 100 MB of payload wait. What stays in memory is connections' buffers and under 1 KB a message.
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("the heap grew by %d KB with a backlog of %d KB", grown>>10, messages*size>>10)
	}
}

func heap() int {
	runtime.GC()
	runtime.GC() // the first leaves what pools hold
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestFile_IsReused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	e := newEndpoint(t, ack)
	s := open(t, Options{Path: path})
	mustDeclare(t, s, quick(e.URL))
	p := newPublisher(t, s.Addr())
	data := strings.Repeat("x", 50_000)
	for range 8 {
		for range 100 {
			publish(t, p, "k", data)
		}
		eventually(t, "all are acknowledged and removed", func() bool {
			s.disk.mu.Lock()
			defer s.disk.mu.Unlock()
			return s.Backlog("store") == 0 && len(s.disk.acked) == 0
		})
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	// 40 MB went through, at most 5 MB at a time. bbolt needs as much again for pages it may not reuse yet.
	if info.Size() > 12<<20 {
		t.Errorf("the file has %d KB", info.Size()>>10)
	}
}

func TestDisk_RefusesAfterClose(t *testing.T) {
	t.Parallel()
	d, err := openDisk(filepath.Join(t.TempDir(), "queue.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.submit(0, nil, nil) }()
	select {
	case err := <-done:
		if !errors.Is(err, errClosed) {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("submit hangs after close")
	}
}

func TestPublish_IsInTheFileWhenAnswered(t *testing.T) {
	t.Parallel()
	s := open(t, Options{})
	mustDeclare(t, s, quick(""))
	p := newPublisher(t, s.Addr())
	var publishers sync.WaitGroup
	for k := range 4 {
		publishers.Go(func() {
			for i := range 50 {
				want := fmt.Sprintf("%d of %d", i, k)
				id, err := p.Publish(t.Context(), topic.Message{Data: []byte(want), OrderingKey: fmt.Sprint(k)})
				if err != nil {
					t.Error(err)
					return
				}
				seq, _ := strconv.ParseUint(id, 10, 64)
				if m, err := s.disk.message(storeName, seq); err != nil || string(m.GetData()) != want {
					t.Errorf("message %s is %q, %v; want %q", id, m.GetData(), err, want)
				}
			}
		})
	}
	publishers.Wait()
}
