package notify

import (
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
)

// What a notification becomes depends on what is true when it is delivered.
func TestDelivers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		template outbox.Template
		user     string // address of a user who is there; verified when it begins with +
		to       string
		mailed   string // address that gets the mail; empty: nobody
		subject  string
		path     string // of the link
		purpose  account.Purpose
	}{
		{"a registration", outbox.Registration, "ada@example.com", "ada@example.com", "ada@example.com", "Confirm your e-mail address", "/auth/verify", account.VerifyEmail},
		{"a registration of who has an account", outbox.Registration, "+ada@example.com", "ada@example.com", "ada@example.com", "You already have a Mesher account", "", ""},
		{"a registration of nobody", outbox.Registration, "", "ada@example.com", "", "", "", ""},
		{"a verification", outbox.VerifyEmail, "ada@example.com", "ada@example.com", "ada@example.com", "Confirm your e-mail address", "/auth/verify", account.VerifyEmail},
		{"a verification of who is verified", outbox.VerifyEmail, "+ada@example.com", "ada@example.com", "", "", "", ""},
		{"a verification of nobody", outbox.VerifyEmail, "bob@example.com", "ada@example.com", "", "", "", ""},
		{"a reset", outbox.PasswordReset, "+ada@example.com", "ada@example.com", "ada@example.com", "Set a new password", "/auth/reset", account.ResetPassword},
		{"a reset before the address is verified", outbox.PasswordReset, "ada@example.com", "ada@example.com", "ada@example.com", "Set a new password", "/auth/reset", account.ResetPassword},
		{"a reset to the account's own address", outbox.PasswordReset, "+ada@example.com", "ADA@example.com", "ada@example.com", "Set a new password", "/auth/reset", account.ResetPassword},
		{"a reset of nobody", outbox.PasswordReset, "+bob@example.com", "ada@example.com", "", "", "", ""},
		{"a change of address", outbox.ChangeEmail, "+ada@example.com", "lovelace@example.com", "lovelace@example.com", "Confirm your new e-mail address", "/auth/change-email", account.ChangeEmail},
		{"a change to the same address", outbox.ChangeEmail, "+ada@example.com", "ada@example.com", "", "", "", ""},
		{"a change of nobody's address", outbox.ChangeEmail, "", "ada@example.com", "", "", "", ""},
		{"that a password was changed", outbox.PasswordChanged, "", "ada@example.com", "ada@example.com", "Your password was changed", "", ""},
		{"that an address was changed", outbox.EmailChanged, "", "ada@example.com", "ada@example.com", "Your account has another e-mail address", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, s := setup(t), serveMail(t, "")
			user := account.User{ID: uuid.New()}
			if address, verified := strings.CutPrefix(tt.user, "+"); address != "" {
				user = b.user(t, address, verified)
			}
			id := b.write(t, tt.template, tt.to, outbox.UserData{UserID: user.ID})
			if code := push(t, b.mailing(t, s), id); code != http.StatusNoContent {
				t.Errorf("status %d", code)
			}
			if tt.mailed == "" {
				if reason := b.want(t, id, "skipped after 1"); reason == "" || len(s.got()) > 0 {
					t.Errorf("%d mails, reason %q", len(s.got()), reason)
				}
				return
			}
			b.want(t, id, "sent after 1")
			m := s.one(t)
			if to := s.got()[0].to; to != tt.mailed || m.header.Get("To") != "<"+tt.mailed+">" || m.subject != tt.subject {
				t.Errorf("to %q (%q), subject %q", to, m.header.Get("To"), m.subject)
			}
			if strings.Contains(tt.subject, "already") && strings.Count(m.text+m.html, base+"/auth/forgot") != 2 {
				t.Errorf("it does not say where to ask for a new password:\n%s", m.text)
			}
			checkLink(t, b, m, tt.path, tt.purpose, account.OneTime{Purpose: tt.purpose, UserID: user.ID, Email: tt.mailed})
		})
	}
}

// checkLink follows the link of a mail, if there is to be one.
func checkLink(t *testing.T, b *bundle, m parsed, path string, purpose account.Purpose, want account.OneTime) {
	t.Helper()
	if path == "" {
		if strings.Contains(m.text+m.html, "token") || strings.Contains(m.text+m.html, "msho_") {
			t.Errorf("there is a token in\n%s", m.text)
		}
		return
	}
	at, token := link(t, m)
	if at != base+path {
		t.Errorf("the link leads to %s, want %s", at, base+path)
	}
	got, err := account.UseOneTime(t.Context(), b.pool, purpose, token)
	if err != nil {
		t.Fatalf("the token is not good: %v", err)
	}
	if !got.ExpiresAt.After(time.Now()) {
		t.Errorf("it expires at %s", got.ExpiresAt)
	}
	got.ExpiresAt = time.Time{}
	if got != want {
		t.Errorf("the token proves %+v, want %+v", got, want)
	}
	if strings.Contains(b.log.String(), token) {
		t.Error("the token is in the log")
	}
}

// An organization's name and an inviter's are chosen by strangers.
func TestDelivers_AnInvitation(t *testing.T) {
	t.Parallel()
	const (
		nasty  = "Acme <b>&\r\nBcc: eve@example.com\r\n\r\n\u202ehttps://evil.example.com"
		wanted = "Acme <b>& Bcc: eve @ example. com https: //evil. example. com"
	)
	invite := func(t *testing.T, b *bundle, ending string) (uuid.UUID, uuid.UUID) {
		t.Helper()
		admin := b.db.Pool(t, pgtest.Admin)
		org, inviter, id := uuid.New(), uuid.New(), uuid.New()
		for _, s := range []string{
			`insert into mesher.organizations (id, name, slug) values ($1::uuid, $4, 'acme')`,
			`insert into mesher.users (id, email, name) values ($2::uuid, 'bob@example.com', 'Bob' || chr(10) || '<i>')`,
			`insert into mesher.invitations (id, organization_id, email, role, invited_by, expires_at)
				values ($3::uuid, $1::uuid, 'ada@example.com', 'admin', $2::uuid, '2126-03-04 05:06Z')`,
		} {
			sql := strings.NewReplacer("$1", "'"+org.String()+"'", "$2", "'"+inviter.String()+"'", "$3", "'"+id.String()+"'",
				"$4", "$name$"+nasty+"$name$").Replace(s)
			if _, err := admin.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		if ending != "" {
			b.db.Exec(t, "update mesher.invitations set "+ending)
		}
		return id, b.write(t, outbox.Invitation, "ada@example.com", outbox.InvitationData{InvitationID: id})
	}
	t.Run("that is open", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t), serveMail(t, "")
		invited, id := invite(t, b, "")
		if code := push(t, b.mailing(t, s), id); code != http.StatusNoContent {
			t.Fatalf("status %d: %s", code, b.log)
		}
		b.want(t, id, "sent after 1")
		m := s.one(t)
		if m.header.Get("Bcc") != "" || m.subject != "You are invited to Mesher" {
			t.Errorf("header %v", m.header)
		}
		if !strings.Contains(m.text, "Bob <i> invites you to join \""+wanted+"\" on Mesher as admin.") ||
			!strings.Contains(m.text, "until 4 March 2126, 05:06 UTC") {
			t.Errorf("text:\n%s", m.text)
		}
		if strings.Contains(m.html, "<i>") || strings.Contains(m.html, "Acme <b>") || strings.Contains(m.html, "://evil") {
			t.Errorf("html:\n%s", m.html)
		}
		checkLink(t, b, m, "/auth/invitation", account.Invitation,
			account.OneTime{Purpose: account.Invitation, InvitationID: invited, Email: "ada@example.com"})
	})
	for name, ending := range map[string]string{
		"that was accepted": "accepted_at = now()", "that was revoked": "revoked_at = now()", "that expired": "expires_at = now() - interval '1 second'",
	} {
		t.Run(name+" tells nobody", func(t *testing.T) {
			t.Parallel()
			b, s := setup(t), serveMail(t, "")
			_, id := invite(t, b, ending)
			if code := push(t, b.mailing(t, s), id); code != http.StatusNoContent || len(s.got()) > 0 {
				t.Errorf("status %d, %d mails: %s", code, len(s.got()), b.log)
			}
			b.want(t, id, "skipped after 1")
		})
	}
}

func TestCompose_LetsNoNameIntoTheHeader(t *testing.T) {
	t.Parallel()
	texts, err := parseTexts()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a\r\nBcc: eve@example.com", "a\nBcc: eve@example.com", "a\rBcc: eve@example.com", "a\u2028Bcc: eve@example.com", strings.Repeat("é ", 500)} {
		l := letter{id: uuid.New(), kind: invitation, to: "ada@example.com"}
		if err := texts[invitation].fill(&l, facts{Organization: shown(name), Inviter: shown(name), Link: base}); err != nil {
			t.Fatal(err)
		}
		from := &mail.Address{Name: oneLine(name), Address: "mesher@example.com"}
		m, err := compose(l, from, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		data, err := bytesOf(m)
		if err != nil {
			t.Fatal(err)
		}
		got := parseMail(t, data)
		if len(got.header) != 8 || got.header.Get("Bcc") != "" || got.subject != "You are invited to Mesher" {
			t.Errorf("%q becomes %d headers: %v", name, len(got.header), got.header)
		}
	}
	for _, to := range []string{"", "ada", "ada@example.com, eve@example.com", "Eve <eve@example.com>", "a@b\r\nBcc: eve@example.com"} {
		if _, err := compose(letter{to: to}, &mail.Address{Address: "a@b"}, time.Now()); err == nil {
			t.Errorf("%q is taken for an address", to)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dir := filepath.Join(t.TempDir(), "mail")
	user := b.user(t, "ada@example.com", true)
	id := b.write(t, outbox.PasswordReset, "ada@example.com", nil)
	cfg := b.config(dir)
	cfg.From = ""
	if code := push(t, serve(t, b.function(t, cfg)), id); code != http.StatusNoContent {
		t.Fatalf("status %d", code)
	}
	b.want(t, id, "sent after 1")
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	name := entries[0].Name()
	if !strings.HasSuffix(name, "-password_reset-"+id.String()+".eml") || entries[1].Name() != strings.TrimSuffix(name, ".eml")+".txt" {
		t.Errorf("the files are called %s and %s", name, entries[1].Name())
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("the mode of %s is %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, entries[1].Name()))
	if err != nil || !regexp.MustCompile(`(?s)^To: ada@example.com\nSubject: [^\n]+\n\n.*\n(\s*)https?://\S+/auth/reset\?token=msho_\w{40,}\n.*\S\n$`).Match(text) {
		t.Errorf("the text cannot be read by people, or its link not be copied, %v:\n%s", err, text)
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	m := parseMail(t, data)
	if from := m.header.Get("From"); from != `"Mesher" <mesher@localhost>` {
		t.Errorf("from %s", from)
	}
	if log := b.log.String(); !strings.Contains(log, "level=INFO") || !strings.Contains(log, name) || !strings.Contains(log, "ada@example.com") {
		t.Errorf("log: %s", log)
	}
	checkLink(t, b, m, "/auth/reset", account.ResetPassword,
		account.OneTime{Purpose: account.ResetPassword, UserID: user.ID, Email: "ada@example.com"})

	t.Run("are tried again when the folder is not one", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
		if code := push(t, serve(t, b.function(t, b.config(file))), id); code != http.StatusNoContent {
			t.Errorf("status %d", code)
		}
		b.want(t, id, "pending after 1")
	})
}
