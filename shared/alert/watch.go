package alert

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
)

// Watch is what Store needs of a rule.
type Watch struct {
	ID        uuid.UUID
	Kind      Kind
	Condition Condition
	Filter    Filter
	Crowded   bool // no more users are to be kept for it
}

// WatchesSQL is an expression that gives the rules of a project, as JSON that ReadWatches reads, or null where there are none.
// The project's id takes the place of $project.
const WatchesSQL = `(
	select json_agg(json_build_array(r.id, r.kind, r.condition, r.filter, r.crowded) order by r.id)::text
	from mesher.alert_rules r
	where r.project_id = '$project' and r.enabled
	  and r.kind in ('new_issue', 'regression', 'event_count', 'user_count', 'release_error_rate'))`

// ReadWatches reads what WatchesSQL gave.
func ReadWatches(text []byte) ([]Watch, error) {
	var rows [][]json.RawMessage
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("read alert rules: %w", err)
	}
	all := make([]Watch, len(rows))
	for i, row := range rows {
		w := &all[i]
		fields := []any{&w.ID, &w.Kind, &w.Condition, &w.Filter, &w.Crowded}
		if len(row) != len(fields) {
			return nil, fmt.Errorf("read alert rules: %d fields instead of %d", len(row), len(fields))
		}
		for n, f := range fields {
			if err := json.Unmarshal(row[n], f); err != nil {
				return nil, fmt.Errorf("read an alert rule: %w", err)
			}
		}
	}
	return all, nil
}

// ReleaseSubject returns what stands for a release as the subject of alerts. SQL: the first 16 bytes of sha256 of the text.
func ReleaseSubject(version string) uuid.UUID {
	sum := sha256.Sum256([]byte(version))
	return uuid.UUID(sum[:16])
}
