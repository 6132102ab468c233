package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// auditOptions is what the flags of `mesher audit` say; empty: it narrows nothing.
type auditOptions struct {
	organization  string // slug
	action, actor string
	since         string
	limit         int
	asJSON        bool
}

// auditLine is an entry as operators see it.
type auditLine struct {
	tenant.AuditEntry
	Organization string `json:"organization,omitempty"` // slug, unless it is about none or that is gone
}

func runAudit(ctx context.Context, args []string, out io.Writer) error {
	var o auditOptions
	flags := flag.NewFlagSet("audit", flag.ContinueOnError)
	flags.StringVar(&o.organization, "organization", "", "slug of the organization; by default all, and what belongs to none, such as logins")
	flags.StringVar(&o.action, "action", "", "what was done, such as key.rotate, or key for all that is done to keys")
	flags.StringVar(&o.actor, "actor", "", "who did it: an address, an operator's name, or a user's id")
	flags.StringVar(&o.since, "since", "", "how long ago at most, such as 7d, 12h or 30m, or a time such as 2026-11-21T21:04:00Z")
	flags.IntVar(&o.limit, "limit", 50, "most entries")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, for scripts")
	if err := parse(flags, args); err != nil {
		return err
	}
	if o.limit < 1 {
		return fmt.Errorf("%w: -limit must be at least 1", errUsage)
	}
	since, err := sinceWhen(o.since, time.Now())
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, keysMost)
	defer cancel()
	return explainDatabase(showAudit(ctx, db, o, since, out))
}

// sinceWhen returns the time that -since means; zero: none.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	span, err := tenant.ParseSpan(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: -since is neither a time such as 2026-11-21T21:04:00Z nor a span: %w", errUsage, err)
	}
	return now.Add(-span), nil
}

func showAudit(ctx context.Context, db *postgres.Pool, o auditOptions, since time.Time, out io.Writer) error {
	var organization *uuid.UUID
	if o.organization != "" {
		found, err := tenant.FindOrganization(ctx, db, o.organization)
		if err != nil {
			return err
		}
		organization = &found.ID
	}
	entries, err := listAudit(ctx, db, organization, o, since)
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, append([]auditLine{}, entries...)) // an empty list, not null
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tORGANIZATION\tWHO\tFROM\tACTION\tTARGET\tDETAILS")
	for _, e := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s %s\t%s\t%s\t%s %s\t%s\n", shownTime(e.CreatedAt), orDash(e.Organization), e.Actor.Kind, printable(e.Actor.Name),
			orDash(e.Actor.IP), e.Action, e.Target.Kind, printable(e.Target.Name), strings.ReplaceAll(printable(string(e.Details)), `\"`, `"`))
	}
	switch len(entries) {
	case 0:
		fmt.Fprintln(w, "(no entries)")
	case o.limit:
		fmt.Fprintln(w, "(there may be more; -limit says how many are shown)")
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// listAudit returns entries, the newest first. It is for operators: nobody else may see more than one organization.
func listAudit(ctx context.Context, db *postgres.Pool, organization *uuid.UUID, o auditOptions, since time.Time) ([]auditLine, error) {
	var from *time.Time
	if !since.IsZero() {
		from = &since
	}
	rows, err := db.Query(ctx, `
		select a.id, a.created_at, a.organization_id, coalesce(o.slug, ''), a.actor_kind, a.actor_id, a.actor_name, coalesce(host(a.ip), ''),
		       a.user_agent, a.action, a.target_kind, a.target_id, a.target_name, coalesce(nullif(a.details, '{}'::jsonb)::text, '')
		from mesher.audit_log a left join mesher.organizations o on o.id = a.organization_id
		where ($1::uuid is null or a.organization_id = $1::uuid)
		  and ($2::text = '' or a.action = $2::text or starts_with(a.action, $2::text || '.'))
		  and ($3::text = '' or a.actor_id::text = lower($3::text) or lower(a.actor_name) = lower($3::text))
		  and ($4::timestamptz is null or a.created_at >= $4::timestamptz)
		order by a.created_at desc, a.id desc limit $5::bigint`, organization, o.action, o.actor, from, o.limit)
	if err != nil {
		return nil, fmt.Errorf("list the audit log: %w", err)
	}
	entries, err := pgx.CollectRows(rows, scanAuditLine)
	if err != nil {
		return nil, fmt.Errorf("list the audit log: %w", err)
	}
	return entries, nil
}

func scanAuditLine(row pgx.CollectableRow) (auditLine, error) {
	var e auditLine
	var details string
	err := row.Scan(&e.ID, &e.CreatedAt, &e.OrganizationID, &e.Organization, &e.Actor.Kind, &e.Actor.ID, &e.Actor.Name, &e.Actor.IP,
		&e.Actor.UserAgent, &e.Action, &e.Target.Kind, &e.Target.ID, &e.Target.Name, &details)
	e.CreatedAt = e.CreatedAt.UTC()
	if details != "" {
		e.Details = []byte(details)
	}
	return e, err
}
