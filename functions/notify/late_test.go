package notify

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
)

// A link that was asked for with a password must not be made once that is replaced.
func TestDelivers_NoChangeOfAddressFromBeforeThePassword(t *testing.T) {
	t.Parallel()
	b, s := setup(t), serveMail(t, "")
	admin := b.db.Pool(t, pgtest.Admin)
	user := b.user(t, "ada@example.com", true)
	early := b.write(t, outbox.ChangeEmail, "eve@example.com", outbox.UserData{UserID: user.ID})
	if err := account.SetPassword(t.Context(), admin, user.ID, "x"); err != nil {
		t.Fatal(err)
	}
	b.want(t, early, "skipped after 0")
	// One that was claimed before, or that an instance of an earlier version wrote.
	b.db.Exec(t, "update mesher.notifications set status = 'pending', finished_at = null")
	late := b.write(t, outbox.ChangeEmail, "new@example.com", outbox.UserData{UserID: user.ID})
	f := b.mailing(t, s)
	for _, id := range []uuid.UUID{early, late} {
		if code := push(t, f, id); code != http.StatusNoContent {
			t.Errorf("status %d: %s", code, b.log)
		}
	}
	b.want(t, early, "skipped after 1")
	b.want(t, late, "sent after 1")
	if m := s.one(t); strings.Contains(m.text, "eve") || m.header.Get("To") != "<new@example.com>" {
		t.Errorf("%v\n%s", m.header, m.text)
	}
}

func TestDelivers_ThatTokensWereRevoked(t *testing.T) {
	t.Parallel()
	b, s := setup(t), serveMail(t, "")
	id := b.write(t, outbox.PasswordChanged, "ada@example.com", outbox.PasswordData{Tokens: 3})
	if code := push(t, b.mailing(t, s), id); code != http.StatusNoContent {
		t.Fatalf("status %d: %s", code, b.log)
	}
	const says = "With it all your personal access tokens were revoked (3)"
	if m := s.one(t); !strings.Contains(m.text, says) || !strings.Contains(m.html, says) {
		t.Errorf("text:\n%s\nhtml:\n%s", m.text, m.html)
	}
}

func TestShown_IsNoLink(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Acme, Inc.":                     "Acme, Inc.",
		"J.R. Smith":                     "J. R. Smith",
		"https://evil.example/x":         "https: //evil. example/x",
		"HTTPS://EVIL.EXAMPLE":           "HTTPS: //EVIL. EXAMPLE",
		"WWW.evil.example":               "WWW. evil. example",
		"evil.example":                   "evil. example",
		"eve@evil.example":               "eve @ evil. example",
		"evil。example and evil．example":  "evil。 example and evil． example",
		"mailto:eve":                     "mailto: eve",
		"e\u200bvil\u00ad.\u2060example": "evil. example",
		"192.0.2.1":                      "192. 0. 2. 1",
		"\u202eevil.example":             "evil. example",
		"Ann ...":                        "Ann . . .",
	} {
		if got := shown(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
		for i, r := range shown(name) {
			if strings.ContainsRune(".:@", r) && i+1 < len(shown(name)) && shown(name)[i+1] != ' ' {
				t.Errorf("%q is shown as %q, which may be taken for a link", name, shown(name))
			}
		}
	}
}
