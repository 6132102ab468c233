package api

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// OfOrganization is the parameter of calls about one organization.
type OfOrganization struct {
	OrganizationID uuid.UUID `path:"organization_id" format:"uuid" doc:"id of the organization"`
}

// OfProject is the parameter of calls about one project.
type OfProject struct {
	ProjectID uuid.UUID `path:"project_id" format:"uuid" doc:"id of the project"`
}

// nothing is the input of calls that take none.
type nothing struct{}

// change calls do in a transaction and returns what it returned as the answer.
func change[T any](ctx context.Context, f *Function, do func(postgres.Tx) (T, error)) (*rest.Body[T], error) {
	out := new(rest.Body[T])
	err := postgres.InTx(ctx, f.pool, func(tx postgres.Tx) (err error) {
		out.Body, err = do(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// erase calls do in a transaction; there is nothing to answer.
func erase(ctx context.Context, f *Function, do func(postgres.Tx) error) (*rest.None, error) {
	if err := postgres.InTx(ctx, f.pool, do); err != nil {
		return nil, err
	}
	return &rest.None{}, nil
}

// listed returns a page as it is answered, unless reading it failed.
func listed[T any](p page.Of[T], err error) (*rest.Body[rest.List[T]], error) {
	if err != nil {
		return nil, err
	}
	return rest.Listed(p), nil
}

// authorize returns the caller's role in an organization, of which needed is the least.
func authorize(ctx context.Context, db tenant.DB, organization uuid.UUID, needed tenant.Role) (tenant.Role, error) {
	return tenant.Authorize(ctx, db, rest.Viewer(ctx), organization, needed)
}

// settle returns the caller's role as it stays until the transaction ends. What concerns an organization as a whole and who
// belongs to it asks for that: two who take each other's role away would otherwise both succeed, each with a role that the
// other has just taken.
func settle(ctx context.Context, tx postgres.Tx, organization uuid.UUID, needed tenant.Role) (tenant.Role, error) {
	// Before the lock too: a stranger must not make others wait.
	if _, err := authorize(ctx, tx, organization, needed); err != nil {
		return "", err
	}
	// Changes nothing, but locks the organization as everything does that changes its members.
	if _, _, err := tenant.ChangeOrganization(ctx, tx, organization, tenant.OrganizationChange{}); err != nil {
		return "", err
	}
	return authorize(ctx, tx, organization, needed)
}

// authorizeProject returns a project in whose organization the caller has the role needed.
func authorizeProject(ctx context.Context, db tenant.DB, project uuid.UUID, needed tenant.Role) (tenant.Project, error) {
	p, _, err := tenant.AuthorizeProject(ctx, db, rest.Viewer(ctx), project, needed)
	return p, err
}

// unbound refuses a token that reaches one organization only, in what concerns more than that.
func unbound(ctx context.Context) error {
	if rest.Who(ctx).OrganizationID == uuid.Nil {
		return nil
	}
	return fault.New(fault.Forbidden, "the token reaches one organization only, and this concerns more; use a token of all organizations").
		Named("token_bound")
}

// mayMakeOwner refuses a token where somebody is to be made an owner: who finds a token must not be able to stay.
func mayMakeOwner(ctx context.Context, role tenant.Role) error {
	if role != tenant.Owner || rest.Who(ctx).Scope == account.ScopeSession {
		return nil
	}
	return fault.New(fault.Forbidden, "a personal access token makes nobody an owner; log in").Named("scope_too_low")
}

// record adds what the caller did to the audit log. organization is uuid.Nil when it concerns none.
func record(ctx context.Context, tx postgres.Tx, organization uuid.UUID, action string, target tenant.Target, details any) error {
	return tenant.Record(ctx, tx, organization, rest.Actor(ctx), action, target, details)
}

// changes are the fields that a call changed, as the audit log shows them.
type changes map[string]tenant.Change

// note adds a field if it changed.
func note[T comparable](c changes, field string, from, to T) {
	if from != to {
		c[field] = tenant.Change{From: from, To: to}
	}
}

// record adds them to the audit log, unless there are none.
func (c changes) record(ctx context.Context, tx postgres.Tx, organization uuid.UUID, action string, target tenant.Target) error {
	if len(c) == 0 {
		return nil
	}
	return record(ctx, tx, organization, action, target, c)
}

// particulars are what the audit log shows of something new.
type particulars map[string]any

// lifetime returns how long something lives that expires after days; 0: it does not.
func lifetime(days int) time.Duration { return time.Duration(days) * day }

// until returns a time of expiry as the audit log shows it: nil for never.
func until(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
