package tenant

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
)

// Organization owns projects.
type Organization struct {
	ID   uuid.UUID
	Name string
	Slug string
}

// Project owns events, issues and API keys.
type Project struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID
	Number         int64 // short and numeric, for DSNs; given by the database
	Name           string
	Slug           string
}

// EnsureOrganization returns the organization with the given slug, creating it if there is none.
func EnsureOrganization(ctx context.Context, db DB, name, slug string) (Organization, error) {
	o := Organization{Slug: slug}
	id, err := uuid.NewV7()
	if err != nil {
		return o, fmt.Errorf("make an organization id: %w", err)
	}
	if _, err := db.Exec(ctx, `
		insert into mesher.organizations (id, name, slug) values ($1, $2, $3)
		on conflict (slug) do nothing`, id, name, slug); err != nil {
		return o, fmt.Errorf("create organization %s: %w", slug, err)
	}
	if err := db.QueryRow(ctx, `select id, name from mesher.organizations where slug = $1`, slug).Scan(&o.ID, &o.Name); err != nil {
		return o, fmt.Errorf("find organization %s: %w", slug, err)
	}
	return o, nil
}

// EnsureProject returns the organization's project with the given slug, creating it if there is none.
func EnsureProject(ctx context.Context, db DB, organization uuid.UUID, name, slug string) (Project, error) {
	p := Project{OrganizationID: organization, Slug: slug}
	id, err := uuid.NewV7()
	if err != nil {
		return p, fmt.Errorf("make a project id: %w", err)
	}
	if _, err := db.Exec(ctx, `
		insert into mesher.projects (id, organization_id, name, slug) values ($1, $2, $3, $4)
		on conflict (organization_id, slug) do nothing`, id, organization, name, slug); err != nil {
		return p, fmt.Errorf("create project %s: %w", slug, err)
	}
	if err := db.QueryRow(ctx, `
		select id, number, name from mesher.projects where organization_id = $1 and slug = $2`, organization, slug).
		Scan(&p.ID, &p.Number, &p.Name); err != nil {
		return p, fmt.Errorf("find project %s: %w", slug, err)
	}
	return p, nil
}

// FindOrganization returns the organization with the given slug, or a fault.NotFound.
func FindOrganization(ctx context.Context, db DB, slug string) (Organization, error) {
	o := Organization{Slug: slug}
	err := db.QueryRow(ctx, `select id, name from mesher.organizations where slug = $1`, slug).Scan(&o.ID, &o.Name)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return o, fault.New(fault.NotFound, "there is no organization %s", slug)
	case err != nil:
		return o, fmt.Errorf("find organization %s: %w", slug, err)
	}
	return o, nil
}

// FindProject returns the organization's project with the given slug, or a fault.NotFound.
func FindProject(ctx context.Context, db DB, organization uuid.UUID, slug string) (Project, error) {
	found, err := findProjects(ctx, db, `organization_id = $1 and slug = $2`, organization, slug)
	switch {
	case err != nil:
		return Project{}, err
	case len(found) == 0:
		return Project{}, fault.New(fault.NotFound, "the organization has no project %s", slug)
	}
	return found[0], nil
}

// PickProject returns the project of any organization that an operator means: by its id, by its slug, by the
// slugs of organization and project (acme/shop), or by nothing when there is only one.
func PickProject(ctx context.Context, db DB, ref string) (Project, error) {
	found, err := findProjects(ctx, db, `$1::text = '' or id::text = lower($1::text) or slug = $1::text
		or (select o.slug from mesher.organizations o where o.id = organization_id) || '/' || slug = $1::text`, ref)
	switch {
	case err != nil:
		return Project{}, err
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && ref == "":
		return Project{}, fault.New(fault.NotFound, "there is no project yet")
	case len(found) == 0:
		return Project{}, fault.New(fault.NotFound, "there is no project %q; give its id or slug", ref)
	case ref == "":
		return Project{}, fault.New(fault.Conflict, "there are several projects; give the id or slug of one")
	}
	return Project{}, fault.New(fault.Conflict, "several projects are called %s; give an id, or organization/project", ref)
}

// findProjects returns the first two projects for which a condition holds.
func findProjects(ctx context.Context, db DB, condition string, args ...any) ([]Project, error) {
	rows, err := db.Query(ctx, `
		select id, organization_id, number, name, slug from mesher.projects where `+condition+` limit 2`, args...)
	if err != nil {
		return nil, fmt.Errorf("find a project: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Project, error) {
		var p Project
		err := row.Scan(&p.ID, &p.OrganizationID, &p.Number, &p.Name, &p.Slug)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("find a project: %w", err)
	}
	return found, nil
}

// EnsureKey returns a key of the project: the given one if it is stored and neither revoked nor expired, else
// a fresh one, which it stores. Stored keys cannot be read back, so the caller has to remember it.
func EnsureKey(ctx context.Context, db DB, project uuid.UUID, label, remembered string) (string, error) {
	if hash, err := HashKey(remembered); err == nil {
		var found bool
		err := db.QueryRow(ctx, `
			select true from mesher.api_keys
			where hash = $1 and project_id = $2 and revoked_at is null and (expires_at is null or expires_at > now())`,
			hash[:], project).Scan(&found)
		if err == nil {
			return remembered, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return "", fmt.Errorf("check the remembered key: %w", err)
		}
	}
	key := NewKey()
	_, err := CreateKey(ctx, db, project, label, key)
	return key, err
}
