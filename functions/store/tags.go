package store

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

const (
	// tagValuesMost is how many values of one tag are kept for a fingerprint, and how many an instance tries to
	// add in an hour: it is not told which of them found room.
	tagValuesMost = 500
	// tagRowsMost is how many values one transaction writes. The others wait until they come again.
	tagRowsMost = 300
	// tagLengthMost is how long a value or a key may be, in characters; longer ones are left out.
	tagLengthMost = 200
)

// tagValue is a value of a tag that an event of a fingerprint has.
type tagValue struct {
	fingerprint   uuid.UUID
	key, value    string
	hour          hour
	hash, keyHash uint64
}

// columnTags yields what counts as a tag without being one.
func columnTags(e *event.Event) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, t := range [...]struct{ key, value string }{
			{"environment", e.Environment},
			{"release", e.Release},
			{"level", string(e.Level)},
			{"server_name", e.ServerName},
			{"transaction", e.Transaction},
			{"platform", e.Platform},
			{"logger", e.Logger},
			{"user", e.UserID},
		} {
			if t.value != "" && !yield(t.key, t.value) {
				return
			}
		}
	}
}

// newTags reports whether e has a value that is not known to be written. It is called for each event, and
// before the transaction, so that it costs no time in which the project is locked.
func (m *memory) newTags(e *event.Event) bool {
	var (
		h           = hourOf(e.ReceivedAt)
		fingerprint = m.hashID(e.Fingerprint)
		room        [64]uint64
		hashes      = room[:0] // of a tag and of its value, in turn
	)
	for key, value := range columnTags(e) {
		if short(value) {
			k := join(fingerprint, m.hashText(key))
			hashes = append(hashes, k, join(k, m.hashText(value)))
		}
	}
	for key, quoted := range rawjson.Object(e.Tags) {
		if isColumn(string(key)) {
			continue
		}
		keyHash, keyOK := m.hashQuoted(key)
		valueHash, valueOK := m.hashQuoted(quoted)
		if keyOK && valueOK && rawjson.KindOf(quoted) == rawjson.String {
			k := join(fingerprint, keyHash)
			hashes = append(hashes, k, join(k, valueHash))
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := 0; i < len(hashes); i += 2 {
		if !m.tags.knows(hashes[i+1], h) && !m.full(hashes[i], h) {
			return true
		}
	}
	return false
}

// hashQuoted returns hashText of a JSON string, with quotes or without, and whether it is short.
func (m *memory) hashQuoted(raw []byte) (uint64, bool) {
	if len(raw) > tagLengthMost || bytes.IndexByte(raw, '\\') >= 0 {
		text := rawjson.Unquote(raw)
		return m.hashText(text), short(text)
	}
	if len(raw) >= 2 && raw[0] == '"' {
		raw = raw[1 : len(raw)-1]
	}
	return maphash.Bytes(m.seed, raw), true
}

// full reports whether a tag of a fingerprint has had all the values that it can have in h, or in a later hour.
func (m *memory) full(keyHash uint64, h hour) bool {
	tried, ok := m.tried.get(keyHash)
	return ok && hour(tried>>triedBits) >= h && tried&(1<<triedBits-1) >= tagValuesMost
}

// try counts a value of a tag in h.
func (m *memory) try(keyHash uint64, h hour) {
	tried, ok := m.tried.get(keyHash)
	switch at := hour(tried >> triedBits); {
	case !ok || at < h:
		m.tried.put(keyHash, int64(h)<<triedBits|1)
	case tried&(1<<triedBits-1) < tagValuesMost:
		m.tried.put(keyHash, tried+1)
	}
}

// triedBits is how many bits hold a number up to tagValuesMost.
const triedBits = 10

// pickTags returns up to most values that are not known to be written, each once, with its last hour. Those of
// fingerprints without an issue come first: they may not come again.
func (m *memory) pickTags(rows []row, found look, most int) ([]tagValue, error) {
	type name struct {
		fingerprint uuid.UUID
		key, value  string
	}
	var (
		picked []tagValue
		at     = make(map[name]int)
	)
	for _, unbound := range []bool{true, false} {
		for i := range rows {
			r := &rows[i]
			if len(picked) >= most {
				return picked, nil
			}
			if found.of(r.fingerprint).unbound != unbound || !unbound && !r.newTags {
				continue
			}
			var e event.Event
			if err := event.DecodeLine(r.line, &e); err != nil {
				return nil, fmt.Errorf("read an event again: %w", err)
			}
			for _, t := range m.valuesOf(&e, unbound) {
				n := name{t.fingerprint, t.key, t.value}
				if j, ok := at[n]; ok {
					picked[j].hour = max(picked[j].hour, t.hour)
				} else if len(picked) < most {
					at[n] = len(picked)
					picked = append(picked, t)
				}
			}
		}
	}
	return picked, nil
}

// valuesOf returns the values of an event's tags, without those that are known to be written, unless anew is set:
// what is remembered of a fingerprint without an issue is of one that was deleted.
func (m *memory) valuesOf(e *event.Event, anew bool) []tagValue {
	var (
		values      []tagValue
		h           = hourOf(e.ReceivedAt)
		fingerprint = m.hashID(e.Fingerprint)
	)
	m.mu.Lock()
	defer m.mu.Unlock()
	add := func(key, value string) {
		if !short(key) || !short(value) {
			return
		}
		k := join(fingerprint, m.hashText(key))
		v := join(k, m.hashText(value))
		if anew || !m.tags.knows(v, h) && !m.full(k, h) {
			values = append(values, tagValue{e.Fingerprint, key, value, h, v, k})
		}
	}
	for key, value := range columnTags(e) {
		add(key, value)
	}
	for key, quoted := range rawjson.Object(e.Tags) {
		if name := rawjson.Unquote(key); rawjson.KindOf(quoted) == rawjson.String && !isColumn(name) {
			add(name, rawjson.Unquote(quoted))
		}
	}
	return values
}

// isColumn reports whether a tag is called like what columnTags yields. Such a tag stays with its event; among the tags of
// issues it would pass for the column.
func isColumn(key string) bool {
	switch key {
	case "environment", "release", "level", "server_name", "transaction", "platform", "logger", "user":
		return true
	}
	return false
}

func short(s string) bool {
	return len(s) <= tagLengthMost || utf8.RuneCountInString(s) <= tagLengthMost
}

// tagsSQL returns the statement that writes values. Nobody else adds any: the project is locked. The look-ups are
// subqueries of each row's own, which a planner without statistics cannot turn into reading the table, and
// that for room compares fingerprint and tag as one: no other index than the primary key's is good for that, least
// of all that on values, where it would read the tag's values of all fingerprints.
func tagsSQL(project uuid.UUID, tags []tagValue) (string, error) {
	type record struct {
		Fingerprint uuid.UUID `json:"f"`
		Key         string    `json:"k"`
		Value       string    `json:"v"`
		Hour        hour      `json:"h"`
	}
	records := make([]record, len(tags))
	for i, t := range tags {
		records[i] = record{t.fingerprint, t.key, t.value, t.hour}
	}
	text, err := hexJSON(records)
	if err != nil {
		return "", err
	}
	return strings.NewReplacer("$project", project.String(), "$tags", text, "$most", fmt.Sprint(tagValuesMost)).Replace(`
with seen as materialized (
	select s.f, s.k, s.v, to_timestamp(s.h * 3600) as hour, (
		select true from mesher.issue_tags t
		where t.project_id = '$project' and t.fingerprint = s.f and t.key = s.k and t.value = s.v limit 1) as known
	from json_to_recordset(convert_from(decode('$tags', 'hex'), 'utf8')::json) as s(f uuid, k text, v text, h bigint)),
fresh as materialized (
	select s.f, s.k, array_agg(s.v order by s.v) as v, array_agg(s.hour order by s.v) as hour, $most - (
		select count(*) from (
			select from mesher.issue_tags t
			where t.project_id = '$project' and (t.fingerprint, t.key) >= (s.f, s.k) and (t.fingerprint, t.key) <= (s.f, s.k)
			limit $most) t) as room
	from seen s where not coalesce(s.known, false) group by s.f, s.k),
kept as (
	select s.f, s.k, s.v, s.hour from seen s where s.known
	union all
	select n.f, n.k, u.v, u.hour from fresh n, unnest(n.v[1:n.room], n.hour[1:n.room]) as u (v, hour))
insert into mesher.issue_tags as t (project_id, fingerprint, key, value, seen_hour)
select '$project', f, k, v, hour from kept order by f, k, v
on conflict (project_id, fingerprint, key, value) do update set seen_hour = excluded.seen_hour
where t.seen_hour < excluded.seen_hour`), nil
}
