package auth_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
)

type sessions struct {
	Items []account.Session `json:"items"`
	Next  string            `json:"next"`
}

func TestSessions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user(t, "ada@example.com")
	b.user(t, "bob@example.com")
	first, second, third := b.login(t, "ada@example.com", secret1), b.login(t, "ada@example.com", secret1), b.login(t, "ada@example.com", secret1)
	foreign := b.login(t, "bob@example.com", secret1)
	list := func(query string) sessions {
		t.Helper()
		return decode[sessions](t, b.send(t, "GET", "/auth/v1/sessions"+query, "", "", bearer(second.Token)).want(t, 200, ""))
	}

	t.Run("lists the own ones, page by page, and marks the current one", func(t *testing.T) {
		page := list("?limit=2")
		rest := list("?limit=2&cursor=" + page.Next)
		var got []uuid.UUID
		var current []uuid.UUID
		for _, s := range append(page.Items, rest.Items...) {
			got = append(got, s.ID)
			if s.Current {
				current = append(current, s.ID)
			}
		}
		if d := cmp.Diff([]uuid.UUID{third.Session.ID, second.Session.ID, first.Session.ID}, got); d != "" || rest.Next != "" {
			t.Error(d, rest.Next)
		}
		if d := cmp.Diff([]uuid.UUID{second.Session.ID}, current); d != "" {
			t.Error(d)
		}
		b.send(t, "GET", "/auth/v1/sessions?cursor=x", "", "", bearer(second.Token)).want(t, 400, "invalid")
	})
	t.Run("shows who is logged in", func(t *testing.T) {
		me := decode[entered](t, b.send(t, "GET", "/auth/v1/session", "", "", bearer(first.Token)).want(t, 200, ""))
		if me.User.Email != "ada@example.com" || me.Session.ID != first.Session.ID || !me.Session.Current {
			t.Errorf("session %+v", me)
		}
	})
	t.Run("ends one, but nobody else's", func(t *testing.T) {
		end := func(id uuid.UUID) answer {
			return b.send(t, "DELETE", "/auth/v1/sessions/"+id.String(), "", "", bearer(second.Token))
		}
		missing := end(uuid.New()).want(t, 404, "not_found")
		end(foreign.Session.ID).want(t, 404, "not_found")
		if missing.status != 404 || !b.alive(t, foreign.Token) {
			t.Error("somebody else's session has ended")
		}
		end(third.Session.ID).want(t, 204, "")
		end(third.Session.ID).want(t, 404, "not_found")
		if b.alive(t, third.Token) || !b.alive(t, first.Token) {
			t.Error("the wrong session has ended")
		}
	})
	t.Run("logging out everywhere ends all", func(t *testing.T) {
		b.post(t, "/logout-all", nil, bearer(first.Token)).want(t, 204, "")
		if b.alive(t, first.Token) || b.alive(t, second.Token) || !b.alive(t, foreign.Token) {
			t.Error("the wrong sessions have ended")
		}
		b.post(t, "/logout-all", nil, bearer(first.Token)).want(t, 401, "unauthenticated")
	})
	t.Run("the audit log tells", func(t *testing.T) {
		revoked := b.number(t, "select count(*) from mesher.audit_log where action = 'session.revoke' and actor_name = 'ada@example.com' and organization_id is null")
		if revoked != 2 {
			t.Errorf("%d entries, want 2", revoked)
		}
	})
}
