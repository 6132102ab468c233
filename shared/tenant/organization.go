package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Organization owns projects.
type Organization struct {
	ID        uuid.UUID `json:"id" format:"uuid"`
	Name      string    `json:"name"`
	Slug      string    `json:"slug" doc:"stands for it in addresses"`
	Role      Role      `json:"role,omitempty" enum:"owner,admin,member" doc:"of who asks"`
	CreatedAt time.Time `json:"created_at,omitzero"`

	MonthlyBudget int64 `json:"monthly_budget" doc:"most events of all its projects in a calendar month (UTC); 0: no budget"`
}

const organizationColumns = `o.id, o.name, o.slug, o.created_at, coalesce(o.monthly_budget, 0)`

// fields are where organizationColumns are read to.
func (o *Organization) fields() []any {
	return []any{&o.ID, &o.Name, &o.Slug, (*postgres.Time)(&o.CreatedAt), &o.MonthlyBudget}
}

// ListOrganizations returns the organizations that the viewer sees, with the viewer's role, the newest first. search is a
// part of the name or slug in any case, or empty.
func ListOrganizations(ctx context.Context, db DB, v Viewer, search string, r page.Request) (page.Of[Organization], error) {
	return listing[Organization]{
		name: "organizations", at: "o.created_at", id: "o.id",
		scan: func(row pgx.CollectableRow) (Organization, error) {
			var o Organization
			err := row.Scan(append(o.fields(), &o.Role)...)
			return o, err
		},
		mark: func(o Organization) page.Mark { return page.Mark{At: o.CreatedAt, ID: o.ID} },
		query: `select ` + organizationColumns + `, m.role
			from mesher.organizations o join mesher.memberships m on m.organization_id = o.id
			where m.user_id = $4::uuid and o.deleted_at is null and ($5::uuid is null or o.id = $5::uuid)
			  and (position(lower($6::text) in lower(o.name)) > 0 or position(lower($6::text) in o.slug) > 0)`,
	}.read(ctx, db, r, v.UserID, postgres.OrNull(v.OrganizationID), storable(search))
}

// CreateOrganization makes an organization with the user as its owner. Its slug is derived from the name; when that is taken,
// a number is added. A user who does not exist is a fault.NotFound, one who owns 50 a fault.Conflict (code
// "too_many_organizations").
func CreateOrganization(ctx context.Context, db DB, owner uuid.UUID, name string) (Organization, error) {
	if err := CheckName("organization's name", name); err != nil {
		return Organization{}, err
	}
	if err := roomForOrganization(ctx, db, owner); err != nil {
		return Organization{}, fmt.Errorf("create an organization: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Organization{}, fmt.Errorf("make an organization id: %w", err)
	}
	o := Organization{Role: Owner}
	err = takeSlug(Slug(name), func(slugs []string) error {
		return db.QueryRow(ctx, `
			with chosen as (
				select w.slug from unnest($3::text[]) with ordinality w (slug, place)
				where not exists (select from mesher.organizations o where o.slug = w.slug)
				order by w.place limit 1),
			o as (
				insert into mesher.organizations (id, name, slug, created_at)
				select $1::uuid, $2::text, slug, clock_timestamp() from chosen
				on conflict (slug) do nothing
				returning *),
			joined as (
				insert into mesher.memberships (organization_id, user_id, role, created_at)
				select id, $4::uuid, 'owner', clock_timestamp() from o)
			select `+organizationColumns+` from o`, id, name, slugs, owner).Scan(o.fields()...)
	})
	switch {
	case violates(err, "memberships_user_id_fkey"):
		return Organization{}, errNoUser(owner)
	case err != nil:
		return Organization{}, fmt.Errorf("create an organization: %w", err)
	}
	return o, nil
}

// FindOrganization returns the organization with the given slug, or a fault.NotFound.
func FindOrganization(ctx context.Context, db DB, slug string) (Organization, error) {
	o, err := findOrganization(ctx, db, "o.slug = $1::text", slug)
	if errors.Is(err, pgx.ErrNoRows) {
		return Organization{}, fault.New(fault.NotFound, "there is no organization %s", slug)
	}
	return o, err
}

// OrganizationByID returns the organization with the given id, or a fault.NotFound.
func OrganizationByID(ctx context.Context, db DB, id uuid.UUID) (Organization, error) {
	o, err := findOrganization(ctx, db, "o.id = $1::uuid", id)
	if errors.Is(err, pgx.ErrNoRows) {
		return Organization{}, errNoOrganization(id)
	}
	return o, err
}

// findOrganization returns the organization for which a condition holds, unless it is deleted.
func findOrganization(ctx context.Context, db DB, condition string, arg any) (Organization, error) {
	var o Organization
	if err := db.QueryRow(ctx, `
		select `+organizationColumns+` from mesher.organizations o
		where o.deleted_at is null and `+condition, arg).Scan(o.fields()...); err != nil {
		return Organization{}, fmt.Errorf("find an organization: %w", err)
	}
	return o, nil
}
