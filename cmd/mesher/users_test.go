package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// usersDB is a database with two organizations: anna owns both, bert is a member of the first, carl of none.
type usersDB struct {
	*pgtest.Database
	pool             *pgxpool.Pool
	anna, bert, carl account.User
	sessions         account.SessionConfig
}

func newUsersDB(t *testing.T) *usersDB {
	t.Helper()
	db := pgtest.NewCluster(t).New(t)
	u := &usersDB{Database: db, pool: db.Pool(t, pgtest.Admin), sessions: account.SessionConfig{Idle: time.Hour, Lifetime: time.Hour}}
	for _, who := range []struct {
		user        *account.User
		email, name string
		verified    bool
		roles       map[string]tenant.Role
	}{
		{&u.anna, "Anna@example.com", "Anna", true, map[string]tenant.Role{"acme": tenant.Owner, "rival": tenant.Owner}},
		{&u.bert, "bert@example.com", "Bert \x1b[31m", false, map[string]tenant.Role{"acme": tenant.Member}},
		{&u.carl, "carl@example.org", "", true, nil},
	} {
		var err error
		*who.user, _, err = account.CreateUser(t.Context(), u.pool, account.NewUser{Email: who.email, Verified: who.verified})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.pool.Exec(t.Context(), "update mesher.users set name = $1 where id = $2", who.name, who.user.ID); err != nil {
			t.Fatal(err)
		}
		for slug, role := range who.roles {
			o, err := tenant.EnsureOrganization(t.Context(), u.pool, slug, slug)
			if err == nil {
				_, err = tenant.AddMember(t.Context(), u.pool, o.ID, who.user.ID, role)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return u
}

// users runs an action in this process.
func (u *usersDB) users(ctx context.Context, name string, args ...string) (string, error) {
	for _, a := range usersActions() {
		if a.name == name {
			o, err := a.options(args)
			if err != nil {
				return "", err
			}
			var out bytes.Buffer
			err = explainDatabase(a.run(ctx, u.pool, o, &out))
			return out.String(), err
		}
	}
	return "", errors.New("no such action")
}

func (u *usersDB) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := u.users(t.Context(), name, args...)
	if err != nil {
		t.Fatalf("users %s %v: %v", name, args, err)
	}
	return out
}

// token returns the one-time token of the link in what a command printed.
func token(t *testing.T, out, before string) string {
	t.Helper()
	_, rest, found := strings.Cut(out, before)
	if !found {
		t.Fatalf("there is no link %s… in:\n%s", before, out)
	}
	rest, _, _ = strings.Cut(rest, "\n")
	rest, _, _ = strings.Cut(rest, `"`)
	return rest
}

func TestUsers_List(t *testing.T) {
	t.Parallel()
	u := newUsersDB(t)
	if _, _, err := account.StartSession(t.Context(), u.pool, u.sessions, u.bert.ID, account.Client{IP: netip.MustParseAddr("192.0.2.1")}); err != nil {
		t.Fatal(err)
	}
	u.Exec(t, "update mesher.sessions set last_seen_at = '2026-02-03 04:05:06Z'")
	out := u.must(t, "list")
	contains(t, out, "Anna@example.com", "acme (owner), rival (owner)", "acme (member)", "2026-02-03 04:05:06", "carl@example.org", "never", u.carl.ID.String())
	if strings.Contains(out, "\x1b") {
		t.Errorf("a name steers the terminal:\n%q", out)
	}
	u.Exec(t, "insert into mesher.personal_access_tokens (id, user_id, hash, prefix, last_four, label, scope, last_used_at) values ('"+
		uuid.NewString()+"', '"+u.bert.ID.String()+"', decode(repeat('ab', 32), 'hex'), 'a', 'b', 'c', 'read', '2026-03-03 04:05:06Z')")
	contains(t, u.must(t, "list"), "2026-03-03 04:05:06")

	for _, tt := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"Anna@example.com", "bert@example.com", "carl@example.org"}},
		{[]string{"-limit", "2"}, []string{"Anna@example.com", "bert@example.com"}},
		{[]string{"-organization", "acme"}, []string{"Anna@example.com", "bert@example.com"}},
		{[]string{"-organization", "rival"}, []string{"Anna@example.com"}},
		{[]string{"-search", "ANNA"}, []string{"Anna@example.com"}},
		{[]string{"-search", ".com", "-organization", "acme"}, []string{"Anna@example.com", "bert@example.com"}},
		{[]string{"-search", "%"}, nil},
	} {
		var got []string
		for _, found := range decoded[[]listedUser](t, u.must(t, "list", append(tt.args, "-json")...)) {
			got = append(got, found.Email)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("list %v (-want +got):\n%s", tt.args, diff)
		}
	}
	if out := u.must(t, "list", "-json", "-search", "nobody"); strings.TrimSpace(out) != "[]" {
		t.Errorf("no users are %q, want an empty list", out)
	}
	contains(t, u.must(t, "list", "-search", "nobody"), "(no users)")
	contains(t, u.must(t, "list", "-limit", "1"), "there may be more")
	anna := decoded[[]listedUser](t, u.must(t, "list", "-json", "-search", "anna"))[0]
	if !anna.Verified || anna.ID != u.anna.ID || !anna.LastSeenAt.IsZero() || len(anna.Organizations) != 2 || anna.Organizations[1] != (userRole{"rival", tenant.Owner}) {
		t.Errorf("for scripts anna is %+v", anna)
	}
}

func TestUsers_InviteByMail(t *testing.T) {
	t.Parallel()
	u := newUsersDB(t)
	contains(t, u.must(t, "invite", "-organization", "acme", "-role", "admin", "New@example.com"),
		"New@example.com is invited to acme as admin, until 20", "The mail is written")
	inv := decoded[tenant.Invitation](t, u.must(t, "invite", "new@example.com", "-organization", "acme", "-role", "admin", "-json")) // again
	if inv.State != tenant.InvitationOpen || inv.Role != tenant.Admin || inv.Email != "New@example.com" || inv.InvitedBy != "" {
		t.Errorf("invited %+v", inv)
	}
	want := []string{"invitation pending New@example.com " + inv.ID.String(), "invitation pending New@example.com " + inv.ID.String()}
	got := texts(t, u.pool, `select template || ' ' || status || ' ' || recipient || ' ' || (data->>'invitation_id') from mesher.notifications`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	if got := texts(t, u.pool, "select email from mesher.one_time_tokens"); len(got) != 0 {
		t.Errorf("there are tokens that nobody has: %v", got)
	}
	if diff := cmp.Diff([]string{
		"acme invitation.create invitation t New@example.com", "acme invitation.resend invitation t New@example.com",
	}, trail(t, u.pool)); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
}

func TestUsers_InviteByLink(t *testing.T) {
	t.Parallel()
	u := newUsersDB(t)
	out := u.must(t, "invite", "carl@example.org", "-organization", "rival", "-link", "-url", "https://auth.example.com/")
	contains(t, out, "is invited to rival as member", "shown this once")
	secret := token(t, out, "https://auth.example.com/auth/invitation?token=")
	one, err := account.UseOneTime(t.Context(), u.pool, account.Invitation, secret)
	if err != nil || one.Email != "carl@example.org" {
		t.Fatalf("the link proves %+v, %v", one, err)
	}
	if inv, err := tenant.AcceptInvitation(t.Context(), u.pool, one.InvitationID, u.carl.ID); err != nil || inv.Role != tenant.Member {
		t.Fatalf("accepted %+v, %v", inv, err)
	}
	if mails := texts(t, u.pool, "select recipient from mesher.notifications"); len(mails) != 0 {
		t.Errorf("with -link a mail is sent to %v", mails)
	}
	out = u.must(t, "invite", "dora@example.org", "-organization", "rival", "-link", "-url", "http://127.0.0.1:8080", "-json")
	if _, err := account.PeekOneTime(t.Context(), u.pool, account.Invitation, token(t, out, "http://127.0.0.1:8080/auth/invitation?token=")); err != nil {
		t.Error(err)
	}
	if strings.Contains(strings.Join(trail(t, u.pool), ""), "msho_") {
		t.Error("a token is in the audit log")
	}
}

func TestUsers_Link(t *testing.T) {
	t.Parallel()
	u := newUsersDB(t)
	out := u.must(t, "link", "ANNA@example.com", "-url", "https://auth.example.com")
	contains(t, out, "within an hour sets the password of Anna@example.com", "shown this once")
	secret := token(t, out, "https://auth.example.com/auth/reset?token=")
	if _, err := account.PeekOneTime(t.Context(), u.pool, account.Invitation, secret); err == nil {
		t.Error("the link accepts invitations")
	}
	one, err := account.UseOneTime(t.Context(), u.pool, account.ResetPassword, secret)
	if err != nil || one.UserID != u.anna.ID {
		t.Errorf("the link is for %+v, %v", one, err)
	}
	out = u.must(t, "link", "-json", "anna@example.com", "-url", "https://auth.example.com")
	if link, err := url.Parse(decoded[struct{ Link string }](t, out).Link); err != nil || !strings.HasPrefix(link.Query().Get("token"), "msho_") {
		t.Errorf("for scripts the link is %v, %v", link, err)
	}
	if diff := cmp.Diff([]string{
		"acme password.link user t Anna@example.com", "rival password.link user t Anna@example.com",
		"acme password.link user t Anna@example.com", "rival password.link user t Anna@example.com",
	}, trail(t, u.pool)); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
}

func TestUsers_Revoke(t *testing.T) {
	t.Parallel()
	u := newUsersDB(t)
	secrets := map[*account.User][]string{}
	for _, who := range []*account.User{&u.anna, &u.bert} {
		for range 2 {
			_, secret, err := account.StartSession(t.Context(), u.pool, u.sessions, who.ID, account.Client{IP: netip.MustParseAddr("192.0.2.1")})
			if err != nil {
				t.Fatal(err)
			}
			secrets[who] = append(secrets[who], secret)
		}
		for range 3 {
			_, secret, err := account.IssueToken(t.Context(), u.pool, who.ID, account.TokenSpec{Label: "x", Scope: account.ScopeRead})
			if err != nil {
				t.Fatal(err)
			}
			secrets[who] = append(secrets[who], secret)
		}
	}
	contains(t, u.must(t, "revoke", "bert@example.com"), "bert@example.com is logged out everywhere: 2 sessions ended, 3 personal access tokens revoked")
	for who, all := range secrets {
		for _, secret := range all {
			_, err := account.Identify(t.Context(), u.pool, u.sessions, secret)
			if gone := fault.Is(err, fault.Unauthenticated); gone != (who == &u.bert) {
				t.Errorf("%s with %s…: %v", who.Email, secret[:5], err)
			}
		}
	}
	again := decoded[struct {
		Email    string `json:"email"`
		Sessions int    `json:"sessions_ended"`
		Tokens   int    `json:"tokens_revoked"`
	}](t, u.must(t, "revoke", "-json", "bert@example.com"))
	if again.Email != u.bert.Email || again.Sessions != 0 || again.Tokens != 0 {
		t.Errorf("again: %+v", again)
	}
	u.must(t, "revoke", "carl@example.org")
	if diff := cmp.Diff([]string{
		"acme session.revoke user t bert@example.com", "acme token.revoke token t x", "acme token.revoke token t x", "acme token.revoke token t x",
		"acme session.revoke user t bert@example.com", "session.revoke user t carl@example.org",
	}, trail(t, u.pool)); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
}
