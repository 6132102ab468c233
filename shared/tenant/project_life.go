package tenant

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/scrub"
)

// newProject is what a project is that is told nothing but its name, as the database has it.
func newProject() Project {
	return Project{
		Status: ProjectActive, RetentionDays: 90, SampleRate: 1, AllowedOrigins: []string{}, OTLPSeverity: otlpSeverityUsual,
		GroupingRules: []grouping.Rule{}, ScrubRules: scrub.DefaultRules(),
	}
}

// CreateProject makes a project; c.Name is required. A slug is derived when none is given. One more than the 500 that an
// organization may have is a fault.Conflict (code "too_many_projects").
func CreateProject(ctx context.Context, db DB, organization uuid.UUID, c ProjectChange) (Project, error) {
	if c.Name == nil {
		return Project{}, fault.New(fault.Invalid, "the project's name is missing")
	}
	c, err := c.checked()
	if err != nil {
		return Project{}, err
	}
	p, err := c.apply(newProject())
	if err != nil {
		return Project{}, err
	}
	if p.ID, err = uuid.NewV7(); err != nil {
		return Project{}, fmt.Errorf("make a project id: %w", err)
	}
	p.OrganizationID = organization
	if err := roomForProject(ctx, db, organization); err != nil {
		return Project{}, fmt.Errorf("create a project: %w", err)
	}
	if p, err = insertProject(ctx, db, p); err != nil {
		return Project{}, fmt.Errorf("create a project: %w", err)
	}
	return p, nil
}

// insertProject stores a project with its slug, or with one that follows from its name.
func insertProject(ctx context.Context, db DB, p Project) (Project, error) {
	if p.Slug != "" {
		stored, err := insertProjectAs(ctx, db, p, []string{p.Slug})
		if errors.Is(err, pgx.ErrNoRows) {
			return Project{}, errSlugTaken(p.Slug)
		}
		return stored, err
	}
	var stored Project
	err := takeSlug(Slug(p.Name), func(slugs []string) (err error) {
		stored, err = insertProjectAs(ctx, db, p, slugs)
		return err
	})
	return stored, err
}

// insertProjectAs stores a project with the first of the slugs that is free. It returns pgx.ErrNoRows when there is none.
func insertProjectAs(ctx context.Context, db DB, p Project, slugs []string) (Project, error) {
	grouping, scrub, err := p.rules()
	if err != nil {
		return Project{}, err
	}
	var stored Project
	err = db.QueryRow(ctx, `
		with home as (
			-- Waits for who deletes it, whose projects must not get more.
			select id from mesher.organizations where id = $2::uuid and deleted_at is null for key share),
		chosen as (
			select w.slug from unnest($4::text[]) with ordinality w (slug, place)
			where not exists (select from mesher.projects p where p.organization_id = $2::uuid and p.slug = w.slug)
			order by w.place limit 1),
		p as (
			insert into mesher.projects (id, organization_id, name, slug, status, retention_days, sample_rate,
				allowed_origins, rate_limit, monthly_budget, otlp_severity, grouping_rules, scrub_rules, created_at)
			select $1::uuid, home.id, $3::text, chosen.slug, $5::text, $6::integer, $7::double precision,
				$8::text[], nullif($9::integer, 0), nullif($10::bigint, 0), $11::integer, $12::text::jsonb, $13::text::jsonb,
				clock_timestamp()
			from home, chosen
			on conflict (organization_id, slug) do nothing
			returning *)
		select `+projectColumns+` from p`, p.ID, p.OrganizationID, p.Name, slugs, string(p.Status), p.RetentionDays,
		p.SampleRate, p.AllowedOrigins, p.RateLimit, p.MonthlyBudget, p.OTLPSeverity, grouping, scrub).Scan(stored.fields()...)
	if errors.Is(err, pgx.ErrNoRows) {
		if _, err := OrganizationByID(ctx, db, p.OrganizationID); err != nil {
			return Project{}, err
		}
	}
	return stored, err
}

// ChangeProject changes a project and returns it as it was and as it is. One that is marked for deletion is changed only
// together with its status, which takes the deletion back (fault.Conflict, code "project_deleting"); it gets its slug
// again if that is free. Once Retention erases it, it cannot be brought back (fault.Conflict, code "project_erasing").
func ChangeProject(ctx context.Context, db Beginner, id uuid.UUID, c ProjectChange) (was, is Project, err error) {
	if c, err = c.checked(); err != nil {
		return Project{}, Project{}, err
	}
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		if was, err = lockProject(ctx, tx, id); err != nil {
			return err
		}
		if is, err = c.apply(was); err != nil {
			return err
		}
		if is, err = saveProject(ctx, tx, was, is); fault.CodeOf(err) == "slug_taken" && c.Slug == nil {
			is, _ = c.apply(was) // succeeded before
			is.Slug = was.Slug
			is, err = saveProject(ctx, tx, was, is)
		}
		return err
	})
	if err != nil {
		return Project{}, Project{}, fmt.Errorf("change a project: %w", err)
	}
	return was, is, nil
}

// DeleteProject marks a project for deletion; its keys take no events from then on, and its slug is free again. It reports
// whether it was not marked before.
func DeleteProject(ctx context.Context, db Beginner, id uuid.UUID) (Project, bool, error) {
	var p Project
	var changed bool
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		was, err := lockProject(ctx, tx, id)
		if err != nil {
			return err
		}
		p, changed = was, was.Status != ProjectDeleting
		if changed {
			p.Status, p.Slug = ProjectDeleting, deletedSlug(p.Slug, id)
		}
		p, err = saveProject(ctx, tx, was, p)
		return err
	})
	if err != nil {
		return Project{}, false, fmt.Errorf("delete a project: %w", err)
	}
	return p, changed, nil
}

// lockProject returns a project that nobody else can change any more. The organization is kept from being deleted.
func lockProject(ctx context.Context, tx postgres.Tx, id uuid.UUID) (Project, error) {
	tag, err := tx.Exec(ctx, `
		select from mesher.organizations
		where id = (select organization_id from mesher.projects where id = $1::uuid) and deleted_at is null
		for key share`, id)
	switch {
	case err != nil:
		return Project{}, err
	case tag.RowsAffected() == 0:
		return Project{}, errNoProject(id)
	}
	var p Project
	err = tx.QueryRow(ctx, `
		select `+projectColumns+` from mesher.projects p where p.id = $1::uuid for no key update`, id).Scan(p.fields()...)
	return p, err
}

// saveProject stores what was changed of a project. A slug that is taken leaves the transaction as it was.
func saveProject(ctx context.Context, tx postgres.Tx, was, is Project) (Project, error) {
	if reflect.DeepEqual(was, is) {
		return is, nil
	}
	grouping, scrub, err := is.rules()
	if err != nil {
		return Project{}, err
	}
	err = postgres.InTx(ctx, tx, func(tx postgres.Tx) error {
		return tx.QueryRow(ctx, `
			update mesher.projects p set name = $2::text, slug = $3::text, status = $4::text, retention_days = $5::integer,
				sample_rate = $6::double precision, allowed_origins = $7::text[], rate_limit = nullif($8::integer, 0),
				monthly_budget = nullif($9::bigint, 0), otlp_severity = $10::integer, grouping_rules = $11::text::jsonb,
				scrub_rules = $12::text::jsonb, updated_at = clock_timestamp(), deleted_at = case when $4::text = 'deleting' then clock_timestamp() end
			where p.id = $1::uuid and p.erasing_at is null
			returning `+projectColumns, was.ID, is.Name, is.Slug, string(is.Status), is.RetentionDays, is.SampleRate,
			is.AllowedOrigins, is.RateLimit, is.MonthlyBudget, is.OTLPSeverity, grouping, scrub).Scan(is.fields()...)
	})
	switch {
	case violates(err, "projects_slug_key"):
		return Project{}, errSlugTaken(is.Slug)
	case errors.Is(err, pgx.ErrNoRows):
		return Project{}, fault.New(fault.Conflict, "the project is being erased and cannot be kept any more").Named("project_erasing")
	}
	return is, err
}
