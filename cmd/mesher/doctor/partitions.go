package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// How many days ahead have to have their partition. They are made for two weeks, four times a day; Store makes one that
// is missing, but holds up what comes in meanwhile.
const (
	aheadLeast = 2
	aheadFew   = 7
)

// partitions looks for days without one.
func partitions(ctx context.Context, e *exam) (out []Finding) {
	days, err := e.strings(ctx, `
		select substr(c.relname, 8) from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
		where i.inhparent = to_regclass('mesher.events') and c.relname ~ '^events_[0-9]{8}$' order by 1`)
	if err != nil {
		return unknown(err, asOwner)
	}
	const form = "20060102"
	today := e.Now().UTC().Truncate(24 * time.Hour)
	ahead := -1
	for day := today; slices.Contains(days, day.Format(form)); day = day.AddDate(0, 0, 1) {
		ahead++
	}
	const fix = "mesher jobs run partitions, and look why it did not run by itself (mesher jobs list)"
	switch {
	case ahead < aheadLeast:
		out = append(out, Finding{Level: Wrong, What: fmt.Sprintf("only %d days from today on have a partition of events", ahead+1), Fix: fix})
	case ahead < aheadFew:
		out = append(out, Finding{Level: Warning, What: fmt.Sprintf("partitions of events are made %d days ahead only", ahead), Fix: fix})
	default:
		out = append(out, Finding{Level: OK, What: fmt.Sprintf("partitions of events are made until %s", today.AddDate(0, 0, ahead).Format(time.DateOnly))})
	}
	for i := 1; i < len(days); i++ {
		last, err := time.Parse(form, days[i-1])
		next, err2 := time.Parse(form, days[i])
		// Older events may have come late and made one of their own; what is to come must not have holes.
		if err == nil && err2 == nil && next.After(today.AddDate(0, 0, ahead+1)) && !last.AddDate(0, 0, 1).Equal(next) {
			out = append(out, Finding{Level: Wrong, What: "there is no partition between " + last.Format(time.DateOnly) + " and " + next.Format(time.DateOnly), Fix: fix})
		}
	}
	loose := e.each(ctx, Warning, "mesher jobs run partitions attaches it; a partition that was detached on purpose is to be dropped or moved out of the schema",
		"", `
		select format('%s looks like a partition of events and is none', c.oid::regclass) from pg_catalog.pg_class c
		where c.relnamespace = to_regnamespace('mesher') and c.relname ~ '^events_' and c.relkind in ('r', 'p') and not c.relispartition
		union all
		select format('%s takes whatever has no day of its own, which keeps partitions from being made and dropped', c.oid::regclass)
		from pg_catalog.pg_class c where c.relispartition and c.relnamespace = to_regnamespace('mesher') and pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'
		order by 1`)
	for _, f := range loose {
		if f.Level != OK {
			out = append(out, f)
		}
	}
	return out
}
