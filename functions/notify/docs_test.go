package notify

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const signedBody = `{"event":"test","text":"é & <b>"}`

// signed returns what a receiver gets, and the secret.
func signed(t *testing.T) (header, secret string) {
	t.Helper()
	secret = "mshw_secret"
	c := call{body: []byte(signedBody), header: map[string][]string{}}
	new(hooks).sign(t.Context(), &c, secretsOf("mshw_former", secret), storyOf("test"))
	return c.header.Get("Mesher-Signature"), secret
}

// example returns the first example in a language that follows a heading of docs/alerting.md.
func example(t *testing.T, language, after string) string {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "alerting.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(doc), after)
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(part)
	if found == nil {
		t.Fatalf("there is no example in %s after %q", language, after)
	}
	return found[1]
}

const checking = "### Checking the signature"

// What people copy out of the documentation works.
func TestDocs_CheckSignatures(t *testing.T) {
	t.Parallel()
	t.Run("in Go", func(t *testing.T) {
		t.Parallel()
		source, err := os.ReadFile("verify_test.go")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(source), example(t, "go", checking)) {
			t.Error("verify of verify_test.go is not that of docs/alerting.md")
		}
		header, secret := signed(t)
		if err := verify(header, secret, []byte(signedBody), time.Now()); err != nil {
			t.Error(err)
		}
	})
	t.Run("in a shell", func(t *testing.T) {
		t.Parallel()
		for _, program := range []string{"sh", "openssl"} {
			if _, err := exec.LookPath(program); err != nil {
				t.Skip(err)
			}
		}
		header, secret := signed(t)
		run := func(secret string) error {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "body"), []byte(signedBody), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", "-c", example(t, "sh", checking))
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "HEADER="+header, "SECRET="+secret)
			return cmd.Run()
		}
		if err := run(secret); err != nil {
			t.Error(err)
		}
		if run("mshw_other") == nil {
			t.Error("another secret is taken")
		}
	})
	t.Run("in Python", func(t *testing.T) {
		t.Parallel()
		if _, err := exec.LookPath("python3"); err != nil {
			t.Skip(err)
		}
		header, secret := signed(t)
		run := func(secret string) error {
			script := example(t, "python", checking) + "\nimport sys\nsys.exit(not verify(sys.argv[1], sys.argv[2], sys.argv[3].encode()))\n"
			return exec.Command("python3", "-c", script, header, secret, signedBody).Run()
		}
		if err := run(secret); err != nil {
			t.Error(err)
		}
		if run("mshw_other") == nil {
			t.Error("another secret is taken")
		}
	})
}

// The schedule of the documentation is that of the code.
func TestDocs_TellTheSchedule(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "alerting.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := "| after |"
	for attempt := 1; attempt <= 8; attempt++ {
		wait := min(firstWait<<(attempt-1), waitLongest)
		if wait < time.Minute {
			row += " " + strconv.Itoa(int(wait/time.Second)) + " s |"
		} else {
			row += " " + strconv.Itoa(int(wait/time.Minute)) + " min |"
		}
	}
	if row += " every hour |"; !strings.Contains(string(doc), row) || waitLongest != time.Hour {
		t.Errorf("docs/alerting.md has no row %q", row)
	}
}
