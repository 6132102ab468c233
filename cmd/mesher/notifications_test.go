package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
)

func TestNotifications(t *testing.T) {
	t.Parallel()
	u := newUsersDB(t)
	ids := map[string]uuid.UUID{}
	for _, status := range []string{"sent", "pending", "failed", "skipped"} {
		id, err := outbox.Write(t.Context(), u.pool, outbox.Notification{Template: outbox.PasswordReset, Recipient: status + "@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		ids[status] = id
		u.Exec(t, "update mesher.notifications set status = '"+status+"', attempts = 7, last_error = 'the server is \x1b[31m away', "+
			"created_at = now() - interval '73 hours' where id = '"+id.String()+"'")
	}
	show := func(limit int, asJSON bool) string {
		t.Helper()
		var out bytes.Buffer
		if err := showNotifications(t.Context(), u.pool, limit, asJSON, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	shown := func() (out []string) {
		t.Helper()
		for _, n := range decoded[[]waiting](t, show(9, true)) {
			out = append(out, string(n.Status)+" "+n.Recipient)
		}
		return out
	}
	if diff := cmp.Diff([]string{"pending pending@example.com", "failed failed@example.com"}, shown()); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	out := show(2, false)
	contains(t, out, "3d", "password_reset", "failed@example.com", ids["failed"].String(), "the server is", "there may be more")
	if strings.Contains(out, "\x1b") {
		t.Errorf("an error steers the terminal:\n%q", out)
	}

	var told []uuid.UUID
	queue := publish(func(_ context.Context, id uuid.UUID) error { told = append(told, id); return nil })
	var said bytes.Buffer
	if err := retryNotification(t.Context(), u.pool, ids["failed"], queue, &said); err != nil {
		t.Fatal(err)
	}
	contains(t, said.String(), "on its way")
	if diff := cmp.Diff([]uuid.UUID{ids["failed"]}, told); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	if err := retryNotification(t.Context(), u.pool, ids["sent"], queue, &said); !fault.Is(err, fault.NotFound) {
		t.Errorf("one that was sent: %v", err)
	}
	if diff := cmp.Diff([]string{"pending failed@example.com", "pending pending@example.com"}, shown()); diff != "" {
		t.Errorf("after the retry (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"notification.retry notification t password_reset"}, trail(t, u.pool)); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
	u.Exec(t, "delete from mesher.notifications")
	contains(t, show(9, false), "nothing waits")
}

func TestAge(t *testing.T) {
	t.Parallel()
	for in, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 119 * time.Minute: "1h", 47 * time.Hour: "47h", 73 * time.Hour: "3d",
	} {
		if got := age(in); got != want {
			t.Errorf("%s is shown as %s, want %s", in, got, want)
		}
	}
}
