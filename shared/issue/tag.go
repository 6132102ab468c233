package issue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/page"
)

const (
	// sampleMost is how many of the latest events shares of tags are taken from.
	sampleMost = 1000
	// topValues is how many values of a tag are shown.
	topValues = 10
	// topKeys is how many tags are shown.
	topKeys = 100
)

// TagShares is which tags events have, how often.
type TagShares struct {
	Events int         `json:"events" doc:"how many events were looked at: the latest ones, at most 1,000"`
	Sample bool        `json:"sample" doc:"there are more events, which were not looked at"`
	Tags   []TagCounts `json:"tags" nullable:"false" doc:"at most 100 tags, those of the most events first"`
}

// TagCounts is one tag with its most frequent values.
type TagCounts struct {
	Key    string       `json:"key"`
	Events int64        `json:"events" doc:"those that have the tag"`
	Values int64        `json:"values" doc:"how many different values it has"`
	Top    []ValueCount `json:"top" nullable:"false" doc:"at most 10 values, the most frequent first"`
}

// ValueCount is a value of a tag.
type ValueCount struct {
	Value  string  `json:"value"`
	Events int64   `json:"events"`
	Share  float64 `json:"share" doc:"of the events that were looked at, from 0 to 1"`
}

// ListTagShares returns the tags of an issue's latest 1,000 events; environment, release, level, server_name, transaction,
// platform, logger and user (its id) count as tags, too.
func ListTagShares(ctx context.Context, db DB, project, id uuid.UUID) (TagShares, error) {
	s, err := scanOf(ctx, db, project, id, EventFilter{})
	if err != nil {
		return TagShares{}, err
	}
	return s.tags(ctx, nil)
}

// tags returns the tags of the latest events, only those named in keys unless that is nil.
func (s scan) tags(ctx context.Context, keys []string) (TagShares, error) {
	marks, err := s.read(ctx, page.Mark{}, sampleMost)
	if err != nil {
		return TagShares{}, err
	}
	out := TagShares{Events: len(marks.Rows), Sample: marks.Next != page.Mark{}, Tags: []TagCounts{}}
	if out.Events == 0 {
		return out, nil
	}
	read := each(s.db.Query(ctx, tagSharesSQL, append(markArgs(s.project, marks.Rows), keys, topValues, topKeys)...))
	var (
		key              string
		events, distinct int64
		v                ValueCount
	)
	err = read([]any{&key, &events, &distinct, &v.Value, &v.Events}, func() {
		if n := len(out.Tags); n == 0 || out.Tags[n-1].Key != key {
			out.Tags = append(out.Tags, TagCounts{Key: key, Events: events, Values: distinct})
		}
		last := &out.Tags[len(out.Tags)-1]
		v.Share = float64(v.Events) / float64(out.Events)
		last.Top = append(last.Top, v)
	})
	if err != nil {
		return TagShares{}, fmt.Errorf("count tags: %w", err)
	}
	return out, nil
}

// tagSharesSQL reads the tags of marked events. An event counts once for a value, also when it has it as a tag and otherwise.
const tagSharesSQL = `
	with tagged as (
		select m.n, t.key, t.value from ` + markedEvents + `
		cross join lateral (
			select c.key, c.value from (values
				('environment', e.environment), ('release', e.release), ('level', e.level), ('server_name', e.server_name),
				('transaction', e.transaction), ('platform', e.platform), ('logger', e.logger), ('user', e.user_id)) c (key, value)
			where c.value <> ''
			union
			select j.key, j.value from jsonb_each_text(e.tags) j where j.value <> '') t
		where $6::text[] is null or t.key = any ($6::text[])),
	counted as (select key, value, count(*) as events from tagged group by key, value),
	ranked as (
		select c.*, row_number() over (partition by key order by events desc, value) as nth,
			count(*) over (partition by key) as distinct_values
		from counted c),
	kept as (select key, count(distinct n) as events from tagged group by key order by 2 desc, 1 limit $8::bigint)
	select k.key, k.events, r.distinct_values, r.value, r.events
	from kept k join ranked r on r.key = k.key and r.nth <= $7::bigint
	order by k.events desc, k.key, r.nth`

// KnownTags are tags that events of a project have had.
type KnownTags struct {
	Items []KnownTag `json:"items" nullable:"false" doc:"sorted by key"`
	More  bool       `json:"more" doc:"there are more tags than these, or more values than were looked at"`
}

// KnownTag is a tag with values that it has had.
type KnownTag struct {
	Key    string   `json:"key"`
	Values []string `json:"values" nullable:"false" doc:"sorted"`
	More   bool     `json:"more" doc:"there are more values than these, or more than were looked at"`
}

// TagQuery says which tags are asked for.
type TagQuery struct {
	Key    string // only this one
	Search string // part of the value, or without Key of the key, in any case
	Limit  int    // most values, or without Key most tags; from 1 to 100
}

const (
	// steppedMost is how many different keys or values are looked at.
	steppedMost = 2000
	// fewValues is how many values are shown of each of several tags.
	fewValues = 10
)

// ListTags returns the tags that are known of a project, without reading events: of one, its values; else all of them with a
// few values each. Of each issue at most 500 values of a tag are known. At most 2,000 different keys or values are looked at.
func ListTags(ctx context.Context, db DB, project uuid.UUID, q TagQuery) (KnownTags, error) {
	q.Limit = min(max(q.Limit, 1), 100)
	out := KnownTags{Items: []KnownTag{}}
	if q.Key != "" {
		values, more, err := distinct(ctx, db, valuesSQL, q.Search, q.Limit, project, q.Key)
		if len(values) > 0 {
			out.Items = append(out.Items, KnownTag{Key: q.Key, Values: values, More: more})
		}
		out.More = more
		return out, err
	}
	keys, more, err := distinct(ctx, db, keysSQL, q.Search, q.Limit, project, "")
	if err != nil {
		return KnownTags{}, err
	}
	out.More = more
	for _, key := range keys {
		values, more, err := distinct(ctx, db, valuesSQL, "", fewValues, project, key)
		if err != nil {
			return KnownTags{}, err
		}
		out.Items = append(out.Items, KnownTag{Key: key, Values: values, More: more})
	}
	return out, nil
}

// Each step goes to the next key or value in the index, past all rows that have the same one.
const (
	keysSQL = `
		with recursive step as (
			select (select min(t.key) from mesher.issue_tags t where t.project_id = $1::uuid and $2::text = '') as text, 1 as n
			union all
			select (select min(t.key) from mesher.issue_tags t where t.project_id = $1::uuid and t.key > s.text), s.n + 1
			from step s where s.text is not null and s.n <= $3::bigint)` + stepped
	valuesSQL = `
		with recursive step as (
			select (select min(t.value) from mesher.issue_tags t where t.project_id = $1::uuid and t.key = $2::text) as text, 1 as n
			union all
			select (select min(t.value) from mesher.issue_tags t where t.project_id = $1::uuid and t.key = $2::text and t.value > s.text), s.n + 1
			from step s where s.text is not null and s.n <= $3::bigint)` + stepped
	stepped = `
		select s.text, s.n > $3::bigint from step s
		where s.text is not null and (s.n > $3::bigint or position(lower($4::text) in lower(s.text)) > 0)
		limit $5::bigint`
)

// distinct returns at most limit different keys or values that have a part, and whether there may be more.
func distinct(ctx context.Context, db DB, sql, part string, limit int, project uuid.UUID, key string) ([]string, bool, error) {
	read := each(db.Query(ctx, sql, project, key, steppedMost, part, limit+1))
	out, more := []string{}, false
	var text string
	var beyond bool
	err := read([]any{&text, &beyond}, func() {
		if more = more || beyond || len(out) == limit; !more {
			out = append(out, text)
		}
	})
	if err != nil {
		return nil, false, fmt.Errorf("list tags: %w", err)
	}
	return out, more, nil
}

// sampled returns the scan of a project's events since a time.
func sampled(db DB, project uuid.UUID, since, now time.Time) scan {
	return scan{db: db, project: project, within: span{from: since, to: now.Add(ahead)}}
}
