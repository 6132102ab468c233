package account_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/secret"
)

// link issues a one-time token that is sent to the user's address.
func (f *fixture) link(t testing.TB, purpose account.Purpose, u account.User) string {
	t.Helper()
	bearer, err := account.IssueOneTime(t.Context(), f.app, purpose, u.ID, u.Email)
	must(t, err)
	return bearer
}

// invitation stores an invitation that expires at a time in SQL.
func (f *fixture) invitation(t testing.TB, email, expires string) uuid.UUID {
	t.Helper()
	id := uuid.New()
	org := f.organization(t, "org-"+id.String()[:8])
	f.run(t, `insert into mesher.invitations (id, organization_id, email, role, expires_at) values ($1, $2, $3, 'member', `+expires+`)`, id, org, email)
	return id
}

func wantInvalidToken(t testing.TB, err error, words ...string) {
	t.Helper()
	wantFault(t, err, fault.Invalid, words...)
	if code := fault.CodeOf(err); err != nil && code != "token_invalid" {
		t.Errorf("code %s, want token_invalid", code)
	}
}

func TestUseOneTime(t *testing.T) {
	t.Parallel()
	f := setup(t)
	invitation := f.invitation(t, "carl@example.com", "date_trunc('second', now()) + interval '3 days'")
	for _, tt := range []struct {
		purpose account.Purpose
		subject uuid.UUID
		email   string
		life    time.Duration
		want    account.OneTime
	}{
		{
			purpose: account.VerifyEmail, subject: f.anna.ID, email: "ANNA@example.com", life: 24 * time.Hour,
			want: account.OneTime{Purpose: account.VerifyEmail, UserID: f.anna.ID, Email: "ANNA@example.com"},
		},
		{
			purpose: account.ChangeEmail, subject: f.anna.ID, email: "new@example.com", life: time.Hour,
			want: account.OneTime{Purpose: account.ChangeEmail, UserID: f.anna.ID, Email: "new@example.com"},
		},
		{
			purpose: account.ResetPassword, subject: f.anna.ID, email: f.anna.Email, life: time.Hour,
			want: account.OneTime{Purpose: account.ResetPassword, UserID: f.anna.ID, Email: f.anna.Email},
		},
		{
			purpose: account.Invitation, subject: invitation, email: "carl@example.com", life: 72 * time.Hour,
			want: account.OneTime{Purpose: account.Invitation, InvitationID: invitation, Email: "carl@example.com"},
		},
	} {
		t.Run(string(tt.purpose), func(t *testing.T) {
			t.Parallel()
			bearer, err := account.IssueOneTime(t.Context(), f.app, tt.purpose, tt.subject, tt.email)
			must(t, err)
			for range 2 {
				got, err := account.PeekOneTime(t.Context(), f.app, tt.purpose, bearer)
				must(t, err)
				f.checkLife(t, &got, tt.life)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("peeked (-want +got):\n%s", diff)
				}
			}
			got, err := account.UseOneTime(t.Context(), f.app, tt.purpose, bearer)
			must(t, err)
			f.checkLife(t, &got, tt.life)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("used (-want +got):\n%s", diff)
			}
			_, err = account.UseOneTime(t.Context(), f.app, tt.purpose, bearer)
			wantInvalidToken(t, err, "if you have just used it, it has worked", "ask for a new one")
			_, err = account.PeekOneTime(t.Context(), f.app, tt.purpose, bearer)
			wantInvalidToken(t, err, "ask for a new one")
		})
	}
}

// checkLife expects a token to expire life from now by the database's clock, give or take two minutes, and clears the time.
func (f *fixture) checkLife(t *testing.T, o *account.OneTime, life time.Duration) {
	t.Helper()
	var now time.Time
	f.scan(t, &now, `select now()`)
	if left := o.ExpiresAt.Sub(now); left > life || left < life-2*time.Minute {
		t.Errorf("%s: good for another %s, want %s", o.Purpose, left, life)
	}
	o.ExpiresAt = time.Time{}
}

func TestUseOneTime_Refuses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	expired := f.link(t, account.ResetPassword, f.anna)
	f.run(t, `update mesher.one_time_tokens set expires_at = now()`)
	good := f.link(t, account.ResetPassword, f.bert)
	late, err := account.IssueOneTime(t.Context(), f.app, account.Invitation, f.invitation(t, "c@example.com", "now()"), "c@example.com")
	must(t, err)
	moved := f.user(t, "before@example.com")
	reset, verify := f.link(t, account.ResetPassword, moved), f.link(t, account.VerifyEmail, moved)
	must(t, account.SetEmail(t.Context(), f.app, moved.ID, "after@example.com"))

	var details []string
	for _, tt := range []struct {
		name    string
		purpose account.Purpose
		bearer  string
	}{
		{name: "an unknown token", purpose: account.ResetPassword, bearer: secret.OneTime.New()},
		{name: "an expired token", purpose: account.ResetPassword, bearer: expired},
		{name: "a token for another purpose", purpose: account.VerifyEmail, bearer: good},
		{name: "a token of no purpose", bearer: good},
		{name: "a token of an expired invitation", purpose: account.Invitation, bearer: late},
		{name: "a reset that was sent to a former address", purpose: account.ResetPassword, bearer: reset},
		{name: "a verification of a former address", purpose: account.VerifyEmail, bearer: verify},
	} {
		for _, find := range []func(context.Context, account.DB, account.Purpose, string) (account.OneTime, error){account.PeekOneTime, account.UseOneTime} {
			got, err := find(t.Context(), f.app, tt.purpose, tt.bearer)
			wantInvalidToken(t, err)
			if got != (account.OneTime{}) {
				t.Errorf("%s: %+v", tt.name, got)
			}
			if err != nil {
				details = append(details, err.Error())
			}
		}
	}
	for _, d := range details {
		if d != details[0] {
			t.Errorf("who tries tokens can tell %q from %q", d, details[0])
		}
	}
	for _, bearer := range []string{"", good[:30], good + "x", "mshs_x\x00", secret.Session.New()} {
		_, err := account.UseOneTime(t.Context(), f.app, account.ResetPassword, bearer)
		wantInvalidToken(t, err, "incomplete; open it from the mail again")
		if strings.Contains(err.Error(), "used") {
			t.Errorf("a link that is cut off is said to be used: %v", err)
		}
	}
	if _, err := account.UseOneTime(t.Context(), f.app, account.ResetPassword, good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestUseOneTime_UsesUpTheOthers(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first, second := f.link(t, account.ResetPassword, f.anna), f.link(t, account.ResetPassword, f.anna)
	verify, his := f.link(t, account.VerifyEmail, f.anna), f.link(t, account.ResetPassword, f.bert)
	_, err := account.UseOneTime(t.Context(), f.app, account.ResetPassword, second)
	must(t, err)
	_, err = account.UseOneTime(t.Context(), f.app, account.ResetPassword, first)
	wantInvalidToken(t, err)
	_, err = account.UseOneTime(t.Context(), f.app, account.VerifyEmail, verify)
	must(t, err)
	_, err = account.UseOneTime(t.Context(), f.app, account.ResetPassword, his)
	must(t, err)

	one, two := f.invitation(t, "c@example.com", "now() + interval '1 day'"), f.invitation(t, "c@example.com", "now() + interval '1 day'")
	var bearers []string
	for _, id := range []uuid.UUID{one, one, two} {
		bearer, err := account.IssueOneTime(t.Context(), f.app, account.Invitation, id, "c@example.com")
		must(t, err)
		bearers = append(bearers, bearer)
	}
	_, err = account.UseOneTime(t.Context(), f.app, account.Invitation, bearers[0])
	must(t, err)
	_, err = account.UseOneTime(t.Context(), f.app, account.Invitation, bearers[1])
	wantInvalidToken(t, err)
	_, err = account.UseOneTime(t.Context(), f.app, account.Invitation, bearers[2])
	must(t, err)
}

func TestVoidOneTime(t *testing.T) {
	t.Parallel()
	f := setup(t)
	one, two := f.invitation(t, "c@example.com", "now() + interval '1 day'"), f.invitation(t, "d@example.com", "now() + interval '1 day'")
	issue := func(id uuid.UUID) string {
		bearer, err := account.IssueOneTime(t.Context(), f.app, account.Invitation, id, "c@example.com")
		must(t, err)
		return bearer
	}
	first, second, his := issue(one), issue(one), issue(two)
	reset, verify := f.link(t, account.ResetPassword, f.anna), f.link(t, account.VerifyEmail, f.anna)
	must(t, account.VoidOneTime(t.Context(), f.app, account.Invitation, one))
	must(t, account.VoidOneTime(t.Context(), f.app, account.ResetPassword, f.anna.ID))
	for _, bearer := range []string{first, second} {
		_, err := account.UseOneTime(t.Context(), f.app, account.Invitation, bearer)
		wantInvalidToken(t, err, "replaced by a newer one")
	}
	_, err := account.UseOneTime(t.Context(), f.app, account.ResetPassword, reset)
	wantInvalidToken(t, err)
	for bearer, purpose := range map[string]account.Purpose{his: account.Invitation, verify: account.VerifyEmail, issue(one): account.Invitation} {
		if _, err := account.UseOneTime(t.Context(), f.app, purpose, bearer); err != nil {
			t.Errorf("%s that is not void: %v", purpose, err)
		}
	}
}

func TestUseOneTime_RolledBack(t *testing.T) {
	t.Parallel()
	f := setup(t)
	bearer := f.link(t, account.ResetPassword, f.anna)
	tx, err := f.app.Begin(t.Context())
	must(t, err)
	_, err = account.UseOneTime(t.Context(), tx, account.ResetPassword, bearer)
	must(t, err)
	must(t, tx.Rollback(t.Context()))
	if _, err := account.UseOneTime(t.Context(), f.app, account.ResetPassword, bearer); err != nil {
		t.Errorf("after what it was used for failed: %v", err)
	}
}

func TestUseOneTime_Race(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		tokens int
	}{
		{name: "one token", tokens: 1},
		{name: "two tokens of a user", tokens: 2},
		{name: "twenty tokens of a user", tokens: 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			var bearers []string
			for range tt.tokens {
				bearers = append(bearers, f.link(t, account.ResetPassword, f.anna))
			}
			var mu sync.Mutex
			used := 0
			f.crowd(t, `select from mesher.one_time_tokens for update`, parallelCalls(20, func(ctx context.Context, db account.DB, i int) {
				_, err := account.UseOneTime(ctx, db, account.ResetPassword, bearers[i%len(bearers)])
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					used++
				} else {
					wantInvalidToken(t, err)
				}
			}))
			if used != 1 {
				t.Errorf("%d of 20 uses succeed, want one", used)
			}
		})
	}
}

// TestUseOneTime_SparesALaterOne issues a token while another is being used. The loser of that race must not use it up.
func TestUseOneTime_SparesALaterOne(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first := f.link(t, account.ResetPassword, f.anna)
	winner, err := f.app.Begin(t.Context())
	must(t, err)
	defer winner.Rollback(context.Background())
	_, err = account.UseOneTime(t.Context(), winner, account.ResetPassword, first)
	must(t, err)
	later := f.link(t, account.ResetPassword, f.anna)

	var loser sync.WaitGroup
	var done atomic.Int64
	conn := f.Conn(t, pgtest.App)
	loser.Go(func() {
		_, err := account.UseOneTime(t.Context(), conn, account.ResetPassword, first)
		wantInvalidToken(t, err)
		done.Add(1)
	})
	f.awaitBlocked(t, 1, &done)
	must(t, winner.Commit(t.Context()))
	loser.Wait()
	if _, err := account.UseOneTime(t.Context(), f.app, account.ResetPassword, later); err != nil {
		t.Errorf("the later one: %v", err)
	}
}

func TestIssueOneTime_Refuses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, purpose := range []account.Purpose{account.VerifyEmail, account.ChangeEmail, account.ResetPassword, account.Invitation} {
		bearer, err := account.IssueOneTime(t.Context(), f.app, purpose, uuid.New(), "x@example.com")
		wantFault(t, err, fault.NotFound)
		if bearer != "" {
			t.Errorf("%s: a token of nobody", purpose)
		}
	}
	if _, err := account.IssueOneTime(t.Context(), f.app, "door", f.anna.ID, "x@example.com"); !fault.Is(err, fault.Internal) {
		t.Errorf("a purpose that there is not: %v", err)
	}
}
