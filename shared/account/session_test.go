package account_test

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
)

// sessions returns the ids of all sessions that the user sees, read in pages of a size.
func (f *fixture) sessions(t *testing.T, c account.SessionConfig, u account.User, size int) []uuid.UUID {
	t.Helper()
	var ids []uuid.UUID
	r := page.Request{Limit: size}
	for {
		p, err := account.ListSessions(t.Context(), f.app, c, u.ID, r)
		must(t, err)
		if len(p.Rows) > size {
			t.Fatalf("a page has %d rows, want %d at most", len(p.Rows), size)
		}
		for _, s := range p.Rows {
			ids = append(ids, s.ID)
		}
		if r.After = p.Next; p.Next == (page.Mark{}) {
			return ids
		}
	}
}

func TestStartSession(t *testing.T) {
	t.Parallel()
	f := setup(t)
	s, bearer := f.login(t, f.anna, "")
	if life := s.ExpiresAt.Sub(s.CreatedAt); life != week.Idle || !s.LastSeenAt.Equal(s.CreatedAt) || s.Current {
		t.Errorf("it lives for %s, want %s: %+v", life, week.Idle, s)
	}
	p, err := account.ListSessions(t.Context(), f.app, week, f.anna.ID, page.Request{Limit: 10})
	must(t, err)
	if diff := cmp.Diff(page.Of[account.Session]{Rows: []account.Session{s}}, p); diff != "" {
		t.Errorf("listed (-started +listed):\n%s", diff)
	}
	_, again := f.login(t, f.anna, "")
	if bearer == again {
		t.Error("two sessions have the same secret")
	}
	short := account.SessionConfig{Idle: time.Hour, Lifetime: time.Minute}
	s, _, err = account.StartSession(t.Context(), f.app, short, f.anna.ID, home)
	if err != nil || s.ExpiresAt.Sub(s.CreatedAt) != time.Minute {
		t.Errorf("it lives for %s, %v; want the shorter of both", s.ExpiresAt.Sub(s.CreatedAt), err)
	}
	_, _, err = account.StartSession(t.Context(), f.app, week, uuid.New(), home)
	wantFault(t, err, fault.NotFound)
}

func TestListSessions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var want []uuid.UUID
	for i := range 7 {
		set := ""
		if i < 4 { // at the same time: the id decides
			set = "created_at = '2026-01-02 03:04:05.678901Z'"
		}
		s, _ := f.login(t, f.anna, set)
		want = append(want, s.ID)
	}
	slices.Reverse(want)
	f.login(t, f.bert, "")
	for _, over := range []string{"revoked_at = now()", "expires_at = now()", "last_seen_at = now() - interval '7 days'"} {
		f.login(t, f.anna, over)
	}
	for _, size := range []int{1, 2, 3, 7, 100} {
		if diff := cmp.Diff(want, f.sessions(t, week, f.anna, size)); diff != "" {
			t.Errorf("in pages of %d (-want +got):\n%s", size, diff)
		}
	}
	if got := f.sessions(t, account.SessionConfig{Idle: time.Nanosecond, Lifetime: week.Lifetime}, f.anna, 100); len(got) != 0 {
		t.Errorf("%d sessions live although all are idle for longer than allowed", len(got))
	}
}

func TestRevokeSession(t *testing.T) {
	t.Parallel()
	f := setup(t)
	hers, herBearer := f.login(t, f.anna, "")
	_, otherBearer := f.login(t, f.anna, "")
	wantFault(t, account.RevokeSession(t.Context(), f.app, week, f.bert.ID, hers.ID), fault.NotFound)
	if _, err := account.Identify(t.Context(), f.app, week, herBearer); err != nil {
		t.Errorf("another user ended the session: %v", err)
	}
	must(t, account.RevokeSession(t.Context(), f.app, week, f.anna.ID, hers.ID))
	_, err := account.Identify(t.Context(), f.app, week, herBearer)
	wantFault(t, err, fault.Unauthenticated, "revoked")
	if _, err := account.Identify(t.Context(), f.app, week, otherBearer); err != nil {
		t.Errorf("the other session: %v", err)
	}
	over, _ := f.login(t, f.anna, "expires_at = now()")
	idle, _ := f.login(t, f.anna, "last_seen_at = now() - interval '7 days'")
	for name, id := range map[string]uuid.UUID{"revoked": hers.ID, "over": over.ID, "idle": idle.ID, "unknown": uuid.New()} {
		if err := account.RevokeSession(t.Context(), f.app, week, f.anna.ID, id); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRevokeSessions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	keep, _ := f.login(t, f.anna, "")
	his, _ := f.login(t, f.bert, "")
	for range 3 {
		f.login(t, f.anna, "")
	}
	f.login(t, f.anna, "revoked_at = now()")
	f.login(t, f.anna, "expires_at = now()")
	revoke := func(except uuid.UUID, want int) {
		t.Helper()
		if n, err := account.RevokeSessions(t.Context(), f.app, f.anna.ID, except); n != want || err != nil {
			t.Errorf("%d ended, %v; want %d", n, err, want)
		}
	}
	revoke(keep.ID, 3)
	if diff := cmp.Diff([]uuid.UUID{keep.ID}, f.sessions(t, week, f.anna, 10)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	revoke(his.ID, 1) // the session of somebody else saves none
	revoke(uuid.Nil, 0)
	if diff := cmp.Diff([]uuid.UUID{his.ID}, f.sessions(t, week, f.bert, 10)); diff != "" {
		t.Errorf("the other user's (-want +got):\n%s", diff)
	}
}

func TestRevokeSessions_Race(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for range 10 {
		f.login(t, f.anna, "")
	}
	var sum atomic.Int64
	f.crowd(t, `select from mesher.sessions for update`, parallelCalls(8, func(ctx context.Context, db account.DB, _ int) {
		n, err := account.RevokeSessions(ctx, db, f.anna.ID, uuid.Nil)
		if err != nil {
			t.Error(err)
		}
		sum.Add(int64(n))
	}))
	if sum.Load() != 10 {
		t.Errorf("%d sessions ended in all, want 10: each once", sum.Load())
	}
}

func TestKnownClient(t *testing.T) {
	t.Parallel()
	f := setup(t)
	client := func(ip string) account.Client { return account.Client{IP: netip.MustParseAddr(ip)} }
	for ip, set := range map[string]string{
		"192.0.2.1":     "",
		"192.0.2.2":     "revoked_at = now()",
		"192.0.2.3":     "created_at = now() - interval '89 days', expires_at = now() - interval '59 days'",
		"192.0.2.4":     "created_at = now() - interval '90 days'",
		"2001:db8::1:1": "",
	} {
		s, _, err := account.StartSession(t.Context(), f.app, week, f.anna.ID, client(ip))
		must(t, err)
		if set != "" {
			f.run(t, `update mesher.sessions set `+set+` where id = $1`, s.ID)
		}
	}
	for _, tt := range []struct {
		name, ip string
		user     uuid.UUID
		want     bool
	}{
		{name: "an open session", ip: "192.0.2.1", user: f.anna.ID, want: true},
		{name: "a revoked session", ip: "192.0.2.2", user: f.anna.ID, want: true},
		{name: "89 days ago", ip: "192.0.2.3", user: f.anna.ID, want: true},
		{name: "90 days ago", ip: "192.0.2.4", user: f.anna.ID},
		{name: "the same IPv6 subscriber", ip: "2001:db8::ffff:1:2:3", user: f.anna.ID, want: true},
		{name: "the next IPv6 subscriber", ip: "2001:db8:0:1::1", user: f.anna.ID},
		{name: "the address next to it", ip: "192.0.2.9", user: f.anna.ID},
		{name: "another user", ip: "192.0.2.1", user: f.bert.ID},
		{name: "nobody", ip: "192.0.2.1", user: uuid.Nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := &counter{DB: f.app}
			got, err := account.KnownClient(t.Context(), db, tt.user, client(tt.ip))
			if got != tt.want || err != nil || db.trips != 1 {
				t.Errorf("known: %t, %v, in %d round trips; want %t in one", got, err, db.trips, tt.want)
			}
		})
	}
}
