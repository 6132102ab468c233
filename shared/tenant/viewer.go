package tenant

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Viewer is in whose name organizations and projects are looked at.
type Viewer struct {
	UserID         uuid.UUID
	OrganizationID uuid.UUID // the only organization to be seen; uuid.Nil: all that the user is a member of
}

// seen is the condition under which the viewer, $1 and $2, sees the organization o as the member m.
const seen = `m.organization_id = o.id and m.user_id = $1::uuid and o.deleted_at is null
	and ($2::uuid is null or o.id = $2::uuid)`

// Authorize returns the viewer's role in an organization. One that does not exist, is deleted, or that the viewer is no
// member of is a fault.NotFound, the same for all three; a role below needed is a fault.Forbidden that names both.
func Authorize(ctx context.Context, db DB, v Viewer, organization uuid.UUID, needed Role) (Role, error) {
	var role Role
	err := db.QueryRow(ctx, `
		select m.role from mesher.organizations o join mesher.memberships m on `+seen+`
		where o.id = $3::uuid`, v.UserID, postgres.OrNull(v.OrganizationID), organization).Scan(&role)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", errNoOrganization(organization)
	case err != nil:
		return "", fmt.Errorf("look up a role: %w", err)
	}
	if err := role.require(needed); err != nil {
		return "", err
	}
	return role, nil
}

// AuthorizeProject returns a project and the viewer's role in its organization, with the errors of Authorize. A project that
// is marked for deletion is found.
func AuthorizeProject(ctx context.Context, db DB, v Viewer, project uuid.UUID, needed Role) (Project, Role, error) {
	var p Project
	var role Role
	err := db.QueryRow(ctx, `
		select `+projectColumns+`, m.role
		from mesher.projects p
		join mesher.organizations o on o.id = p.organization_id
		join mesher.memberships m on `+seen+`
		where p.id = $3::uuid`, v.UserID, postgres.OrNull(v.OrganizationID), project).Scan(append(p.fields(), &role)...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Project{}, "", errNoProject(project)
	case err != nil:
		return Project{}, "", fmt.Errorf("look up a role: %w", err)
	}
	if err := role.require(needed); err != nil {
		return Project{}, "", err
	}
	return p, role, nil
}

func errNoOrganization(id uuid.UUID) error {
	return fault.New(fault.NotFound, "there is no organization with the id %s", id)
}

func errNoProject(id uuid.UUID) error {
	return fault.New(fault.NotFound, "there is no project with the id %s", id)
}
