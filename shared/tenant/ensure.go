package tenant

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
)

// EnsureOrganization returns the organization with the given slug, creating it if there is none.
func EnsureOrganization(ctx context.Context, db DB, name, slug string) (Organization, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Organization{}, fmt.Errorf("make an organization id: %w", err)
	}
	if _, err := db.Exec(ctx, `
		insert into mesher.organizations (id, name, slug) values ($1::uuid, $2::text, $3::text)
		on conflict (slug) do nothing`, id, name, slug); err != nil {
		return Organization{}, fmt.Errorf("create organization %s: %w", slug, err)
	}
	return FindOrganization(ctx, db, slug)
}

// EnsureProject returns the organization's project with the given slug, creating it if there is none. An organization
// that does not exist is a fault.NotFound.
func EnsureProject(ctx context.Context, db DB, organization uuid.UUID, name, slug string) (Project, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Project{}, fmt.Errorf("make a project id: %w", err)
	}
	if _, err := db.Exec(ctx, `
		with home as (
			select id from mesher.organizations where id = $2::uuid and deleted_at is null for key share)
		insert into mesher.projects (id, organization_id, name, slug)
		select $1::uuid, home.id, $3::text, $4::text from home
		on conflict (organization_id, slug) do nothing`, id, organization, name, slug); err != nil {
		return Project{}, fmt.Errorf("create project %s: %w", slug, err)
	}
	return FindProject(ctx, db, organization, slug)
}

// PickProject returns the project of any organization that an operator means: by its id, by its slug, by the
// slugs of organization and project (acme/shop), or by nothing when there is only one that is not marked for deletion.
func PickProject(ctx context.Context, db DB, ref string) (Project, error) {
	const meant = `$1::text = '' and p.status <> 'deleting' or p.id::text = lower($1::text)
		or p.slug = $1::text or o.slug || '/' || p.slug = $1::text`
	found, err := findProjects(ctx, db, meant, ref)
	switch {
	case err != nil:
		return Project{}, err
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && ref == "":
		return Project{}, fault.New(fault.NotFound, "there is no project yet")
	case len(found) == 0:
		return Project{}, fault.New(fault.NotFound, "there is no project %q; give its id or slug", ref)
	}
	names, err := projectNames(ctx, db, meant, ref)
	switch {
	case err != nil:
		return Project{}, err
	case ref == "":
		return Project{}, fault.New(fault.Conflict, "there are several projects; give one of %s", names)
	}
	return Project{}, fault.New(fault.Conflict, "several projects are called %s; give one of %s", ref, names)
}

// namesMost is how many projects an operator is told of who has to choose.
const namesMost = 10

// projectNames returns the projects for which a condition holds as PickProject takes them, in a list for people.
func projectNames(ctx context.Context, db DB, condition string, args ...any) (string, error) {
	var names []string
	if err := db.QueryRow(ctx, `
		select coalesce(array_agg(name), '{}') from (
			select o.slug || '/' || p.slug as name
			from mesher.projects p join mesher.organizations o on o.id = p.organization_id and o.deleted_at is null
			where `+condition+` order by 1 limit `+strconv.Itoa(namesMost+1)+`) n`, args...).Scan(&names); err != nil {
		return "", fmt.Errorf("list projects: %w", err)
	}
	if len(names) > namesMost {
		names[namesMost] = "…"
	}
	return strings.Join(names, ", "), nil
}

// FindProject returns the organization's project with the given slug, or a fault.NotFound.
func FindProject(ctx context.Context, db DB, organization uuid.UUID, slug string) (Project, error) {
	found, err := findProjects(ctx, db, `p.organization_id = $1::uuid and p.slug = $2::text`, organization, slug)
	switch {
	case err != nil:
		return Project{}, err
	case len(found) == 0:
		return Project{}, fault.New(fault.NotFound, "the organization has no project %s", slug)
	}
	return found[0], nil
}

// findProjects returns the first two projects for which a condition holds, of organizations that are not deleted.
func findProjects(ctx context.Context, db DB, condition string, args ...any) ([]Project, error) {
	rows, err := db.Query(ctx, `
		select `+projectColumns+`
		from mesher.projects p join mesher.organizations o on o.id = p.organization_id and o.deleted_at is null
		where `+condition+` limit 2`, args...)
	if err != nil {
		return nil, fmt.Errorf("find a project: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanProject)
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
