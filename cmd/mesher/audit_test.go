package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	u := newUsersDB(t)
	u.must(t, "link", "anna@example.com", "-url", "https://auth.example.com")
	u.must(t, "revoke", "carl@example.org")
	who := tenant.Actor{Kind: "user", ID: u.anna.ID, Name: "Anna \x1b[31m", IP: "192.0.2.7"}
	if err := tenant.Record(t.Context(), u.pool, uuid.Nil, who, "session.refuse", userTarget(u.bert), nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		o     auditOptions
		since time.Time
		want  []string
	}{
		{"all", auditOptions{limit: 9}, time.Time{}, []string{"session.refuse", "session.revoke", "rival password.link", "acme password.link"}},
		{"the newest", auditOptions{limit: 1}, time.Time{}, []string{"session.refuse"}},
		{"one organization", auditOptions{organization: "rival", limit: 9}, time.Time{}, []string{"rival password.link"}},
		{"one noun", auditOptions{action: "session", limit: 9}, time.Time{}, []string{"session.refuse", "session.revoke"}},
		{"one action", auditOptions{action: "session.revoke", limit: 9}, time.Time{}, []string{"session.revoke"}},
		{"one user", auditOptions{actor: strings.ToUpper(u.anna.ID.String()), limit: 9}, time.Time{}, []string{"session.refuse"}},
		{"one name", auditOptions{actor: "anna \x1b[31m", limit: 9}, time.Time{}, []string{"session.refuse"}},
		{"since a time to come", auditOptions{limit: 9}, time.Now().Add(time.Hour), nil},
	} {
		var out bytes.Buffer
		tt.o.asJSON = true
		if err := showAudit(t.Context(), u.pool, tt.o, tt.since, &out); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		var got []string
		for _, e := range decoded[[]auditLine](t, out.String()) {
			got = append(got, strings.TrimSpace(e.Organization+" "+e.Action))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	var out bytes.Buffer
	if err := showAudit(t.Context(), u.pool, auditOptions{limit: 4}, time.Time{}, &out); err != nil {
		t.Fatal(err)
	}
	contains(t, out.String(), "192.0.2.7", "operator ", `user bert@example.com`, `{"sessions":`, "there may be more")
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("a name steers the terminal:\n%q", out.String())
	}
	if err := showAudit(t.Context(), u.pool, auditOptions{organization: "nobody", limit: 1}, time.Time{}, &out); err == nil {
		t.Error("the audit log of no organization is shown")
	}
}

func TestSinceWhen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"": {}, "7d": now.AddDate(0, 0, -7), "30m": now.Add(-30 * time.Minute), "2026-11-20T00:00:00Z": time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := sinceWhen(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v; want %v", in, got, err, want)
		}
	}
	if _, err := sinceWhen("yesterday", now); !errors.Is(err, errUsage) {
		t.Errorf("yesterday: %v", err)
	}
	for _, args := range [][]string{{"-limit", "0"}, {"-since", "x"}, {"more"}} {
		if err := runAudit(context.WithoutCancel(t.Context()), args, new(bytes.Buffer)); !errors.Is(err, errUsage) {
			t.Errorf("audit %v: %v", args, err)
		}
	}
}
