package api_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestInvitations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	ben := b.member(t, acme, "ben", tenant.Admin)
	path := "/organizations/" + acme.ID.String() + "/invitations"
	at := func(i tenant.Invitation) string { return path + "/" + i.ID.String() }

	sent := read[tenant.Invitation](b.post(t, ben, path, `{"email":"Guest@example.com","role":"member"}`), http.StatusCreated)

	t.Run("are sent by mail", func(t *testing.T) {
		if sent.Email != "Guest@example.com" || sent.Role != tenant.Member || sent.State != tenant.InvitationOpen || sent.InvitedBy != "ben" {
			t.Errorf("%+v", sent)
		}
		ids := b.queue.published()
		if len(ids) != 1 {
			t.Fatalf("%d notifications were published, want 1", len(ids))
		}
		if n := b.count(t, `select count(*) from mesher.notifications where id = $1 and organization_id = $2 and template = 'invitation'
			and recipient = 'Guest@example.com' and data = jsonb_build_object('invitation_id', $3::text)`,
			ids[0], acme.ID, sent.ID.String()); n != 1 {
			t.Error("the notification that was published is not that of the invitation")
		}
	})

	t.Run("are refused where they make no sense, and then nothing is sent", func(t *testing.T) {
		before := b.count(t, `select count(*) from mesher.notifications`)
		b.post(t, ben, path, `{"email":"guest@EXAMPLE.com","role":"admin"}`).refused(http.StatusConflict, "already_invited", "invited already; resend that invitation or revoke it")
		b.post(t, ben, path, `{"email":"anna@example.com","role":"admin"}`).refused(http.StatusConflict, "already_member", "member")
		b.post(t, ben, path, `{"email":"boss@example.com","role":"owner"}`).refused(http.StatusForbidden, "role_too_low", "owner")
		b.post(t, ben, path, `{"email":"nobody","role":"member"}`).refused(http.StatusBadRequest, "invalid", "anna@example.com")
		b.post(t, ben, path, `{"email":"a@example.com","role":"boss"}`).refused(http.StatusBadRequest, "invalid", "body.role: ")
		b.post(t, ben, path, `{"role":"member"}`).refused(http.StatusBadRequest, "invalid", "email is missing")
		if n := b.count(t, `select count(*) from mesher.notifications`); n != before || len(b.queue.published()) != before {
			t.Errorf("%d notifications, want %d", n, before)
		}
	})

	t.Run("are sent again, but not too often", func(t *testing.T) {
		b.Exec(t, `update mesher.invitations set expires_at = now() - interval '1 hour'`)
		again := read[tenant.Invitation](b.post(t, anna, at(sent)+"/resend", nil), http.StatusOK)
		if again.ID != sent.ID || again.State != tenant.InvitationOpen || !again.ExpiresAt.After(sent.ExpiresAt) {
			t.Errorf("%+v, want it to be open for longer than %s", again, sent.ExpiresAt)
		}
		for range 2 {
			b.post(t, anna, at(sent)+"/resend", nil).is(http.StatusOK)
		}
		a := b.post(t, anna, at(sent)+"/resend", nil)
		a.refused(http.StatusTooManyRequests, "limited", "wait")
		if a.header.Get("Retry-After") == "" {
			t.Error("the answer does not say how long to wait")
		}
		if n := len(b.queue.published()); n != 4 {
			t.Errorf("%d mails were sent, want 4", n)
		}
	})

	t.Run("are not sent again too often by taking them back", func(t *testing.T) {
		b.delete(t, anna, at(sent)).is(http.StatusOK)
		b.post(t, anna, path, `{"email":"guest@example.com","role":"member"}`).refused(http.StatusTooManyRequests, "limited", "wait")
		if n := b.count(t, `select count(*) from mesher.invitations`); n != 1 {
			t.Errorf("%d invitations, want the first only", n)
		}
	})

	t.Run("are taken back once", func(t *testing.T) {
		got := read[tenant.Invitation](b.delete(t, anna, at(sent)), http.StatusOK)
		if got.State != tenant.InvitationRevoked || got.RevokedAt.IsZero() {
			t.Errorf("%+v", got)
		}
		b.post(t, anna, at(sent)+"/resend", nil).refused(http.StatusConflict, "invitation_closed", "revoked; invite Guest@example.com again")
		actions := names(items[tenant.AuditEntry](t, b, anna, "/organizations/"+acme.ID.String()+"/audit?target="+sent.ID.String()),
			func(e tenant.AuditEntry) string { return e.Action })
		want := []string{"invitation.revoke", "invitation.resend", "invitation.resend", "invitation.resend", "invitation.create"}
		if diff := cmp.Diff(want, actions); diff != "" {
			t.Errorf("audit log (-want +got):\n%s", diff)
		}
	})

	t.Run("stay as they are once accepted, and are out of reach of lower roles", func(t *testing.T) {
		i := read[tenant.Invitation](b.post(t, anna, path, `{"email":"cara@example.com","role":"owner"}`), http.StatusCreated)
		b.delete(t, ben, at(i)).refused(http.StatusForbidden, "role_too_low", "owner")
		b.post(t, ben, at(i)+"/resend", nil).refused(http.StatusForbidden, "role_too_low", "owner")
		_, err := tenant.AcceptInvitation(t.Context(), b.app, i.ID, b.user(t, "cara").ID)
		must(t, err)
		b.delete(t, anna, at(i)).refused(http.StatusConflict, "invitation_closed", "accepted")
		b.post(t, anna, at(i)+"/resend", nil).refused(http.StatusConflict, "invitation_closed", "nothing to send again")
		accepted := items[tenant.Invitation](t, b, anna, path+"?state=accepted")
		if len(accepted) != 1 || accepted[0].AcceptedBy != "cara" {
			t.Errorf("accepted: %+v", accepted)
		}
		b.delete(t, anna, path+"/"+uuid.NewString()).refused(http.StatusNotFound, "not_found", "no invitation")
	})

	t.Run("are listed by filters", func(t *testing.T) {
		b.post(t, anna, path, `{"email":"dora@example.com","role":"admin"}`).is(http.StatusCreated)
		for query, want := range map[string][]string{
			"":                          {"dora@example.com", "cara@example.com", "Guest@example.com"},
			"state=revoked":             {"Guest@example.com"},
			"state=accepted":            {"cara@example.com"},
			"state=open":                {"dora@example.com"},
			"role=owner":                {"cara@example.com"},
			"search=GUEST":              {"Guest@example.com"},
			"search=guest&state=open":   {},
			"search=%25&state=accepted": {},
		} {
			got := names(items[tenant.Invitation](t, b, ben, path+"?"+query), func(i tenant.Invitation) string { return i.Email })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", query, diff)
			}
		}
	})
}

func TestResendInvitation_VoidsTheLinksOfBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	path := "/organizations/" + b.organization(t, anna, "Acme").ID.String() + "/invitations"
	link := func(i tenant.Invitation) string {
		bearer, err := account.IssueOneTime(t.Context(), b.app, account.Invitation, i.ID, i.Email)
		must(t, err)
		return bearer
	}
	one := read[tenant.Invitation](b.post(t, anna, path, `{"email":"one@example.com","role":"member"}`), http.StatusCreated)
	two := read[tenant.Invitation](b.post(t, anna, path, `{"email":"two@example.com","role":"member"}`), http.StatusCreated)
	before, other := link(one), link(two)
	b.post(t, anna, path+"/"+one.ID.String()+"/resend", nil).is(http.StatusOK)
	after := link(one)
	for bearer, code := range map[string]string{before: "token_invalid", other: "", after: ""} {
		_, err := account.PeekOneTime(t.Context(), b.app, account.Invitation, bearer)
		if (code == "") != (err == nil) || err != nil && fault.CodeOf(err) != code {
			t.Errorf("%v, want %q", err, code)
		}
	}
}
