package auth_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/functions/auth"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

// joined is the answer to who accepts an invitation.
type joined struct {
	OrganizationID uuid.UUID        `json:"organization_id"`
	Organization   string           `json:"organization"`
	Role           tenant.Role      `json:"role"`
	Token          string           `json:"token"`
	Session        *account.Session `json:"session"`
	User           account.User     `json:"user"`
}

// role returns the role of a user in an organization, "" for who is no member.
func (b *bundle) role(t *testing.T, organization, user uuid.UUID) string {
	t.Helper()
	got := b.texts(t, "select role from mesher.memberships where organization_id = $1 and user_id = $2", organization, user)
	if len(got) == 0 {
		return ""
	}
	return got[0]
}

func TestPreviewInvitation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inv, token := b.invite(t, "ada@example.com")
	preview := func(token string) answer { return b.post(t, "/invitations/preview", object{"token": token}) }
	want := object{"organization": "Acme", "email": "ada@example.com", "role": "admin", "account": false}
	look := func(account bool) {
		t.Helper()
		got := decode[object](t, preview(token).want(t, 200, ""))
		if got["expires_at"] == nil {
			t.Error("there is no end of the invitation")
		}
		delete(got, "expires_at")
		want["account"] = account
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	look(false)
	b.newUser(t, "ada@example.com", secret1, false)
	look(false)
	b.exec(t, "update mesher.users set email_verified_at = now()")
	look(true)
	preview("msho_").want(t, 400, "token_invalid")
	b.exec(t, "update mesher.invitations set revoked_at = now() where id = $1", inv.ID)
	preview(token).want(t, 409, "invitation_closed")
	b.post(t, "/invitations/accept", object{"token": token, "password": secret1}).want(t, 409, "invitation_closed")
}

func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.admin.Exec(t.Context(), sql, args...)
	must(t, err)
}

func TestAcceptInvitation_MakesAnAccount(t *testing.T) {
	t.Parallel()
	for name, stranger := range map[string]bool{"for a new address": false, "for one that a stranger registered": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *auth.Config) { c.Registration = auth.InviteOnly })
			if stranger {
				b.newUser(t, "ada@example.com", secret1, false)
			}
			inv, token := b.invite(t, "ada@example.com")
			b.post(t, "/invitations/accept", object{"token": token}).want(t, 400, "weak_password")
			b.post(t, "/invitations/accept", object{"token": token, "password": "ada@example.com"}).want(t, 400, "weak_password")
			got := decode[joined](t, b.post(t, "/invitations/accept", object{"token": token, "password": secret2, "name": "Ada"}).want(t, 200, ""))
			if got.OrganizationID != inv.OrganizationID || got.Organization != "Acme" || got.Role != tenant.Admin || got.Session == nil || !b.alive(t, got.Token) {
				t.Errorf("answer %+v", got)
			}
			if got.User.Email != "ada@example.com" || got.User.Name != "Ada" || !got.User.Verified {
				t.Errorf("user %+v", got.User)
			}
			if role := b.role(t, inv.OrganizationID, got.User.ID); role != "admin" {
				t.Errorf("role %q", role)
			}
			b.login(t, "ada@example.com", secret2)
			b.post(t, "/login", object{"email": "ada@example.com", "password": secret1}).want(t, 401, "login_failed")
			b.post(t, "/invitations/accept", object{"token": token, "password": secret2}).want(t, 400, "token_invalid")
			entries := b.texts(t, "select action || ' ' || actor_name from mesher.audit_log where organization_id = $1", inv.OrganizationID)
			if d := cmp.Diff([]string{"invitation.accept ada@example.com"}, entries); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAcceptInvitation_OfWhoHasAnAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.user(t, "ada@example.com")
	inv, token := b.invite(t, "ada@example.com")
	accept := func(body object, o ...option) answer { return b.post(t, "/invitations/accept", body, o...) }
	accept(object{"token": token, "password": secret2}).want(t, 401, "login_required")
	accept(object{"token": token, "password": secret2}, bearer("mshs_old")).want(t, 401, "login_required")
	if b.role(t, inv.OrganizationID, u.ID) != "" {
		t.Fatal("somebody became a member")
	}
	session := b.login(t, "ada@example.com", secret1)
	accept(object{"token": token}, cookie(session.Token), header("Sec-Fetch-Site", "cross-site")).want(t, 403, "cross_origin")
	got := decode[joined](t, accept(object{"token": token}, cookie(session.Token)).want(t, 200, ""))
	if got.Token != "" || got.Session != nil || got.User.ID != u.ID || b.role(t, inv.OrganizationID, u.ID) != "admin" {
		t.Errorf("answer %+v", got)
	}
	if !b.alive(t, session.Token) {
		t.Error("the session has ended")
	}
	accept(object{"token": token}, bearer(session.Token)).want(t, 400, "token_invalid")
}

func TestAcceptInvitation_WorksOnceOfMany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inv, token := b.invite(t, "ada@example.com")
	second := b.link(t, account.Invitation, inv.ID, inv.Email)
	var sessions []string
	for _, email := range []string{"bob@example.com", "eve@example.com"} {
		b.user(t, email)
		sessions = append(sessions, b.login(t, email, secret1).Token)
	}
	var wg sync.WaitGroup
	var won atomic.Int32
	for i := range 9 {
		wg.Go(func() {
			link, o := token, []option{}
			if i%2 == 1 {
				link = second
			}
			if i%3 > 0 {
				o = append(o, bearer(sessions[i%3-1]))
			}
			got := b.post(t, "/invitations/accept", object{"token": link, "password": secret2}, o...)
			switch got.status {
			case http.StatusOK:
				won.Add(1)
			case http.StatusBadRequest, http.StatusConflict:
			case http.StatusUnauthorized: // the invited address got its account in between
			default:
				t.Errorf("answer %d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	members := b.number(t, "select count(*) from mesher.memberships where organization_id = $1", inv.OrganizationID)
	if won.Load() != 1 || members != 2 {
		t.Errorf("%d have accepted, %d members, want one besides the owner", won.Load(), members)
	}
	if n := b.number(t, "select count(*) from mesher.audit_log where action = 'invitation.accept'"); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
}

// The owner of an address verifies it while somebody accepts an invitation of it for a new account: the password stays.
func TestAcceptInvitation_WhileTheAddressIsVerified(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.newUser(t, "ada@example.com", secret1, false)
	inv, token := b.invite(t, "ada@example.com")
	tx, err := b.admin.Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	must(t, account.SetEmail(t.Context(), tx, u.ID, u.Email))
	done := make(chan answer, 1)
	go func() {
		done <- b.post(t, "/invitations/accept", object{"token": token, "password": secret2})
	}()
	b.awaitWaiting(t)
	must(t, tx.Commit(t.Context()))
	(<-done).want(t, 401, "login_required")
	b.login(t, "ada@example.com", secret1)
	if b.role(t, inv.OrganizationID, u.ID) != "" {
		t.Error("the user is a member")
	}
}
