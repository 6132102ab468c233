package main

import (
	"context"
	"os/user"
	"time"

	"github.com/google/uuid"

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

// until returns a time of expiry as the audit log shows it: nil for never.
func until(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
