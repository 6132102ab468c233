package store

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
)

// look is what the first round trip of a transaction finds.
type look struct {
	stored    map[uuid.UUID]bool // event ids
	retention time.Duration
	at        time.Time              // when it was looked, by this instance's clock
	standings map[uuid.UUID]standing // of fingerprints, without those that have nothing special
	heirs     bool                   // some of them get the issue of another
	watches   *watches               // the project's alert rules
	unread    error                  // why its alert rules cannot be read, if they cannot
}

// standing is what is special about a fingerprint.
type standing struct {
	unbound   bool // it has no issue yet
	discarded bool // its events are not wanted
	changes   bool // its issue is resolved or ignored, and events may end that
	crowded   bool // it has so many users that no more are kept

	former uuid.UUID // the fingerprint whose issue it gets, if it is unbound; discarded and changes are of that issue
	late   bool      // it gets that only when the other rows of the batch are counted
}

func (l look) of(fingerprint uuid.UUID) standing { return l.standings[fingerprint] }

// standingsSQL returns the query for what is special about fingerprints: by index, each by itself, like event ids.
// Users are counted where an issue has very many and it is not known for this hour. Former fingerprints are among
// them, but are not asked for their users: they get none.
func standingsSQL(project uuid.UUID, rows []row, known *memory) string {
	all := make([]uuid.UUID, len(rows))
	for i := range rows {
		all[i] = rows[i].fingerprint
	}
	all = distinct(all)
	h := newestHour(rows)
	counted := slices.DeleteFunc(slices.Clone(all), func(f uuid.UUID) bool {
		_, ok := known.crowd(f, h)
		return !ok
	})
	if formers := formersOf(rows, all); len(formers) > 0 {
		counted = append(counted, formers...)
		all = distinct(append(all, formers...))
	}
	return strings.NewReplacer("$project", project.String(), "$all", commas(all), "$counted", commas(counted),
		"$most", strconv.Itoa(usersMost)).Replace(`
select k.id, coalesce(i.status, ''), coalesce(i.user_count, 0) >= $most, case
	when i.user_count >= $most and k.id <> all ('{$counted}'::uuid[]) then (
		select count(*) from (
			select from mesher.issue_users u where u.project_id = '$project' and u.fingerprint = k.id limit $most) u)
	end
from unnest('{$all}'::uuid[]) as k (id) left join lateral (
	select i.status, i.user_count from mesher.issue_fingerprints f
	join mesher.issues i on i.project_id = f.project_id and i.id = f.issue_id
	where f.project_id = '$project' and f.fingerprint = k.id limit 1) i on true
where i.status is distinct from 'unresolved' or i.user_count >= $most`)
}

// readStandings reads the answer to standingsSQL.
func readStandings(result *pgconn.Result, rows []row, known *memory) (map[uuid.UUID]standing, error) {
	found := make(map[uuid.UUID]standing, len(result.Rows))
	h := newestHour(rows)
	for _, r := range result.Rows {
		id, err := uuid.ParseBytes(r[0])
		if err != nil {
			return nil, fmt.Errorf("read a fingerprint: %w", err)
		}
		var s standing
		switch string(r[1]) {
		case "":
			s.unbound = true
		case "discarded":
			s.discarded = true
		case "resolved", "ignored":
			s.changes = true
		}
		switch {
		case r[3] != nil:
			users, err := strconv.Atoi(string(r[3]))
			if err != nil {
				return nil, fmt.Errorf("read the number of users: %w", err)
			}
			s.crowded = known.counted(id, h, users)
		case string(r[2]) == "t":
			s.crowded, _ = known.crowd(id, h)
		}
		found[id] = s
	}
	return found, nil
}

func newestHour(rows []row) hour {
	var h hour
	for i := range rows {
		h = max(h, hourOf(rows[i].receivedAt))
	}
	return h
}
