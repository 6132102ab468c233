package account_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
)

func TestIssueToken(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org := f.organization(t, "acme")
	const most = 3650 * 24 * time.Hour
	for _, tt := range []struct {
		name string
		spec account.TokenSpec
	}{
		{name: "plain", spec: account.TokenSpec{Label: "ci", Scope: account.ScopeRead}},
		{name: "for a while", spec: account.TokenSpec{Label: "ci", Scope: account.ScopeWrite, Lifetime: 90 * 24 * time.Hour}},
		{name: "for the longest", spec: account.TokenSpec{Label: "ci", Scope: account.ScopeWrite, Lifetime: most}},
		{name: "of an organization", spec: account.TokenSpec{Label: strings.Repeat("é", 100), Scope: account.ScopeAdmin, OrganizationID: org}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, bearer, err := account.IssueToken(t.Context(), f.app, f.anna.ID, tt.spec)
			must(t, err)
			want := account.PersonalToken{
				ID: got.ID, OrganizationID: tt.spec.OrganizationID, Prefix: bearer[:9], LastFour: bearer[len(bearer)-4:],
				Label: tt.spec.Label, Scope: tt.spec.Scope, State: "active", CreatedAt: got.CreatedAt,
			}
			if tt.spec.Lifetime > 0 {
				want.ExpiresAt = got.CreatedAt.Add(tt.spec.Lifetime)
			}
			// Ten years of 24 hours: Postgres and Go agree about their length.
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("token (-want +got):\n%s", diff)
			}
			if got.ID.Version() != 7 || got.CreatedAt.IsZero() || !strings.HasPrefix(bearer, "mshp_") {
				t.Errorf("%s, created %s", got.ID, got.CreatedAt)
			}
		})
	}
	for _, tt := range []struct {
		name string
		spec account.TokenSpec
		says string
	}{
		{name: "no label", spec: account.TokenSpec{Scope: account.ScopeRead}, says: "empty"},
		{name: "a long label", spec: account.TokenSpec{Label: strings.Repeat("é", 101), Scope: account.ScopeRead}, says: "101"},
		{name: "a line break", spec: account.TokenSpec{Label: "a\nb", Scope: account.ScopeRead}, says: "cannot be shown"},
		{name: "a NUL", spec: account.TokenSpec{Label: "a\x00b", Scope: account.ScopeRead}, says: "cannot be shown"},
		{name: "no scope", spec: account.TokenSpec{Label: "ci"}, says: "read, write or admin"},
		{name: "the scope of a session", spec: account.TokenSpec{Label: "ci", Scope: account.ScopeSession}, says: "read, write or admin"},
		{name: "a scope that there is not", spec: account.TokenSpec{Label: "ci", Scope: "root"}, says: "read, write or admin"},
		{name: "a negative lifetime", spec: account.TokenSpec{Label: "ci", Scope: account.ScopeRead, Lifetime: -1}, says: "3650 days"},
		{name: "a long lifetime", spec: account.TokenSpec{Label: "ci", Scope: account.ScopeRead, Lifetime: most + 1}, says: "3650 days"},
	} {
		t.Run("refuses "+tt.name, func(t *testing.T) {
			t.Parallel()
			_, bearer, err := account.IssueToken(t.Context(), f.app, f.bert.ID, tt.spec)
			wantFault(t, err, fault.Invalid, tt.says)
			if bearer != "" {
				t.Error("there is a token all the same")
			}
		})
	}
	t.Run("a lifetime too short to measure is not forever", func(t *testing.T) {
		t.Parallel()
		got, _, err := account.IssueToken(t.Context(), f.app, f.bert.ID, account.TokenSpec{Label: "ci", Scope: account.ScopeRead, Lifetime: 1})
		if err != nil || got.ExpiresAt.IsZero() {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("needs a user and an organization that exist", func(t *testing.T) {
		t.Parallel()
		_, _, err := account.IssueToken(t.Context(), f.app, uuid.New(), account.TokenSpec{Label: "ci", Scope: account.ScopeRead})
		wantFault(t, err, fault.NotFound, "user")
		_, _, err = account.IssueToken(t.Context(), f.app, f.anna.ID, account.TokenSpec{Label: "ci", Scope: account.ScopeRead, OrganizationID: uuid.New()})
		wantFault(t, err, fault.NotFound, "organization")
	})
}

func TestListTokens(t *testing.T) {
	t.Parallel()
	f := setup(t)
	labels := map[uuid.UUID]string{}
	issue := func(u account.User, label string, scope account.Scope, set string) {
		t.Helper()
		p, _ := f.token(t, u, account.TokenSpec{Label: label, Scope: scope}, set)
		labels[p.ID] = label
	}
	same := "created_at = '2026-01-02 03:04:05.678901Z'" // the id decides
	issue(f.anna, "Old CI", account.ScopeRead, same)
	issue(f.anna, "old 100%", account.ScopeWrite, same)
	issue(f.anna, "deploy", account.ScopeAdmin, "")
	issue(f.anna, "gone", account.ScopeWrite, "expires_at = now()")
	issue(f.anna, "stolen", account.ScopeWrite, "revoked_at = now(), expires_at = now()")
	issue(f.bert, "old of somebody else", account.ScopeRead, "")
	for _, tt := range []struct {
		name   string
		filter account.TokenFilter
		want   []string
	}{
		{name: "all", want: []string{"stolen", "gone", "deploy", "old 100%", "Old CI"}},
		{name: "active", filter: account.TokenFilter{State: "active"}, want: []string{"deploy", "old 100%", "Old CI"}},
		{name: "expired", filter: account.TokenFilter{State: "expired"}, want: []string{"gone"}},
		{name: "revoked", filter: account.TokenFilter{State: "revoked"}, want: []string{"stolen"}},
		{name: "by scope", filter: account.TokenFilter{Scope: account.ScopeWrite}, want: []string{"stolen", "gone", "old 100%"}},
		{name: "by label in any case", filter: account.TokenFilter{Label: "OLD"}, want: []string{"old 100%", "Old CI"}},
		{name: "by a label that is no pattern", filter: account.TokenFilter{Label: "%"}, want: []string{"old 100%"}},
		{name: "by all of them", filter: account.TokenFilter{State: "active", Scope: account.ScopeRead, Label: "ci"}, want: []string{"Old CI"}},
		{name: "nothing", filter: account.TokenFilter{Label: "x"}},
		{name: "what cannot be stored", filter: account.TokenFilter{Label: "\x00"}},
		{name: "half a character", filter: account.TokenFilter{Label: "\xc3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 2, 100} {
				var got []string
				for r := (page.Request{Limit: size}); ; {
					p, err := account.ListTokens(t.Context(), f.app, f.anna.ID, tt.filter, r)
					must(t, err)
					for _, token := range p.Rows {
						got = append(got, labels[token.ID])
					}
					if r.After = p.Next; p.Next == (page.Mark{}) {
						break
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("in pages of %d: %q, want %q", size, got, tt.want)
				}
			}
		})
	}
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	f := setup(t)
	p, bearer := f.token(t, f.anna, account.TokenSpec{}, "")
	other, otherBearer := f.token(t, f.anna, account.TokenSpec{}, "")
	for name, id := range map[string]uuid.UUID{"another user's": p.ID, "unknown": uuid.New()} {
		if got, _, err := account.RevokeToken(t.Context(), f.app, f.bert.ID, id); !fault.Is(err, fault.NotFound) || got.ID != uuid.Nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	_, err := account.Identify(t.Context(), f.app, week, bearer)
	must(t, err)

	revoked, changed, err := account.RevokeToken(t.Context(), f.app, f.anna.ID, p.ID)
	must(t, err)
	if !changed || revoked.State != "revoked" || revoked.RevokedAt.IsZero() || revoked.ID != p.ID {
		t.Errorf("%+v", revoked)
	}
	_, err = account.Identify(t.Context(), f.app, week, bearer)
	wantFault(t, err, fault.Unauthenticated, "revoked")
	if got, err := account.Identify(t.Context(), f.app, week, otherBearer); err != nil || got.Credential != other.ID {
		t.Errorf("the other token: %v", err)
	}
	again, changed, err := account.RevokeToken(t.Context(), f.app, f.anna.ID, p.ID)
	must(t, err)
	if diff := cmp.Diff(revoked, again); diff != "" || changed {
		t.Errorf("revoked again (-first +second):\n%s", diff)
	}
}
