package account_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/account"
)

// TestNoSecretIsStored looks for secrets in every column of every table.
func TestNoSecretIsStored(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, session := f.login(t, f.anna, "")
	_, token := f.token(t, f.anna, account.TokenSpec{}, "")
	secrets := []string{session, token, f.link(t, account.VerifyEmail, f.anna), f.link(t, account.ResetPassword, f.anna)}
	invited, err := account.IssueOneTime(t.Context(), f.app, account.Invitation, f.invitation(t, "c@example.com", "now() + interval '1 day'"), "c@example.com")
	must(t, err)
	secrets = append(secrets, invited)

	all := f.dump(t)
	for _, s := range secrets {
		sum := sha256.Sum256([]byte(s))
		if !strings.Contains(all, hex.EncodeToString(sum[:])) {
			t.Errorf("the hash of a %s is not found, so the search finds nothing", s[:5])
		}
		// A list shows four random characters and four of the checksum; five would be too many.
		for _, form := range []string{s, s[5:15], s[10:15], hex.EncodeToString([]byte(s[10:20]))} {
			if strings.Contains(all, form) {
				t.Errorf("a %s is stored in part or as a whole", s[:5])
			}
		}
	}
}

// dump returns all rows of all tables as text.
func (f *fixture) dump(t *testing.T) string {
	t.Helper()
	rows, err := f.admin.Query(t.Context(), `
		select c.relname from pg_class c where c.relnamespace = 'mesher'::regnamespace and c.relkind = 'r'`)
	must(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	var b strings.Builder
	for _, table := range tables {
		var text string
		f.scan(t, &text, `select coalesce(string_agg(t::text, e'\n'), '') from mesher.`+pgx.Identifier{table}.Sanitize()+` t`)
		b.WriteString(text)
	}
	return b.String()
}
