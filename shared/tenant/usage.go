package tenant

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

// Usage counts what happened to a project's events before they reached Store: each is counted once. Store itself counts
// what it stored, found twice, found too old or could not store.
type Usage struct {
	Accepted    int64 `json:"accepted"`     // published; the client was told so
	Rejected    int64 `json:"rejected"`     // invalid; the client was told why
	Dropped     int64 `json:"dropped"`      // valid, but answered 503: the buffer was full or the queue was away
	RateLimited int64 `json:"rate_limited"` // more in a minute than the project or key may send
	OverQuota   int64 `json:"over_quota"`   // more in a month than the project or organization may send
	Filtered    int64 `json:"filtered"`     // sampled out, or of a discarded issue; the client was told that it is accepted
}

// Add adds n to u.
func (u *Usage) Add(n Usage) {
	u.Accepted += n.Accepted
	u.Rejected += n.Rejected
	u.Dropped += n.Dropped
	u.RateLimited += n.RateLimited
	u.OverQuota += n.OverQuota
	u.Filtered += n.Filtered
}

// UsageReport is what an instance of Ingest reports: counts since the last report that succeeded, and what it asks for.
type UsageReport struct {
	Instance uuid.UUID               `json:"instance"`
	At       time.Time               `json:"at"` // its clock, by which minutes and months begin
	Minutes  []MinuteUsage           `json:"minutes"`
	Items    []ItemUsage             `json:"items"`
	Keys     map[uuid.UUID]time.Time `json:"keys"` // when each was used last
	Claims   []Claim                 `json:"claims"`
	Budgets  []uuid.UUID             `json:"budgets"` // projects whose month is asked for
}

// MinuteUsage is what happened to a project's events in the minute that At is in.
type MinuteUsage struct {
	Project uuid.UUID `json:"project"`
	At      time.Time `json:"at"`
	Usage
}

// ItemUsage is how much of a type a project sent besides events in the hour that At is in.
type ItemUsage struct {
	Project uuid.UUID `json:"project"`
	At      time.Time `json:"at"`
	Type    string    `json:"type"` // at most 64 characters
	Items   int64     `json:"items"`
}

// Claim is what an instance knows of a rate limit, and asks for its share of.
type Claim struct {
	Subject  uuid.UUID `json:"subject"`  // a project, an API key or an organization
	Limit    int64     `json:"limit"`    // events a minute; 0: only the share is asked for
	Accepted int64     `json:"accepted"` // in this minute by this instance, counting events that are being published
	Demand   float64   `json:"demand"`   // events a second that the instance is sent, whatever becomes of them
}

// UsageState is what all instances together have accepted, as far as they have reported it.
type UsageState struct {
	Shares map[uuid.UUID]Share      // by subject of the Claim
	Months map[uuid.UUID]MonthUsage // by project of Budgets; a project that is gone is missing
}

// Share is how much of a limit an instance may use until it reports again.
type Share struct {
	Most int64   // events of this minute that the instance may accept, counting those that it has accepted
	Part float64 // of what is left, above 0 to 1; the parts of all instances together are 1
	Room int64   // what was left of the limit for Part to be taken of
}

// MonthUsage is how many events were accepted since the month began (UTC).
type MonthUsage struct {
	Month        time.Time // its first day
	Project      int64
	Organization int64 // 0 when it has no budget
}

// ReportUsage adds a report to the counts, notes the use of keys, and returns the state of limits and budgets, in one
// statement. Rows are touched in the order of their ids, so that instances that report at the same time cannot block each
// other for good. A report whose outcome is not known may be counted twice when it is sent again, but for its claims.
func ReportUsage(ctx context.Context, db DB, report UsageReport) (UsageState, error) {
	body, err := json.Marshal(report)
	if err != nil {
		return UsageState{}, fmt.Errorf("encode the usage report: %w", err)
	}
	rows, err := db.Query(ctx, reportUsage, string(body))
	if err != nil {
		return UsageState{}, fmt.Errorf("report usage: %w", err)
	}
	told, err := pgx.CollectRows(rows, scanTold)
	if err != nil {
		return UsageState{}, fmt.Errorf("report usage: %w", err)
	}
	state := UsageState{Shares: map[uuid.UUID]Share{}, Months: map[uuid.UUID]MonthUsage{}}
	for _, t := range told {
		if t.month.Month.IsZero() {
			state.Shares[t.id] = t.share
		} else {
			state.Months[t.id] = t.month
		}
	}
	return state, nil
}

// told is a row of reportUsage: a share, or else a month.
type told struct {
	id    uuid.UUID
	share Share
	month MonthUsage
}

func scanTold(row pgx.CollectableRow) (told, error) {
	var t told
	err := row.Scan(&t.id, &t.share.Most, &t.share.Part, &t.share.Room, (*postgres.Time)(&t.month.Month), &t.month.Project, &t.month.Organization)
	return t, err
}
