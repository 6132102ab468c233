package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/cmd/mesher/doctor"
	"github.com/mesherhq/mesher/shared/env"
)

// The platform on this machine is found by itself, in good health, and its secrets stay its own.
func TestDoctor_OfThisMachine(t *testing.T) {
	t.Parallel()
	p := start(t, newHome(t))
	out, code := runProgram(t, p.home, "doctor", "-json")
	var r doctor.Report
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seen := map[string]bool{}
	for _, f := range r.Findings {
		seen[f.Check] = true
		// A job that has not had its time yet is none that runs.
		if f.Level != doctor.OK && f.Check != "schedule" {
			t.Errorf("%+v", f)
		}
	}
	for _, check := range []string{"connection", "logins", "grants", "partitions", "queue", "schedule"} {
		if !seen[check] {
			t.Errorf("nothing is said of %s:\n%s", check, out)
		}
	}
	if code != r.Code() || r.OK != (code == 0) {
		t.Errorf("exit code %d, of a report with %d", code, r.Code())
	}
	if text, _ := runProgram(t, p.home, "doctor"); !strings.Contains(text, "store delivers events in order") || !strings.Contains(text, " wrong, ") {
		t.Errorf("for people:\n%s", text)
	} else if strings.Contains(text+out, p.Password) || strings.Contains(text+out, p.PubSubToken) {
		t.Error("a secret is printed")
	}
	p.kill(t)
	if text, code := runProgram(t, p.home, "doctor"); code != 2 || !strings.Contains(text, "does not answer") {
		t.Errorf("of a platform that is gone: %d\n%s", code, text)
	}
}

func TestDoctor_OfADeployment(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	settings := map[string]string{"DATABASE_URL": h.url}
	look := func() (string, int) {
		t.Helper()
		var out bytes.Buffer
		err := doctorWith(t.Context(), env.Map(settings), nil, &out)
		var code exitCode
		if err != nil && !errors.As(err, &code) {
			t.Fatal(err)
		}
		return out.String(), int(code)
	}
	if out, code := look(); code != 1 || !strings.Contains(out, "there is no schema yet") || !strings.Contains(out, "→ mesher setup") {
		t.Errorf("before mesher setup: %d\n%s", code, out)
	}
	for name, value := range variables(mustSetUp(t, h.url)) {
		if strings.HasPrefix(name, "DATABASE_URL_") {
			settings[name] = value
		}
	}
	out, _ := look()
	contains(t, out, "mesher_app connects and works", "mesher_store connects and works", "mesher_ingest connects and works",
		"each role has just what it needs", "partitions of events are made until", "nobody but the system's roles",
		"it is not known where the topics are", "set GOOGLE_CLOUD_PROJECT")
	for line := range strings.Lines(out) {
		// Nothing runs here that would call the jobs.
		if strings.HasPrefix(line, string(doctor.Wrong)) && !strings.Contains(line, " schedule ") {
			t.Error(line)
		}
	}
	h.exec(t, "alter role mesher_app bypassrls")
	if out, code := look(); code != 1 || !strings.Contains(out, "mesher_app bypasses row level security") {
		t.Errorf("with a role that may too much: %d\n%s", code, out)
	}
}
