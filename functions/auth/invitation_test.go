package auth_test

import (
	"net/http"
	"strings"
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
	want := object{"organization": "Acme", "email": "ada@example.com", "role": "admin", "account": false, "invited_by": "Somebody"}
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
	if got := preview("msho_").want(t, 400, "token_invalid"); !strings.Contains(got.body, "incomplete") || strings.Contains(got.body, "used") {
		t.Errorf("answer %s", got.body)
	}
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
			none := b.post(t, "/invitations/accept", object{"token": token}).want(t, 401, "login_required")
			if !strings.Contains(none.body, "log in, or send a name and a password for a new account") || none.header.Get("WWW-Authenticate") == "" {
				t.Errorf("answer %s %v", none.body, none.header)
			}
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
			want := []string{
				`invitation.accept ada@example.com invitation {"role": {"to": "admin", "from": null}, "user": "ada@example.com"}`,
				`member.add ada@example.com member {"role": "admin"}`,
			}
			if d := cmp.Diff(want, b.joins(t, inv.OrganizationID)); d != "" {
				t.Error(d)
			}
		})
	}
}

// joins returns the audit log of an organization as "action actor target-kind details".
func (b *bundle) joins(t *testing.T, organization uuid.UUID) []string {
	t.Helper()
	return b.texts(t, `select concat_ws(' ', action, actor_name, target_kind, details) from mesher.audit_log
		where organization_id = $1 order by id`, organization)
}

// A link that was passed on, or found, gives its finder nothing.
func TestAcceptInvitation_OfAnother(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inv, token := b.invite(t, "zoe@example.com")
	bob := b.user(t, "bob@example.com")
	_, err := tenant.AddMember(t.Context(), b.admin, inv.OrganizationID, bob.ID, tenant.Member)
	must(t, err)
	before := b.state(t)
	session := b.login(t, bob.Email, secret1).Token
	for _, o := range []option{bearer(session), cookie(session)} {
		got := b.post(t, "/invitations/accept", object{"token": token, "name": "Zoe", "password": secret2}, o).want(t, 403, "invitation_of_another")
		if want := "the invitation is for zoe@example.com; log in with that address, or ask who invited you to invite yours"; !strings.Contains(got.body, want) {
			t.Errorf("answer %s, want %s", got.body, want)
		}
	}
	if role := b.role(t, inv.OrganizationID, bob.ID); role != "member" || len(b.joins(t, inv.OrganizationID)) > 0 || len(before) == 0 {
		t.Errorf("role %s, audit log %v", role, b.joins(t, inv.OrganizationID))
	}
	// It is still there for whom it is for.
	b.user(t, "Zoe@Example.com")
	got := decode[joined](t, b.post(t, "/invitations/accept", object{"token": token}, bearer(b.login(t, "zoe@example.com", secret1).Token)).want(t, 200, ""))
	if b.role(t, inv.OrganizationID, got.User.ID) != "admin" {
		t.Errorf("answer %+v", got)
	}
}

// Who has become a member in another way keeps the higher role, and the audit log tells what changed.
func TestAcceptInvitation_OfAMember(t *testing.T) {
	t.Parallel()
	for was, tt := range map[tenant.Role]struct{ is, log string }{
		tenant.Member: {"admin", `member.role ada@example.com member {"role": {"to": "admin", "from": "member"}}`},
		tenant.Admin:  {"admin", ""},
		tenant.Owner:  {"owner", ""},
	} {
		t.Run(string(was), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			inv, token := b.invite(t, "ada@example.com")
			u := b.user(t, "ada@example.com")
			_, err := tenant.AddMember(t.Context(), b.admin, inv.OrganizationID, u.ID, was)
			must(t, err)
			got := decode[joined](t, b.post(t, "/invitations/accept", object{"token": token}, bearer(b.login(t, u.Email, secret1).Token)).want(t, 200, ""))
			if string(got.Role) != tt.is || b.role(t, inv.OrganizationID, u.ID) != tt.is {
				t.Errorf("answer %+v", got)
			}
			want := []string{`invitation.accept ada@example.com invitation {"role": {"to": "` + tt.is + `", "from": "` + string(was) + `"}, "user": "ada@example.com"}`}
			if tt.log != "" {
				want = append(want, tt.log)
			}
			if d := cmp.Diff(want, b.joins(t, inv.OrganizationID)); d != "" {
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
	over := b.login(t, "ada@example.com", secret1).Token
	b.post(t, "/logout", nil, bearer(over)).want(t, 204, "")
	for _, o := range []option{bearer("mshs_old"), cookie("x"), bearer(over), cookie(over), header("Authorization", "Basic eDp5")} {
		accept(object{"token": token, "password": secret2, "name": "Ada"}, o).want(t, 401, "unauthenticated")
	}
	_, personal, err := account.IssueToken(t.Context(), b.admin, u.ID, account.TokenSpec{Label: "x", Scope: account.ScopeAdmin})
	must(t, err)
	accept(object{"token": token}, bearer(personal)).want(t, 403, "scope_too_low")
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
	b.user(t, "ada@example.com")
	sessions := []string{b.login(t, "ada@example.com", secret1).Token, b.login(t, "ada@example.com", secret1).Token}
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
			case http.StatusUnauthorized: // who does not log in
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
