package alert

import (
	"context"
	"fmt"

	"github.com/mesherhq/mesher/shared/postgres"
)

// passing is the condition under which an issue i has events that meet the filter of $2 to $5, by the tags that are kept of it:
// levels, environments, keys and values of tags. It does not ask that one event meets all of it.
const passing = `
	(cardinality($2::text[]) = 0 or exists (
		select from mesher.issue_fingerprints g join mesher.issue_tags a on a.project_id = g.project_id and a.fingerprint = g.fingerprint
		where g.project_id = i.project_id and g.issue_id = i.id and a.key = 'level' and a.value = any ($2::text[])))
	and (cardinality($3::text[]) = 0 or exists (
		select from mesher.issue_fingerprints g join mesher.issue_tags a on a.project_id = g.project_id and a.fingerprint = g.fingerprint
		where g.project_id = i.project_id and g.issue_id = i.id and a.key = 'environment' and a.value = any ($3::text[])))
	and not exists (
		select from unnest($4::text[], $5::text[]) as w (key, value) where not exists (
			select from mesher.issue_fingerprints g join mesher.issue_tags a on a.project_id = g.project_id and a.fingerprint = g.fingerprint
			where g.project_id = i.project_id and g.issue_id = i.id and a.key = w.key and a.value = w.value))`

// byTags notes that an issue's tags stand for its events, and returns the arguments of passing with the project before them.
func (t *trial) byTags(what string) []any {
	f := t.rule.Filter
	if len(f.Levels)+len(f.Environments)+len(f.Tags) > 0 {
		t.about("levels, environments and tags are those of all events of an issue, not of %s", what)
	}
	keys, values := []string{}, []string{}
	for _, tag := range f.Tags {
		keys, values = append(keys, tag.Key), append(values, tag.Value)
	}
	return []any{t.rule.ProjectID, listed(f.Levels), listed(f.Environments), keys, values}
}

// listed returns texts as an argument, which is never null.
func listed(values []string) []string { return append([]string{}, values...) }

// newIssues lists issues that were first seen.
func (t *trial) newIssues(ctx context.Context) error {
	return t.found(ctx, `
		select count(*) over (), i.first_seen, i.id, i.title from mesher.issues i
		where i.project_id = $1::uuid and i.first_seen >= $6::timestamptz and i.first_seen < $7::timestamptz
			and (cardinality($8::text[]) = 0 or i.first_release = any ($8::text[])) and `+passing+`
		order by i.first_seen desc, i.id limit $9::bigint`, "the one that opened it")
}

// regressions lists when issues regressed.
func (t *trial) regressions(ctx context.Context) error {
	return t.found(ctx, `
		select count(*) over (), c.created_at, i.id, i.title from mesher.issue_activity c
		join mesher.issues i on i.project_id = c.project_id and i.id = c.issue_id
		where c.project_id = $1::uuid and c.action = 'regressed' and c.created_at >= $6::timestamptz and c.created_at < $7::timestamptz
			and (cardinality($8::text[]) = 0 or c.details ->> 'release' = any ($8::text[])) and `+passing+`
		order by c.created_at desc, c.id limit $9::bigint`, "the one that reopened it")
}

// found lists what a query finds, which counts all of it in its first column.
func (t *trial) found(ctx context.Context, query, what string) error {
	args := append(t.byTags(what), t.From, t.Until, listed(t.rule.Filter.Releases), firingsMost)
	read := each(t.db.Query(ctx, query, args...))
	all := 0
	var f Firing
	err := read([]any{&all, (*postgres.Time)(&f.At), &f.IssueID, &f.What}, func() {
		t.Firings = append(t.Firings, f)
	})
	if err != nil {
		return fmt.Errorf("look for issues: %w", err)
	}
	t.Fired = &all
	return nil
}
