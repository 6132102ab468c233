package cluster

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// spawnHelper starts this binary again as the owner of a cluster.
func spawnHelper(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if strings.Contains(line, ErrNoBinaries.Error()) && os.Getenv("CI") == "" {
		t.Skip(line)
	}
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatalf("helper: %s %v", line, err)
	}
	return cmd, strings.TrimSpace(line)
}

func TestCluster_EndsWithItsKilledOwner(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	cmd, url := spawnHelper(t, dir)
	must(t, url, "create table kept (n int)")
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	// On Linux it is gone without anyone's help; elsewhere the next start ends it.
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		for deadline := time.Now().Add(10 * time.Second); len(servers(t, dir)) > 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("processes %v outlive their owner", servers(t, dir))
			}
		}
	}
	c := startTest(t, Options{Dir: dir})
	must(t, c.URL(), "insert into kept values (1)")
}

// servers lists the processes that work in the data directory below dir.
func servers(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && cwd == filepath.Join(dir, "data") {
			out = append(out, filepath.Dir(link))
		}
	}
	return out
}

func TestCluster_EndsAnOrphan(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	c := startTest(t, Options{Dir: dir})
	must(t, c.URL(), "create table kept (n int)")
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A server that nobody holds the lock for: what a killed owner leaves where the system ends no children.
	bin, err := locate(t.Context(), c.place, Options{})
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := launch(t.Context(), bin, c.place, arguments(c.place, c.port, Options{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	c = startTest(t, Options{Dir: dir})
	must(t, c.URL(), "insert into kept values (1)")
	<-orphan.done
}

func TestCluster_Fetch(t *testing.T) {
	if os.Getenv("MESHER_TEST_FETCH") == "" {
		t.Skip("downloads Postgres: set MESHER_TEST_FETCH to run it")
	}
	t.Parallel()
	cache := newDir(t) + "-cache"
	t.Cleanup(func() { os.RemoveAll(cache) })
	for range 2 {
		begin := time.Now()
		c := startTest(t, Options{Dir: newDir(t), FetchDir: cache, onlyFetched: true})
		t.Logf("%s in %v", must(t, c.URL(), "select version()"), time.Since(begin))
	}
}
