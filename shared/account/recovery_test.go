package account_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/page"
)

func TestSetPassword_KeepsMailsFromBeingSent(t *testing.T) {
	t.Parallel()
	f := setup(t)
	write := func(u account.User) uuid.UUID {
		id, err := outbox.Write(t.Context(), f.app, outbox.Notification{
			Template: outbox.ChangeEmail, Recipient: "eve@example.com", Data: outbox.UserData{UserID: u.ID},
		})
		must(t, err)
		return id
	}
	hers, his := write(f.anna), write(f.bert)
	before := time.Now().Add(-time.Hour)
	if late, err := account.PasswordSetSince(t.Context(), f.app, f.anna.ID, before); err != nil || late {
		t.Errorf("a password was set: %v, %v", late, err)
	}
	must(t, account.SetPassword(t.Context(), f.app, f.anna.ID, "x"))
	for id, want := range map[uuid.UUID]string{hers: "skipped", his: "pending"} {
		var status string
		f.scan(t, &status, `select status from mesher.notifications where id = $1`, id)
		if status != want {
			t.Errorf("a mail is %s, want %s", status, want)
		}
	}
	if late, err := account.PasswordSetSince(t.Context(), f.app, f.anna.ID, before); err != nil || !late {
		t.Errorf("no password was set: %v, %v", late, err)
	}
	if late, err := account.PasswordSetSince(t.Context(), f.app, f.anna.ID, time.Now().Add(time.Hour)); err != nil || late {
		t.Errorf("one was set later: %v, %v", late, err)
	}
	_, err := account.PasswordSetSince(t.Context(), f.app, uuid.New(), before)
	wantFault(t, err, fault.NotFound)
}

func TestHoldPassword(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, want := range []string{"one", "two"} {
		must(t, account.SetPassword(t.Context(), f.app, f.anna.ID, want))
		for _, hash := range []string{"one", "two", ""} {
			if same, err := account.HoldPassword(t.Context(), f.app, f.anna.ID, hash); err != nil || same != (hash == want) {
				t.Errorf("%q is %q: %v, %v", hash, want, same, err)
			}
		}
	}
	if same, err := account.HoldPassword(t.Context(), f.app, f.bert.ID, ""); err != nil || same {
		t.Errorf("without a password: %v, %v", same, err)
	}
}

func TestSetEmail_TakesAnAddressThatNobodyVerified(t *testing.T) {
	t.Parallel()
	f := setup(t)
	squatter := f.user(t, "new@example.com")
	must(t, account.SetEmail(t.Context(), f.app, f.anna.ID, "New@example.com"))
	_, err := account.FindUser(t.Context(), f.app, squatter.ID)
	wantFault(t, err, fault.NotFound)

	member := f.user(t, "member@example.com")
	f.run(t, `insert into mesher.memberships (organization_id, user_id, role) values ($1, $2, 'member')`, f.organization(t, "acme"), member.ID)
	wantFault(t, account.SetEmail(t.Context(), f.app, f.anna.ID, "member@example.com"), fault.Conflict)
	_, err = account.FindUser(t.Context(), f.app, member.ID)
	must(t, err)
}

func TestReclaim(t *testing.T) {
	t.Parallel()
	f := setup(t)
	must(t, account.SetEmail(t.Context(), f.app, f.bert.ID, f.bert.Email))
	for _, u := range []account.User{f.anna, f.bert} {
		must(t, account.SetPassword(t.Context(), f.app, u.ID, "old"))
		must(t, account.Reclaim(t.Context(), f.app, u.ID, "Second", "new"))
	}
	if u, hash, err := account.FindLogin(t.Context(), f.app, f.anna.Email); err != nil || hash != "new" || u.Name != "Second" {
		t.Errorf("unverified: %+v, %q, %v", u, hash, err)
	}
	if u, hash, err := account.FindLogin(t.Context(), f.app, f.bert.Email); err != nil || hash != "old" || u.Name == "Second" {
		t.Errorf("verified: %+v, %q, %v", u, hash, err)
	}
}

func TestRevokeTokens(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for range 3 {
		f.token(t, f.anna, account.TokenSpec{}, "")
	}
	_, his := f.token(t, f.bert, account.TokenSpec{}, "")
	for _, want := range []int{3, 0} {
		if n, err := account.RevokeTokens(t.Context(), f.app, f.anna.ID); err != nil || n != want {
			t.Errorf("%d are revoked, %v; want %d", n, err, want)
		}
	}
	if _, err := account.Identify(t.Context(), f.app, week, his); err != nil {
		t.Errorf("another user's: %v", err)
	}
}

func TestIssueToken_AtMost(t *testing.T) {
	t.Parallel()
	f := setup(t)
	spec := account.TokenSpec{Label: "ci", Scope: account.ScopeRead}
	f.run(t, `insert into mesher.personal_access_tokens (id, user_id, hash, prefix, last_four, label, scope, revoked_at)
		select gen_random_uuid(), $1, sha256(n::text::bytea), 'p', 'l', 'x', 'read', case when n > 99 then now() end
		from generate_series(1, 150) n`, f.anna.ID)
	last, _, err := account.IssueToken(t.Context(), f.app, f.anna.ID, spec)
	must(t, err)
	_, _, err = account.IssueToken(t.Context(), f.app, f.anna.ID, spec)
	wantFault(t, err, fault.Conflict, "revoke some")
	if code := fault.CodeOf(err); code != "too_many_tokens" {
		t.Errorf("code %q", code)
	}
	_, _, err = account.RevokeToken(t.Context(), f.app, f.anna.ID, last.ID)
	must(t, err)
	_, _, err = account.IssueToken(t.Context(), f.app, f.anna.ID, spec)
	must(t, err)
}

func TestStartSession_EndsTheOldest(t *testing.T) {
	t.Parallel()
	f := setup(t)
	oldest, _ := f.login(t, f.anna, "")
	f.run(t, `update mesher.sessions set created_at = created_at - interval '1 hour' where id = $1`, oldest.ID)
	f.run(t, `insert into mesher.sessions (id, user_id, hash, expires_at, network, ip)
		select gen_random_uuid(), $1, sha256(n::text::bytea), now() + interval '1 day', '192.0.2.1', '192.0.2.1'
		from generate_series(1, 98) n`, f.anna.ID)
	newest, _ := f.login(t, f.anna, "")
	for _, s := range []account.Session{oldest, newest} {
		if _, err := account.FindSession(t.Context(), f.app, week, f.anna.ID, s.ID); err != nil {
			t.Errorf("of 100 one has ended: %v", err)
		}
	}
	f.login(t, f.anna, "")
	_, err := account.FindSession(t.Context(), f.app, week, f.anna.ID, oldest.ID)
	wantFault(t, err, fault.NotFound)
	p, err := account.ListSessions(t.Context(), f.app, week, f.anna.ID, page.Request{Limit: 200})
	if err != nil || len(p.Rows) != 100 {
		t.Errorf("%d sessions, %v", len(p.Rows), err)
	}
}

func TestFindSession(t *testing.T) {
	t.Parallel()
	f := setup(t)
	s, _ := f.login(t, f.anna, "")
	got, err := account.FindSession(t.Context(), f.app, week, f.anna.ID, s.ID)
	if err != nil || got.ID != s.ID || !got.ExpiresAt.Equal(s.ExpiresAt) {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = account.FindSession(t.Context(), f.app, week, f.bert.ID, s.ID)
	wantFault(t, err, fault.NotFound)
	must(t, account.RevokeSession(t.Context(), f.app, week, f.anna.ID, s.ID))
	_, err = account.FindSession(t.Context(), f.app, week, f.anna.ID, s.ID)
	wantFault(t, err, fault.NotFound)
}

func TestNames_ThatNobodySees(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, name := range []string{"\u3164", "\u115f", "a\u034f", "A\ufe0f", "\u2800", "\u0301", "\u00a0"} {
		_, err := account.RenameUser(t.Context(), f.app, f.anna.ID, name)
		wantFault(t, err, fault.Invalid)
	}
	for _, name := range []string{"", "Ann", "안나", "é", "❤", "A."} {
		if _, err := account.RenameUser(t.Context(), f.app, f.anna.ID, name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	c := account.Client{UserAgent: "a\u202eb\x1bc\u3164d"}
	if got := c.Agent(); got != "a\ufffdb\ufffdc\ufffdd" {
		t.Errorf("%q", got)
	}
}
