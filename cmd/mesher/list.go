package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// listFlags reads the flags that all lists have.
func listFlags(name string, args []string) (project string, limit int, err error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&project, "project", "", "id or slug of the project, or organization/project; by default that of the platform on this machine, else all")
	flags.IntVar(&limit, "limit", 20, "rows")
	if err := parse(flags, args); err != nil {
		return "", 0, err
	}
	if limit < 1 {
		return "", 0, fmt.Errorf("%w: -limit must be at least 1", errUsage)
	}
	if project == "" {
		project = localProject()
	}
	return project, limit, nil
}

// pickListed returns the project that is meant; nil: all.
func pickListed(ctx context.Context, db *postgres.Pool, ref string) (*uuid.UUID, error) {
	if ref == "" {
		return nil, nil
	}
	p, err := tenant.PickProject(ctx, db, ref)
	if err != nil {
		return nil, fmt.Errorf("find the project (-project): %w", err)
	}
	return &p.ID, nil
}

func runEvents(ctx context.Context, args []string, out io.Writer) error {
	return list(ctx, "events", args, out, "RECEIVED\tLEVEL\tISSUE\tEVENT", `
		select to_char(e.received_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'), e.level, coalesce(i.title, '(no issue)'), e.event_id::text
		from mesher.events e
		left join mesher.issue_fingerprints f on f.project_id = e.project_id and f.fingerprint = e.fingerprint
		left join mesher.issues i on i.project_id = f.project_id and i.id = f.issue_id
		where ($1::uuid is null or e.project_id = $1::uuid)
		order by e.received_at desc, e.id desc limit $2`)
}

func runIssues(ctx context.Context, args []string, out io.Writer) error {
	return list(ctx, "issues", args, out, "LAST SEEN\tLEVEL\tEVENTS\tISSUE", `
		select to_char(i.last_seen at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'), i.level, i.event_count::text, i.title
		from mesher.issues i
		where ($1::uuid is null or i.project_id = $1::uuid)
		order by i.last_seen desc, i.id desc limit $2`)
}

func runMonitors(ctx context.Context, args []string, out io.Writer) error {
	// Those that are the organization's, of no project, are shown with whatever project is asked for.
	// One that is not well says what the last look found, where that was not well either.
	return list(ctx, "monitors", args, out, "STATUS\tSINCE\tKIND\tMONITOR", `
		select case when m.enabled then m.status else 'disabled' end, to_char(m.status_since at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'), m.kind,
			m.name || coalesce(': ' || case when m.enabled and m.status in ('down', 'degraded') and l.status <> 'healthy' then
				coalesce(l.probe_details ->> 'error', l.probe_details ->> 'code') end, '')
		from mesher.monitors m
		left join lateral (
			select c.status, c.probe_details from mesher.service_health_checks c
			where c.monitor_id = m.id order by c.created_at desc, c.id desc limit 1) l on true
		where ($1::uuid is null or m.project_id = $1::uuid or m.project_id is null
			and m.organization_id = (select p.organization_id from mesher.projects p where p.id = $1::uuid))
		order by array_position(array['down', 'degraded', 'unknown', 'healthy'], m.status), m.status_since desc, m.id limit $2`)
}

// runAlerts shows those of no project, about monitors of the organization, with whatever project is asked for.
func runAlerts(ctx context.Context, args []string, out io.Writer) error {
	return list(ctx, "alerts", args, out, "RAISED\tSTATUS\tSEVERITY\tALERT", `
		select to_char(a.started_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'), a.status, a.severity, a.title
		from mesher.alert_events a
		where ($1::uuid is null or a.project_id = $1::uuid or a.project_id is null
			and a.organization_id = (select p.organization_id from mesher.projects p where p.id = $1::uuid))
		order by a.started_at desc, a.id desc limit $2`)
}

// list prints the rows of a query, which are four texts each, under a heading.
func list(ctx context.Context, name string, args []string, out io.Writer, heading, query string) error {
	ref, limit, err := listFlags(name, args)
	if err != nil {
		return err
	}
	pool, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	project, err := pickListed(ctx, pool, ref)
	if err != nil {
		return explainList(name, err)
	}
	rows, err := pool.Query(ctx, query, project, limit)
	if err != nil {
		return explainList(name, err)
	}
	defer rows.Close()
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heading)
	n := 0
	for ; rows.Next(); n++ {
		var a, b, c, d string
		if err := rows.Scan(&a, &b, &c, &d); err != nil {
			return fmt.Errorf("list %s: %w", name, err)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(a), printable(b), printable(c), printable(d))
	}
	if err := rows.Err(); err != nil {
		return explainList(name, err)
	}
	if n == 0 {
		fmt.Fprintf(w, "(no %s yet)\n", name)
	}
	return w.Flush()
}

// explainList says what to do about a list that cannot be read.
func explainList(name string, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	switch postgres.SQLState(err) {
	case "42P01", "3F000":
		return fmt.Errorf("list %s: the database has no schema yet, run mesher migrate: %w", name, err)
	case "":
		return fmt.Errorf("list %s: the database does not answer; is the platform running (make run)? %w", name, err)
	}
	return fmt.Errorf("list %s: %w", name, err)
}

// printable shows what a client sent without letting it steer the terminal.
func printable(s string) string {
	return strings.Trim(strconv.QuoteToGraphic(s), `"`)
}
