package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What somebody does who has just cloned the repository.
func TestDev_TakesANewcomerFromStartToFirstEvent(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	p := start(t, home)
	if code, err := status(p.URL + "/health"); err != nil || code != http.StatusOK {
		t.Errorf("health = %d, %v; want 200", code, err)
	}
	if code, err := status(p.URL + "/nothing/here"); err != nil || code != http.StatusNotFound {
		t.Errorf("an unknown path = %d, %v; want 404", code, err)
	}
	if !strings.Contains(p.out.String(), p.APIKey) || !strings.Contains(p.out.String(), "curl") {
		t.Error("the greeting has no first event to try")
	}
	if info, err := os.Stat(filepath.Join(home, "dev.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("dev.json = %v, %v; want a file that only its owner can read", info, err)
	}

	logIn(t, p)
	if log, err := os.ReadFile(filepath.Join(home, "mesher.log")); err != nil || len(log) == 0 || strings.Contains(string(log), p.Password) {
		t.Errorf("the log holds the password, or cannot be read: %v", err)
	}

	if log, err := os.ReadFile(filepath.Join(home, "mesher.log")); err != nil || !strings.Contains(string(log), `"function is ready"`) ||
		strings.Contains(string(log), "database system is ready") {
		t.Errorf("the log has no line of a function's start, or lines of Postgres: %v", err)
	}
	a, err := send(p.URL, p.APIKey, fmt.Appendf(nil, `{"message":"Hello, Mesher","level":"error","timestamp":%d}`, time.Now().Unix()))
	if err != nil || a.status != http.StatusAccepted || len(a.Accepted) != 1 {
		t.Fatalf("answer = %+v, %v; want 202 with one event", a, err)
	}
	shows := func(name string, parts ...string) {
		t.Helper()
		var out string
		wait(t, name+" shows the event", func() bool {
			var code int
			if out, code = runProgram(t, home, name); code != 0 {
				t.Fatalf("mesher %s ends with %d:\n%s", name, code, out)
			}
			return strings.Contains(out, "Hello, Mesher")
		})
		for _, part := range parts {
			if !strings.Contains(out, part) {
				t.Errorf("mesher %s shows no %q:\n%s", name, part, out)
			}
		}
	}
	shows("events", "error", a.Accepted[0].EventID)
	shows("issues", "error", "1")
	if out, code := runProgram(t, home, "alerts"); code != 0 || !strings.Contains(out, "(no alerts yet)") {
		t.Errorf("mesher alerts ends with %d:\n%s", code, out)
	}
	for ref, want := range map[string]int{"first": 0, "local/first": 0, "nothing": 1} {
		if out, code := runProgram(t, home, "events", "-project", ref); code != want || strings.Contains(out, "Hello, Mesher") != (want == 0) {
			t.Errorf("mesher events -project %s ends with %d:\n%s", ref, code, out)
		}
	}
	if out, code := runProgram(t, home, "migrate", "--status"); code != 0 || strings.Contains(out, "pending") || !strings.Contains(out, "applied") {
		t.Errorf("mesher migrate --status ends with %d:\n%s", code, out)
	}

	if code := p.interrupt(t); code != 0 {
		t.Errorf("exit code after Ctrl-C = %d, want 0", code)
	}
	gone(t, home, p)

	again := start(t, home)
	if again.Email != p.Email || again.Password != p.Password {
		t.Error("the second start has another login")
	}
	if again.APIKey != p.APIKey || again.ProjectID != p.ProjectID {
		t.Errorf("the second start has key %s of project %s, want %s of %s", again.APIKey, again.ProjectID, p.APIKey, p.ProjectID)
	}
	if a, err := send(again.URL, p.APIKey, []byte(`{"message":"Hello, Mesher","level":"error","timestamp":1}`)); err != nil || a.status != http.StatusAccepted {
		t.Errorf("answer to the key of the first run = %+v, %v; want 202", a, err)
	}
	wait(t, "both events are counted", func() bool {
		return again.number(t, "select coalesce(sum(event_count), 0) from mesher.issues where project_id = $1", p.ProjectID) == 2
	})
	if err := syscall.Kill(again.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := again.ended(t); code != 0 {
		t.Errorf("exit code after SIGTERM = %d, want 0", code)
	}
	gone(t, home, again)
}

// logIn does what the greeting says.
func logIn(t *testing.T, p *platform) {
	t.Helper()
	line := regexp.MustCompile(`curl -X POST (\S+/login) -H 'Content-Type: (\S+)' \\\n +-d '(.+)'\n`).FindStringSubmatch(p.out.String())
	if line == nil {
		t.Fatalf("the greeting does not say how to log in:\n%s", p.out.String())
	}
	resp, err := client.Post(line[1], line[2], strings.NewReader(line[3]))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the greeting's line is answered %d, %v: %s", resp.StatusCode, err, text)
	}
	in := decoded[struct {
		Token string `json:"token"`
		User  struct {
			Email string `json:"email"`
		} `json:"user"`
	}](t, string(text))
	if !strings.HasPrefix(in.Token, "mshs_") || in.User.Email != p.Email {
		t.Errorf("the greeting's line logs in %q", in.User.Email)
	}
	users, code := runProgram(t, p.home, "users", "list", "-search", p.Email)
	if code != 0 || !strings.Contains(users, "local (owner)") {
		t.Errorf("mesher users list ends with %d:\n%s", code, users)
	}
}

func TestDev_RefusesWhatIsTaken(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	p := start(t, home)
	_, port, _ := strings.Cut(strings.TrimPrefix(p.URL, "http://"), ":")

	out, code := runProgram(t, home, "dev")
	if code != 1 || !strings.Contains(out, "runs already on ") || !strings.Contains(out, fmt.Sprint(p.cmd.Process.Pid)) {
		t.Errorf("a second start on the same home ends with %d, want 1 and the process that uses it:\n%s", code, out)
	}
	out, code = runProgramAt(t, newHome(t), port, "dev")
	if code != 1 || !strings.Contains(out, "address already in use") || !strings.Contains(out, "set PORT") {
		t.Errorf("a start on a taken port ends with %d, want 1 and what to do:\n%s", code, out)
	}
	if code, err := status(p.URL + "/health"); err != nil || code != http.StatusOK {
		t.Errorf("health of the first platform = %d, %v; want 200", code, err)
	}
	p.interrupt(t)
	gone(t, home, p)
}

func TestRun_SaysHowItIsUsed(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 0, "mesher <command>"},
		{[]string{"help"}, 0, "run the whole platform"},
		{[]string{"nonsense"}, 2, `no command "nonsense"`},
		{[]string{"dev", "nonsense"}, 2, `no argument "nonsense"`},
		{[]string{"events", "-project", "x"}, 1, "make run"},
		{[]string{"audit", "-since", "x"}, 2, "-since"},
		{[]string{"notifications", "-retry", "x"}, 2, "-retry takes an id"},
		{[]string{"events"}, 1, "make run"},
		{[]string{"migrate", "-status"}, 1, "make run"},
	} {
		if out, code := runProgram(t, home, tt.args...); code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("mesher %v ends with %d, want %d and %q:\n%s", tt.args, code, tt.code, tt.want, out)
		}
	}
	if out, code := runProgramAt(t, home, "http", "dev"); code != 2 || !strings.Contains(out, `PORT is "http"`) {
		t.Errorf("mesher dev with a PORT that is no number ends with %d, want 2:\n%s", code, out)
	}
}

// Nothing stays behind a platform that is killed, and nothing a client was told is stored is lost with its
// database.
func TestDev_SurvivesTheDeathOfItsDatabase(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	p := start(t, home)
	one := func(n int) []byte {
		return fmt.Appendf(nil, `{"message":"one","level":"error","timestamp":1,"event_id":"%032x"}`, n)
	}
	if a, err := send(p.URL, p.APIKey, one(1)); err != nil || a.status != http.StatusAccepted {
		t.Fatalf("answer = %+v, %v; want 202", a, err)
	}
	if err := syscall.Kill(p.postmaster(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if a, err := send(p.URL, p.APIKey, one(2)); err != nil || a.status != http.StatusAccepted {
		t.Errorf("answer while the database is away = %+v, %v; want 202, it is in the queue", a, err)
	}
	wait(t, "both events are stored", func() bool {
		if !p.running() {
			t.Fatal("mesher dev ended with its database")
		}
		n, err := p.query(t.Context(), "select coalesce(sum(event_count), 0) from mesher.issues where project_id = $1", p.ProjectID)
		return err == nil && n == 2
	})
	wait(t, "everything is healthy again", func() bool {
		code, err := status(p.URL + "/health")
		return err == nil && code == http.StatusOK
	})
	p.kill(t)
	gone(t, home, p)
}

// A first start that is broken off, at whatever point, leaves no process and nothing that a later one stumbles on.
func TestDev_StartsAfterAStartThatWasBrokenOff(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	for i, after := range []time.Duration{20, 200, 600, 1000, 1400, 1800} {
		p := launch(t, home)
		if i%2 == 0 {
			p.killAfter(t, after*time.Millisecond)
		} else {
			p.interruptAfter(t, after*time.Millisecond)
		}
		gone(t, home, p)
	}
	p := start(t, home)
	if code, err := status(p.URL + "/health"); err != nil || code != http.StatusOK {
		t.Errorf("health = %d, %v; want 200", code, err)
	}
	p.kill(t)
	gone(t, home, p)
}

// TestPlatformIsDown has commands look at a platform of this machine that does not run: they say so.
func TestPlatformIsDown(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	info := `{"url": "http://127.0.0.1:1", "database_url": "postgres://a:EXAMPLEPASSWORD@127.0.0.1:1/mesher?sslmode=disable", "pubsub": "127.0.0.1:1", "scheduler": "127.0.0.1:1"}`
	fatal(t, os.WriteFile(filepath.Join(home, "dev.json"), []byte(info), 0o600))
	for _, args := range [][]string{{"monitors"}, {"notifications"}, {"keys", "list"}, {"retention", "-dry-run"}, {"jobs", "list"}, {"doctor"}} {
		out, code := runProgram(t, home, args...)
		if code == 0 || !strings.Contains(out, "make run") || strings.Contains(out, "EXAMPLEPASSWORD") {
			t.Errorf("mesher %v ends with %d:\n%s", args, code, out)
		}
	}
}
