package store

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// release is one that is not known to be in the table as seen on its last day, and when events of it were received.
type release struct {
	Version string    `json:"version"`
	First   time.Time `json:"first_seen"`
	Last    time.Time `json:"last_seen"`
	hash    uint64
}

// dayNumber is whole days since the epoch.
func dayNumber(t time.Time) int64 { return t.Unix() / int64(day/time.Second) }

// pickReleases returns the releases of rows that are not known to be written for their day, sorted.
func (m *memory) pickReleases(project uuid.UUID, rows []row) []release {
	seen := make(map[string]release)
	for i := range rows {
		r := &rows[i]
		if r.release == "" {
			continue
		}
		one, ok := seen[r.release]
		if !ok || r.receivedAt.Before(one.First) {
			one.First = r.receivedAt
		}
		if r.receivedAt.After(one.Last) {
			one.Last = r.receivedAt
		}
		seen[r.release] = one
	}
	var (
		picked []release
		of     = m.hashID(project)
	)
	m.mu.Lock()
	defer m.mu.Unlock()
	for version, one := range seen {
		one.Version, one.hash = version, join(of, m.hashText(version))
		if written, ok := m.releases.get(one.hash); !ok || written < dayNumber(one.Last) {
			picked = append(picked, one)
		}
	}
	slices.SortFunc(picked, func(a, b release) int { return cmp.Compare(a.Version, b.Version) })
	return picked
}

// releasesSQL returns the statement that writes releases. It stands before whatever asks for them.
func releasesSQL(project uuid.UUID, releases []release) (string, error) {
	text, err := hexJSON(releases)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`
insert into mesher.releases as k (project_id, version, first_seen, seen_day)
select '%s', version, first_seen, (last_seen at time zone 'utc')::date
from json_to_recordset(convert_from(decode('%s', 'hex'), 'utf8')::json) as r(
	version text, first_seen timestamptz, last_seen timestamptz)
order by version
on conflict (project_id, version) do update set seen_day = excluded.seen_day where k.seen_day < excluded.seen_day`, project, text), nil
}
