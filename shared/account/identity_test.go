package account_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/secret"
)

// login starts a session of the user, changed by SQL such as "revoked_at = now()".
func (f *fixture) login(t testing.TB, u account.User, set string) (account.Session, string) {
	t.Helper()
	s, bearer, err := account.StartSession(t.Context(), f.app, week, u.ID, home)
	must(t, err)
	if set != "" {
		f.run(t, `update mesher.sessions set `+set+` where id = $1`, s.ID)
	}
	return s, bearer
}

// token issues a personal access token of the user, changed as by login.
func (f *fixture) token(t testing.TB, u account.User, spec account.TokenSpec, set string) (account.PersonalToken, string) {
	t.Helper()
	if spec.Label == "" {
		spec.Label = "ci"
	}
	if spec.Scope == "" {
		spec.Scope = account.ScopeRead
	}
	p, bearer, err := account.IssueToken(t.Context(), f.app, u.ID, spec)
	must(t, err)
	if set != "" {
		f.run(t, `update mesher.personal_access_tokens set `+set+` where id = $1`, p.ID)
	}
	return p, bearer
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.run(t, `update mesher.users set email_verified_at = now(), name = 'Anna' where id = $1`, f.anna.ID)
	anna, err := account.FindUser(t.Context(), f.app, f.anna.ID)
	must(t, err)
	org := f.organization(t, "acme")
	session, sessionBearer := f.login(t, anna, "")
	plain, plainBearer := f.token(t, anna, account.TokenSpec{Scope: account.ScopeWrite}, "")
	bound, boundBearer := f.token(t, anna, account.TokenSpec{Scope: account.ScopeAdmin, OrganizationID: org, Lifetime: time.Hour}, "")
	for _, tt := range []struct {
		name, bearer string
		want         account.Identity
	}{
		{name: "a session", bearer: sessionBearer, want: account.Identity{User: anna, Credential: session.ID, Scope: account.ScopeSession}},
		{name: "a token", bearer: plainBearer, want: account.Identity{User: anna, Credential: plain.ID, Scope: account.ScopeWrite}},
		{
			name: "a token of an organization that the user has left", bearer: boundBearer,
			want: account.Identity{User: anna, Credential: bound.ID, Scope: account.ScopeAdmin, OrganizationID: org},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := &counter{DB: f.app}
			got, err := account.Identify(t.Context(), db, week, tt.bearer)
			must(t, err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
			if db.trips != 1 {
				t.Errorf("%d round trips, want one", db.trips)
			}
		})
	}
}

func TestIdentify_Refuses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	session := func(set string) string { _, s := f.login(t, f.anna, set); return s }
	token := func(set string) string { _, s := f.token(t, f.anna, account.TokenSpec{}, set); return s }
	good := session("")
	for _, tt := range []struct{ name, bearer, says string }{
		{name: "nothing", says: "neither"},
		{name: "a password", bearer: "correct horse battery staple", says: "neither"},
		{name: "an API key", bearer: secret.APIKey.New(), says: "API key, which only writes events"},
		{name: "a one-time token", bearer: secret.OneTime.New(), says: "neither"},
		{name: "half a session token", bearer: good[:20], says: "20 characters"},
		{name: "a typing error", bearer: good[:10] + string(good[10]^1) + good[11:], says: "session token"},
		{name: "a NUL", bearer: "mshp_\x00", says: "characters"},
		{name: "an unknown session", bearer: secret.Session.New(), says: "unknown; log in again"},
		{name: "an unknown token", bearer: secret.PersonalToken.New(), says: "unknown; make a new one"},
		{name: "a revoked session", bearer: session("revoked_at = now()"), says: "revoked"},
		{name: "a session past its end", bearer: session("expires_at = now()"), says: "expired"},
		{name: "an idle session", bearer: session("last_seen_at = now() - interval '7 days'"), says: "expired"},
		{name: "a revoked token", bearer: token("revoked_at = now()"), says: "revoked"},
		{name: "an expired token", bearer: token("expires_at = now()"), says: "expired"},
		{name: "a revoked and expired token", bearer: token("expires_at = now(), revoked_at = now()"), says: "revoked"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := account.Identify(t.Context(), f.app, week, tt.bearer)
			wantFault(t, err, fault.Unauthenticated, tt.says)
			if diff := cmp.Diff(account.Identity{}, got); diff != "" {
				t.Errorf("identity (-none +got):\n%s", diff)
			}
			if code := fault.CodeOf(err); code != "unauthenticated" {
				t.Errorf("code %s", code)
			}
			if len(tt.bearer) > 10 && strings.Contains(err.Error(), tt.bearer[5:]) {
				t.Errorf("the error repeats the secret: %v", err)
			}
		})
	}
	t.Run("touches none of them", func(t *testing.T) {
		t.Parallel()
		s, bearer := f.login(t, f.bert, "last_seen_at = now() - interval '8 days'")
		_, err := account.Identify(t.Context(), f.app, week, bearer)
		wantFault(t, err, fault.Unauthenticated)
		if age := f.age(t, "sessions", "last_seen_at", s.ID); age < 8*24*time.Hour {
			t.Errorf("an idle session was seen %s ago: whoever asks revives it", age)
		}
	})
}

// age is how long ago a credential was used.
func (f *fixture) age(t *testing.T, table, column string, id uuid.UUID) time.Duration {
	t.Helper()
	var seconds float64
	f.scan(t, &seconds, `select extract(epoch from now() - `+column+`)::float8 from mesher.`+table+` where id = $1`, id)
	return time.Duration(seconds * float64(time.Second))
}

func TestIdentify_NotesTheUse(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, tt := range []struct {
		name, ago string
		want      bool
	}{
		{name: "five minutes ago", ago: "now() - interval '5 minutes'", want: true},
		{name: "seconds ago", ago: "now() - interval '20 seconds'"},
		{name: "in the future", ago: "now() + interval '1 hour'"}, // a clock that was set back
	} {
		for _, of := range []string{"session", "token"} {
			t.Run(of+" used "+tt.name, func(t *testing.T) {
				t.Parallel()
				table, column, id, bearer := f.used(t, of, tt.ago)
				var was time.Time
				f.scan(t, &was, `select `+column+` from mesher.`+table+` where id = $1`, id)
				_, err := account.Identify(t.Context(), f.app, week, bearer)
				must(t, err)
				var is time.Time
				f.scan(t, &is, `select `+column+` from mesher.`+table+` where id = $1`, id)
				if is.Equal(was) == tt.want {
					t.Errorf("used at %s, then at %s; want it noted: %t", was, is, tt.want)
				}
				if tt.want && f.age(t, table, column, id) > time.Minute {
					t.Errorf("noted %s", is)
				}
			})
		}
	}
	t.Run("the first use of a token", func(t *testing.T) {
		t.Parallel()
		p, bearer := f.token(t, f.anna, account.TokenSpec{}, "")
		_, err := account.Identify(t.Context(), f.app, week, bearer)
		must(t, err)
		var noted bool
		f.scan(t, &noted, `select last_used_at is not null from mesher.personal_access_tokens where id = $1`, p.ID)
		if !noted || !p.LastUsedAt.IsZero() {
			t.Errorf("noted: %t; before: %s", noted, p.LastUsedAt)
		}
	})
	for _, of := range []string{"session", "token"} {
		t.Run("does not wait while somebody else changes the "+of, func(t *testing.T) {
			t.Parallel()
			table, column, id, bearer := f.used(t, of, "now() - interval '5 minutes'")
			tx, err := f.admin.Begin(t.Context())
			must(t, err)
			defer tx.Rollback(context.Background())
			_, err = tx.Exec(t.Context(), `select from mesher.`+table+` where id = $1 for update`, id)
			must(t, err)
			// The deadline only ends a test that would hang.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if got, err := account.Identify(ctx, f.app, week, bearer); err != nil || got.Credential != id {
				t.Errorf("%+v, %v", got, err)
			}
			if age := f.age(t, table, column, id); age < 4*time.Minute {
				t.Errorf("used %s ago: the row was not locked", age)
			}
		})
	}
	t.Run("of many at once", func(t *testing.T) {
		t.Parallel()
		_, _, id, bearer := f.used(t, "session", "now() - interval '5 minutes'")
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if got, err := account.Identify(t.Context(), f.app, week, bearer); err != nil || got.Credential != id {
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		all.Wait()
		if age := f.age(t, "sessions", "last_seen_at", id); age > time.Minute {
			t.Errorf("seen %s ago", age)
		}
	})
}

// used makes a credential that was used at a time in SQL.
func (f *fixture) used(t *testing.T, of, at string) (table, column string, id uuid.UUID, bearer string) {
	t.Helper()
	if of == "session" {
		s, bearer := f.login(t, f.anna, "last_seen_at = "+at)
		return "sessions", "last_seen_at", s.ID, bearer
	}
	p, bearer := f.token(t, f.anna, account.TokenSpec{}, "last_used_at = "+at)
	return "personal_access_tokens", "last_used_at", p.ID, bearer
}
