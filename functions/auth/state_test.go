package auth_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/tenant"
)

// invite invites an address to a new organization called Acme, in the name of a new owner.
func (b *bundle) invite(t *testing.T, email string) (tenant.Invitation, string) {
	t.Helper()
	owner := b.newUser(t, "owner-"+uuid.NewString()[:8]+"@example.com", secret3, true)
	o, err := tenant.CreateOrganization(t.Context(), b.admin, owner.ID, "Acme")
	must(t, err)
	inv, err := tenant.Invite(t.Context(), b.admin, o.ID, email, tenant.Admin, owner.ID, tenant.Owner)
	must(t, err)
	return inv, b.link(t, account.Invitation, inv.ID, inv.Email)
}

// mails returns the mails that are written and checks that each is published, as "template recipient".
func (b *bundle) mails(t *testing.T) []string {
	t.Helper()
	out := b.texts(t, "select template || ' ' || recipient from mesher.notifications order by id")
	b.queue.mu.Lock()
	defer b.queue.mu.Unlock()
	if len(b.queue.ids) != len(out) {
		t.Errorf("%d of %d mails are published", len(b.queue.ids), len(out))
	}
	return out
}

// actions returns what the audit log tells, as "action actor target".
func (b *bundle) actions(t *testing.T) []string {
	t.Helper()
	return b.texts(t, "select action || ' ' || actor_name || ' ' || target_name from mesher.audit_log order by id")
}

func (b *bundle) texts(t *testing.T, sql string, args ...any) []string {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), sql, args...)
	must(t, err)
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return out
}

// number returns the one number that a query gives.
func (b *bundle) number(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	must(t, b.admin.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

// later makes everything that is throttled as old as d.
func (b *bundle) later(t *testing.T, d time.Duration) {
	t.Helper()
	_, err := b.admin.Exec(t.Context(), `
		update mesher.throttles set updated_at = updated_at - $1::bigint * interval '1 microsecond',
			blocked_until = blocked_until - $1::bigint * interval '1 microsecond'`, d.Microseconds())
	must(t, err)
}
