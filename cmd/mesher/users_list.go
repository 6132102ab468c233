package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// listedUser is a user as operators see one.
type listedUser struct {
	account.User
	LastSeenAt    time.Time  `json:"last_seen_at,omitzero"` // a session or a personal access token of the user was used
	Organizations []userRole `json:"organizations"`
}

// userRole is what a user is in an organization.
type userRole struct {
	Organization string      `json:"organization"` // its slug
	Role         tenant.Role `json:"role"`
}

func usersList(ctx context.Context, db *postgres.Pool, o usersOptions, out io.Writer) error {
	if o.organization != "" {
		if _, err := tenant.FindOrganization(ctx, db, o.organization); err != nil {
			return err
		}
	}
	users, err := listUsers(ctx, db, o)
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, append([]listedUser{}, users...)) // an empty list, not null
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "EMAIL\tNAME\tVERIFIED\tORGANIZATIONS\tLAST SEEN\tID")
	for _, u := range users {
		fmt.Fprintf(w, "%s\t%s\t%t\t%s\t%s\t%s\n", printable(u.Email), printable(u.Name), u.Verified, u.roles(), shownTime(u.LastSeenAt), u.ID)
	}
	switch len(users) {
	case 0:
		fmt.Fprintln(w, "(no users)")
	case o.limit:
		fmt.Fprintln(w, "(there may be more; -limit says how many are shown)")
	}
	return w.Flush()
}

func (u listedUser) roles() string {
	var out []string
	for _, r := range u.Organizations {
		out = append(out, fmt.Sprintf("%s (%s)", r.Organization, r.Role))
	}
	if out == nil {
		return "-"
	}
	return strings.Join(out, ", ")
}

// listUsers returns users by address. It is for operators: nobody else may see more than one organization.
func listUsers(ctx context.Context, db *postgres.Pool, o usersOptions) ([]listedUser, error) {
	rows, err := db.Query(ctx, `
		select u.id, u.email, u.name, u.email_verified_at is not null, u.created_at,
		       greatest((select max(s.last_seen_at) from mesher.sessions s where s.user_id = u.id),
		                (select max(t.last_used_at) from mesher.personal_access_tokens t where t.user_id = u.id)),
		       (select coalesce(json_agg(json_build_object('organization', o.slug, 'role', m.role) order by o.slug), '[]')::text
		        from mesher.memberships m join mesher.organizations o on o.id = m.organization_id
		        where m.user_id = u.id and o.deleted_at is null)
		from mesher.users u
		where ($1::text = '' or exists (
		           select from mesher.memberships m join mesher.organizations o on o.id = m.organization_id
		           where m.user_id = u.id and o.slug = $1::text and o.deleted_at is null))
		  and position(lower($2::text) in lower(u.email || ' ' || u.name)) > 0
		order by lower(u.email) limit $3::bigint`, o.organization, o.search, o.limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	users, err := pgx.CollectRows(rows, scanListedUser)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return users, nil
}

func scanListedUser(row pgx.CollectableRow) (listedUser, error) {
	var u listedUser
	var seen *time.Time
	var roles string
	if err := row.Scan(&u.ID, &u.Email, &u.Name, &u.Verified, &u.CreatedAt, &seen, &roles); err != nil {
		return u, err
	}
	if seen != nil {
		u.LastSeenAt = *seen
	}
	return u, json.Unmarshal([]byte(roles), &u.Organizations)
}

// choicesMost is how many organizations are named to who has to choose one.
const choicesMost = 10

// pickOrganization returns the organization with a slug, or the only one when none is given.
func pickOrganization(ctx context.Context, db *postgres.Pool, slug string) (tenant.Organization, error) {
	if slug != "" {
		return tenant.FindOrganization(ctx, db, slug)
	}
	rows, err := db.Query(ctx, `select slug from mesher.organizations where deleted_at is null order by slug limit $1::bigint`, choicesMost+1)
	if err != nil {
		return tenant.Organization{}, fmt.Errorf("find the organization: %w", err)
	}
	slugs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	switch {
	case err != nil:
		return tenant.Organization{}, fmt.Errorf("find the organization: %w", err)
	case len(slugs) == 0:
		return tenant.Organization{}, fault.New(fault.NotFound, "there is no organization yet")
	case len(slugs) > 1:
		if len(slugs) > choicesMost {
			slugs[choicesMost] = "…"
		}
		return tenant.Organization{}, fault.New(fault.Conflict, "there are several organizations; give one as -organization: %s",
			strings.Join(slugs, ", "))
	}
	return tenant.FindOrganization(ctx, db, slugs[0])
}

// pickUser returns the user with an address.
func pickUser(ctx context.Context, db account.DB, email string) (account.User, error) {
	u, _, err := account.FindLogin(ctx, db, email)
	if fault.Is(err, fault.NotFound) {
		return u, fault.New(fault.NotFound, "there is no user %s; mesher users list shows who is there", printable(email))
	}
	return u, err
}
