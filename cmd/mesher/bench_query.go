package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// queryDays is how many days the events of `mesher bench query` are spread over, the latest of them today.
const queryDays = 60

// queryBench is one run of `mesher bench query`: a project full of events, and the queries that people make.
type queryBench struct {
	benchmark
	times   int
	now     time.Time
	project uuid.UUID
	hot     uuid.UUID // an issue with a twentieth of all events
	rare    uuid.UUID // an issue with an event a day
	event   issue.Event
	old     issue.Event
}

func runBenchQuery(ctx context.Context, args []string, out io.Writer) error {
	b := queryBench{benchmark: benchmark{projects: 1}, now: time.Now().UTC()}
	flags := flag.NewFlagSet("bench query", flag.ContinueOnError)
	flags.IntVar(&b.events, "events", 1_000_000, "events that the project has, over 60 days; about 1.3 KB each")
	flags.IntVar(&b.times, "times", 50, "how often each query is made")
	running := flags.Bool("running", false, "measure the platform that runs on this machine instead of a fresh one")
	if err := parse(flags, args); err != nil {
		return err
	}
	if b.events < queryDays*100 || b.times < 1 {
		return fmt.Errorf("%w: there have to be at least %d events, and each query has to be made once", errUsage, queryDays*100)
	}
	dir := home()
	if !*running {
		fresh, stop, err := startFresh(ctx)
		if err != nil {
			return err
		}
		defer stop()
		dir = fresh
	}
	var err error
	if b.info, err = local.ReadInfo(dir); err != nil {
		return err
	}
	// As the functions connect, so that plans are made as theirs are.
	if b.pool, err = queryPool(ctx, b.info.DatabaseURL); err != nil {
		return err
	}
	defer b.pool.Close()
	if err := b.makeTargets(ctx); err != nil {
		return err
	}
	defer b.clean(context.WithoutCancel(ctx), out)
	b.project = b.tests[0].project
	if err := b.fill(ctx, out); err != nil {
		return err
	}
	return b.measure(ctx, out)
}

func queryPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	pool, err := postgres.Open(ctx, postgres.Config{URL: url, PoolSize: 2, ConnectTimeout: 5 * time.Second, IdleTimeout: time.Minute})
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return pool, nil
}

// fill stores the events, a day at a time, and what Store would count of them.
func (b *queryBench) fill(ctx context.Context, out io.Writer) error {
	start := time.Now()
	if _, err := postgres.EnsurePartitions(ctx, b.pool, b.now.AddDate(0, 0, -queryDays), b.now); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	daily := b.events / queryDays
	for d := range queryDays {
		at := b.now.AddDate(0, 0, -d)
		if _, err := b.pool.Exec(ctx, fillEventsSQL, b.project, at, daily, d); err != nil {
			return fmt.Errorf("store events: %w", err)
		}
	}
	if _, err := b.pool.Exec(ctx, fillIssuesSQL, b.project, b.now, queryDays, daily); err != nil {
		return fmt.Errorf("open issues: %w", err)
	}
	for _, sql := range []string{fillCountsSQL, fillTagsSQL} {
		if _, err := b.pool.Exec(ctx, sql, b.project); err != nil {
			return fmt.Errorf("count events: %w", err)
		}
	}
	if _, err := b.pool.Exec(ctx, "vacuum analyze"); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	for title, id := range map[string]*uuid.UUID{"issue 0": &b.hot, "issue rare": &b.rare} {
		err := b.pool.QueryRow(ctx, "select id from mesher.issues where project_id = $1::uuid and title = $2::text", b.project, title).Scan(id)
		if err != nil {
			return fmt.Errorf("look up an issue: %w", err)
		}
	}
	fmt.Fprintf(out, "%d events on %d days stored in %s\n", daily*queryDays, queryDays, time.Since(start).Round(time.Second))
	return nil
}

// measure makes each query and prints how long it takes.
func (b *queryBench) measure(ctx context.Context, out io.Writer) error {
	var err error
	if b.event, err = issue.LatestEvent(ctx, b.pool, b.project, b.hot); err != nil {
		return fmt.Errorf("look up an event: %w", err)
	}
	if b.old, err = issue.OldestEvent(ctx, b.pool, b.project, b.hot); err != nil {
		return fmt.Errorf("look up an event: %w", err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "query\tp50\tp95\t")
	for _, q := range b.queries(ctx) {
		var took []time.Duration
		for range b.times {
			start := time.Now()
			if err := q.do(); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			took = append(took, time.Since(start))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t\n", q.name, quantile(took, 0.5), quantile(took, 0.95))
	}
	return w.Flush()
}

type namedQuery struct {
	name string
	do   func() error
}

// queries are those of the function API.
func (b *queryBench) queries(ctx context.Context) []namedQuery {
	first := page.Request{Limit: 50}
	deep := page.Request{Limit: 50, After: page.Mark{At: b.now.AddDate(0, 0, -30)}}
	return []namedQuery{
		{"issues", b.issues(ctx, issue.Filter{}, "")},
		{"issues of an environment, by events", b.issues(ctx, issue.Filter{Environment: "staging"}, issue.ByEvents)},
		{"issues with a word", b.issues(ctx, issue.Filter{Search: "issue 77"}, "")},
		{"issue", func() error { _, err := issue.Find(ctx, b.pool, b.project, b.hot); return err }},
		{"events of an issue", b.issueEvents(ctx, b.hot, issue.EventFilter{}, first)},
		{"events of an issue, 30 days down", b.issueEvents(ctx, b.hot, issue.EventFilter{}, deep)},
		{"events of an issue and environment", b.issueEvents(ctx, b.hot, issue.EventFilter{Environment: "staging"}, first)},
		{"events of an issue, none met", b.issueEvents(ctx, b.hot, issue.EventFilter{Release: "none"}, first)},
		{"events of a rare issue", b.issueEvents(ctx, b.rare, issue.EventFilter{}, first)},
		{"latest event", func() error { _, err := issue.LatestEvent(ctx, b.pool, b.project, b.hot); return err }},
		{"oldest event", func() error { _, err := issue.OldestEvent(ctx, b.pool, b.project, b.hot); return err }},
		{"event by id", b.find(ctx, b.old.ID, time.Time{})},
		{"event by client's id", b.find(ctx, b.event.EventID, time.Time{})},
		{"old event by client's id", b.find(ctx, b.old.EventID, time.Time{})},
		{"old event by client's id and day", b.find(ctx, b.old.EventID, b.old.ReceivedAt)},
		{"events", b.events50(ctx, issue.EventFilter{})},
		{"events of a level", b.events50(ctx, issue.EventFilter{Level: "warning"})},
		{"events of a user", b.events50(ctx, issue.EventFilter{UserID: "u77"})},
		{"events of a trace, none met", b.events50(ctx, issue.EventFilter{TraceID: "0"})},
		{"tags of an issue", func() error { _, err := issue.ListTagShares(ctx, b.pool, b.project, b.hot); return err }},
		{"tags of the project", func() error {
			_, err := issue.ListTags(ctx, b.pool, b.project, issue.TagQuery{Limit: 50})
			return err
		}},
		{"grouping", func() error { _, err := issue.ExplainGrouping(ctx, b.pool, b.project, b.hot, nil); return err }},
		{"overview of a day", b.overview(ctx, issue.OneDay)},
		{"overview of 30 days", b.overview(ctx, issue.ThirtyDays)},
		{"usage by day", func() error {
			_, err := issue.ReadUsage(ctx, b.pool, b.project, issue.UsageSpan{Step: issue.ByDay}, b.now)
			return err
		}},
		{"releases", func() error { _, err := issue.ListReleases(ctx, b.pool, b.project, "", first); return err }},
	}
}

func (b *queryBench) issues(ctx context.Context, f issue.Filter, s issue.Sort) func() error {
	return func() error {
		_, err := issue.List(ctx, b.pool, b.project, f, issue.Request{Sort: s, Limit: 50})
		return err
	}
}

func (b *queryBench) issueEvents(ctx context.Context, id uuid.UUID, f issue.EventFilter, r page.Request) func() error {
	return func() error {
		_, err := issue.ListIssueEvents(ctx, b.pool, b.project, id, f, r)
		return err
	}
}

func (b *queryBench) events50(ctx context.Context, f issue.EventFilter) func() error {
	return func() error {
		_, err := issue.ListEvents(ctx, b.pool, b.project, f, page.Request{Limit: 50})
		return err
	}
}

func (b *queryBench) find(ctx context.Context, id uuid.UUID, at time.Time) func() error {
	return func() error {
		_, err := issue.FindEvent(ctx, b.pool, b.project, id, at)
		return err
	}
}

func (b *queryBench) overview(ctx context.Context, p issue.Period) func() error {
	return func() error {
		_, err := issue.ReadOverview(ctx, b.pool, b.project, p, b.now)
		return err
	}
}
