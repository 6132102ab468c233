package store

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/grouping"
)

// A new version of grouping gives events new fingerprints. Each event then tells its former one, and a fingerprint
// that has no issue yet is bound to the issue of the former one before anything is counted, so that all of the rest
// goes as for any fingerprint of that issue. What has an issue keeps it, whatever its former fingerprint is bound to.
//
// While instances of both versions are at work, an issue may open in the very batch that also brings it by its new
// fingerprint. The rows of that one, which are the late ones, are counted after the others.

// heir is a fingerprint that gets the issue of another.
type heir struct{ fingerprint, former uuid.UUID }

// adopt returns what is special about the fingerprint of r, which gets the issue of its former one if it has none.
// The first former fingerprint of a batch that has an issue decides.
func (l *look) adopt(r *row) standing {
	s := l.of(r.fingerprint)
	if r.former == uuid.Nil || !s.unbound || s.former != uuid.Nil {
		return s
	}
	if f := l.of(r.former); !f.unbound {
		s.former, s.discarded, s.changes = r.former, f.discarded, f.changes
		l.standings[r.fingerprint], l.heirs = s, true
	}
	return s
}

// follow marks the fingerprints whose former ones get their issues from these rows themselves, and moves their rows
// to the end.
func (l *look) follow(rows []row) {
	var opened map[uuid.UUID]bool
	for i := range rows {
		r := &rows[i]
		s := l.of(r.fingerprint)
		if r.former == uuid.Nil || !s.unbound || s.former != uuid.Nil {
			continue
		}
		if opened == nil {
			opened = fingerprintsOf(rows)
		}
		if opened[r.former] {
			s.former, s.late = r.former, true
			l.standings[r.fingerprint], l.heirs = s, true
		}
	}
	if opened != nil {
		slices.SortStableFunc(rows, func(a, b row) int { return l.lateness(a) - l.lateness(b) })
	}
}

// lateness is 1 for a row that is late and 0 for others.
func (l *look) lateness(r row) int {
	if l.of(r.fingerprint).late {
		return 1
	}
	return 0
}

func fingerprintsOf(rows []row) map[uuid.UUID]bool {
	all := make(map[uuid.UUID]bool)
	for i := range rows {
		all[rows[i].fingerprint] = true
	}
	return all
}

// formersOf returns the former fingerprints of rows that are not among fingerprints, which are sorted.
func formersOf(rows []row, fingerprints []uuid.UUID) []uuid.UUID {
	var formers []uuid.UUID
	for i := range rows {
		if f := rows[i].former; f != uuid.Nil {
			formers = append(formers, f)
		}
	}
	return slices.DeleteFunc(distinct(formers), func(f uuid.UUID) bool {
		_, found := slices.BinarySearchFunc(fingerprints, f, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
		return found
	})
}

// discard leaves r out. Its fingerprint is bound to the discarded issue all the same: Ingest then recognises it, and
// so does the next version of grouping.
func (c *choice) discard(r *row, found *look) {
	c.n.filtered++
	if former := found.of(r.fingerprint).former; former != uuid.Nil {
		c.unwanted = append(c.unwanted, heir{r.fingerprint, former})
	}
}

// statements returns what there is to do about rows that are left out.
func (c *choice) statements(project uuid.UUID) []string {
	if len(c.unwanted) == 0 {
		return nil
	}
	return []string{bindSQL(project, distinctHeirs(c.unwanted))}
}

// parts returns rows as they are counted, one after the other: those that are not late, and those that are.
func (l look) parts(rows []row) [][]row {
	if !l.heirs || len(rows) == 0 || !l.of(rows[len(rows)-1].fingerprint).late {
		return [][]row{rows}
	}
	n := slices.IndexFunc(rows, func(r row) bool { return l.of(r.fingerprint).late })
	if n == 0 {
		return [][]row{rows}
	}
	return [][]row{rows[:n], rows[n:]}
}

// heirsOf returns the fingerprints of rows that get the issue of another, sorted, each once.
func (l look) heirsOf(rows []row) []heir {
	if !l.heirs {
		return nil
	}
	var found []heir
	for i := range rows {
		f := rows[i].fingerprint
		if s := l.of(f); s.former != uuid.Nil {
			found = append(found, heir{f, s.former})
		}
	}
	return distinctHeirs(found)
}

func distinctHeirs(heirs []heir) []heir {
	slices.SortFunc(heirs, func(a, b heir) int { return bytes.Compare(a.fingerprint[:], b.fingerprint[:]) })
	return slices.Compact(heirs)
}

// bindSQL returns the statement that binds heirs. One whose former fingerprint has no issue after all, since the
// database refused the event that was to open it, stays without, and so opens its own.
func bindSQL(project uuid.UUID, heirs []heir) string {
	fingerprints, formers := make([]uuid.UUID, len(heirs)), make([]uuid.UUID, len(heirs))
	for i, h := range heirs {
		fingerprints[i], formers[i] = h.fingerprint, h.former
	}
	return strings.NewReplacer("$project", project.String(), "$fingerprints", commas(fingerprints),
		"$formers", commas(formers), "$grouping", strconv.Itoa(grouping.Version)).Replace(`
insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
select '$project', k.id, f.issue_id, $grouping
from unnest('{$fingerprints}'::uuid[], '{$formers}'::uuid[]) as k (id, former), lateral (
	select f.issue_id from mesher.issue_fingerprints f
	where f.project_id = '$project' and f.fingerprint = k.former limit 1) f
order by k.id
on conflict (project_id, fingerprint) do nothing`)
}
