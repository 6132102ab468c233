package account

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/postgres"
)

// subjects are attempts as the statements take them, one element of each list for one row. Durations are in seconds.
type subjects struct {
	kinds, hashes           []string
	free, decay, base, most []float64
}

// subjectsOf returns the attempts in the order that every transaction locks their rows in, so that no two wait for each
// other. What is tried twice at once counts once.
func subjectsOf(attempts []Attempt) subjects {
	order := func(a, b Attempt) int {
		return cmp.Or(strings.Compare(a.rule.kind, b.rule.kind), strings.Compare(a.subject, b.subject))
	}
	for _, a := range attempts {
		if a.wider != nil {
			attempts = append(slices.Clip(attempts), *a.wider)
		}
	}
	attempts = slices.SortedFunc(slices.Values(attempts), order)
	attempts = slices.CompactFunc(attempts, func(a, b Attempt) bool { return order(a, b) == 0 })
	var s subjects
	for _, a := range attempts {
		hash := sha256.Sum256([]byte(a.rule.kind + " " + a.subject))
		s.kinds = append(s.kinds, a.rule.kind)
		s.hashes = append(s.hashes, hex.EncodeToString(hash[:]))
		s.free = append(s.free, a.rule.free)
		s.decay = append(s.decay, a.rule.decay.Seconds())
		s.base = append(s.base, a.rule.base.Seconds())
		s.most = append(s.most, a.rule.most.Seconds())
	}
	return s
}

// countSQL counts as many of the attempts as may be tried. What is known to be paused when it begins keeps it from
// writing anything; what others pause meanwhile is seen row by row, where each is locked. A row's first attempt
// begins a pause only where none is free. Waiting for a lock makes now() older than what another wrote meanwhile: then nothing is forgotten, and a
// row without a pause has one that ended long ago instead of just now.
const countSQL = `
	with wanted as (
		select w.place, w.kind, decode(w.hash, 'hex') as subject, w.free, w.decay, w.base, w.most
		from unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::float8[], $6::float8[])
			with ordinality as w (kind, hash, free, decay, base, most, place)
	)
	insert into mesher.throttles as t (kind, subject, level, updated_at, blocked_until)
	select kind, subject, 1, now(), case when free < 1 then now() + least(most, base) * interval '1 second' else 'epoch' end from wanted
	where not exists (
		select from mesher.throttles p join wanted using (kind, subject) where p.blocked_until > now()
	)
	order by place
	on conflict (kind, subject) do update
	set (level, updated_at, blocked_until) = (
		select n.level, greatest(t.updated_at, now()), case when n.level > w.free
			then now() + least(w.most, w.base * power(2, least(ceil(n.level - w.free) - 1, 30))) * interval '1 second'
			else t.blocked_until end
		from wanted w, lateral (
			select greatest(0, t.level - greatest(0, extract(epoch from now() - t.updated_at)::float8) / w.decay) + 1 as level
		) n
		where w.kind = t.kind and w.subject = t.subject
	)
	where t.blocked_until <= now()`

// pauseOf returns how long the longest of the pauses lasts, in whole seconds, at least one. A statement of its own sees
// what another transaction wrote while this one waited for it.
func pauseOf(ctx context.Context, tx postgres.Tx, s subjects) (time.Duration, error) {
	var seconds int64
	err := tx.QueryRow(ctx, `
		select greatest(1, ceil(extract(epoch from max(t.blocked_until) - now())))::bigint
		from unnest($1::text[], $2::text[]) as w (kind, hash)
		join mesher.throttles t on t.kind = w.kind and t.subject = decode(w.hash, 'hex')`, s.kinds, s.hashes).Scan(&seconds)
	return time.Duration(seconds) * time.Second, err //nolint:wrapcheck // wrapped by Try
}

// forgiveSQL takes one attempt back. A pause that lasts was begun by the attempt that was counted last, since nothing
// is counted during one; it ends, for whoever proved to be right must not wait.
const forgiveSQL = `
	with held as (
		select t.kind, t.subject
		from unnest($1::text[], $2::text[]) with ordinality as w (kind, hash, place)
		join mesher.throttles t on t.kind = w.kind and t.subject = decode(w.hash, 'hex')
		order by w.place
		for update of t
	)
	update mesher.throttles t
	set level = greatest(0, t.level - 1), blocked_until = 'epoch'
	from held
	where t.kind = held.kind and t.subject = held.subject`
