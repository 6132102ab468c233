package tenant

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
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
