package main

import (
	"context"
	"fmt"
	"os/user"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// operator is who works with a command, as the audit log names them. Nobody logs in here: it is the name that the
// machine knows them by, or, where it knows none, the command's.
func operator(command string) tenant.Actor {
	a := tenant.Actor{Kind: "operator", Name: "mesher " + command}
	if u, err := user.Current(); err == nil && u.Username != "" {
		a.Name = u.Username
	}
	return a
}

// particulars are what the audit log shows besides, the same that API shows.
type particulars map[string]any

// recordKey adds what an operator did to a key to the audit log of the organization that the key is of.
func recordKey(ctx context.Context, tx postgres.Tx, organization uuid.UUID, who tenant.Actor, action string, k tenant.Key, details particulars) error {
	details["project"], details["label"] = k.Project, k.Label
	return tenant.Record(ctx, tx, organization, who, action, tenant.Target{Kind: "key", ID: k.ID, Name: k.Name()}, details)
}

// recordUser adds what an operator did to a user to the audit log of every organization that the user belongs to, since
// its owners are to see it, or of none.
func recordUser(ctx context.Context, tx postgres.Tx, who tenant.Actor, action string, u account.User, target tenant.Target, details any) error {
	rows, err := tx.Query(ctx, `
		select o.id from mesher.memberships m join mesher.organizations o on o.id = m.organization_id
		where m.user_id = $1::uuid and o.deleted_at is null order by o.id`, u.ID)
	if err != nil {
		return fmt.Errorf("find the organizations of a user: %w", err)
	}
	organizations, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return fmt.Errorf("find the organizations of a user: %w", err)
	}
	if len(organizations) == 0 {
		organizations = []uuid.UUID{uuid.Nil}
	}
	for _, id := range organizations {
		if err := tenant.Record(ctx, tx, id, who, action, target, details); err != nil {
			return err
		}
	}
	return nil
}

// until returns a time of expiry as the audit log shows it: nil for never.
func until(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
