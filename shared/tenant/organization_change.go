package tenant

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
)

// OrganizationChange is what is to be changed of an organization; nil fields are not.
type OrganizationChange struct {
	Name *string
	Slug *string // one that is taken is a fault.Conflict, code "slug_taken"

	MonthlyBudget *int64 // events of all projects in a calendar month; 0: no budget
}

func (c OrganizationChange) check() error {
	if c.Name != nil {
		if err := CheckName("organization's name", *c.Name); err != nil {
			return err
		}
	}
	if c.Slug != nil {
		if err := checkSlug(*c.Slug); err != nil {
			return err
		}
	}
	if c.MonthlyBudget != nil {
		return checkBudget(*c.MonthlyBudget)
	}
	return nil
}

// ChangeOrganization changes an organization and returns it as it was and as it is.
func ChangeOrganization(ctx context.Context, db Beginner, id uuid.UUID, c OrganizationChange) (was, is Organization, err error) {
	if err := c.check(); err != nil {
		return Organization{}, Organization{}, err
	}
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if was, err = lockOrganization(ctx, tx, id); err != nil {
			return err
		}
		is = was
		set(&is.Name, c.Name)
		set(&is.Slug, c.Slug)
		set(&is.MonthlyBudget, c.MonthlyBudget)
		if is == was {
			return nil
		}
		_, err := tx.Exec(ctx, `
			update mesher.organizations set name = $2::text, slug = $3::text, monthly_budget = nullif($4::bigint, 0),
				updated_at = clock_timestamp()
			where id = $1::uuid`, id, is.Name, is.Slug, is.MonthlyBudget)
		if violates(err, "organizations_slug_key") {
			return errSlugTaken(is.Slug)
		}
		return err
	})
	if err != nil {
		return Organization{}, Organization{}, fmt.Errorf("change an organization: %w", err)
	}
	return was, is, nil
}

// DeleteOrganization marks an organization and its projects for deletion, and revokes its open invitations. From then on
// nobody sees it, and its keys take no events. Its slug is free again.
func DeleteOrganization(ctx context.Context, db Beginner, id uuid.UUID) error {
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		o, err := lockOrganization(ctx, tx, id)
		if err != nil {
			return err
		}
		// First the organization: who creates a project meanwhile waits for that, and then finds none.
		if _, err := tx.Exec(ctx, `
			update mesher.organizations set slug = $2::text, deleted_at = clock_timestamp(), updated_at = clock_timestamp()
			where id = $1::uuid`, id, deletedSlug(o.Slug, id)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			update mesher.projects set status = 'deleting', deleted_at = clock_timestamp(), updated_at = clock_timestamp()
			where organization_id = $1::uuid and status <> 'deleting'`, id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			update mesher.invitations set revoked_at = clock_timestamp()
			where organization_id = $1::uuid and accepted_at is null and revoked_at is null`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete an organization: %w", err)
	}
	return nil
}

// set changes a field when there is a value for it.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}
