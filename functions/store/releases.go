package store

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// release is one that is not known to be in the table, and when an event of it was first received.
type release struct {
	Version string    `json:"version"`
	First   time.Time `json:"first_seen"`
	hash    uint64
}

// pickReleases returns the releases of rows that are not known to be written, sorted.
func (m *memory) pickReleases(project uuid.UUID, rows []row) []release {
	first := make(map[string]time.Time)
	for i := range rows {
		r := &rows[i]
		if r.release == "" {
			continue
		}
		if at, ok := first[r.release]; !ok || r.receivedAt.Before(at) {
			first[r.release] = r.receivedAt
		}
	}
	var (
		picked []release
		of     = m.hashID(project)
	)
	m.mu.Lock()
	defer m.mu.Unlock()
	for version, at := range first {
		hash := join(of, m.hashText(version))
		if _, ok := m.releases.get(hash); !ok {
			picked = append(picked, release{version, at, hash})
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
insert into mesher.releases (project_id, version, first_seen)
select '%s', version, first_seen
from json_to_recordset(convert_from(decode('%s', 'hex'), 'utf8')::json) as r(version text, first_seen timestamptz)
order by version
on conflict do nothing`, project, text), nil
}
