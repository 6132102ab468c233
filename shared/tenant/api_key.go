package tenant

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// DB is what a query needs: a pool, a connection or a transaction.
type DB = postgres.DB

// Access is what an API key opens: the project whose events may be written, and what the project wants done with them.
type Access struct {
	KeyID          uuid.UUID
	ProjectID      uuid.UUID
	ProjectNumber  int64
	OrganizationID uuid.UUID
	// Environment is given to events that name none; it may be empty.
	Environment string
	ExpiresAt   time.Time // zero when the key does not expire

	AllowedOrigins     []string // from which pages browsers may send events; none: from all
	SampleRate         float64  // the share of events that is kept, above 0 to 1
	KeyRateLimit       int64    // events a minute with this key; 0: no limit
	RateLimit          int64    // events a minute of the project; 0: no limit
	MonthlyBudget      int64    // events a calendar month (UTC) of the project; 0: no budget
	OrganizationBudget int64    // the same of all of the organization's projects
	OTLPSeverity       int      // the least severity with which a log record is an event; 25: none has it
	GroupingRules      []byte   // JSON, a list of grouping.Rule
	ScrubRules         []byte   // JSON, scrub.Rules
	SettingsAt         time.Time
	// Used is how much of the budgets was used when the key was looked up. Without any budget it is zero.
	Used MonthUsage
	// Discarded are fingerprints of discarded issues, sorted; of a project that has more, those of the newest issues.
	Discarded []uuid.UUID
}

// discardedMost is how many fingerprints of discarded issues are looked up with a key. Store leaves out events of the others.
const discardedMost = 1000

// FindAccess returns what the key with this hash opens. A key that is unknown, revoked, expired, or of a
// project that takes no events is fault.Unauthenticated or fault.Forbidden with the reason.
func FindAccess(ctx context.Context, db DB, hash KeyHash) (Access, error) {
	found, err := FindAccesses(ctx, db, []KeyHash{hash})
	if err != nil {
		return Access{}, err
	}
	return found[0].Access, found[0].Err
}

// Finding is what FindAccesses found for one key: an Access, or the error that FindAccess returns.
type Finding struct {
	Access Access
	Err    error
}

// judge says whether a key that exists opens what it is for.
func judge(a Access, revoked, expired bool, status string) Finding {
	switch {
	case revoked:
		return Finding{Err: fault.New(fault.Unauthenticated, "the API key is revoked; use a current key of the project")}
	case expired:
		return Finding{Err: fault.New(fault.Unauthenticated, "the API key has expired; use a current key of the project")}
	case status != "active":
		return Finding{Err: fault.New(fault.Forbidden, "the project is not active and takes no events")}
	}
	return Finding{Access: a}
}

func errUnknownKey() error {
	return fault.New(fault.Unauthenticated, "the API key is unknown; it may be of another installation, or deleted")
}

// CreateKey stores key for the project and returns its id. Only the hash and the parts people recognise it
// by are written.
func CreateKey(ctx context.Context, db DB, projectID uuid.UUID, label, key string) (uuid.UUID, error) {
	hash, err := HashKey(key)
	if err != nil {
		return uuid.Nil, err
	}
	prefix, lastFour, err := KeyParts(key)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make a key id: %w", err)
	}
	if _, err := db.Exec(ctx, `
		insert into mesher.api_keys (id, project_id, hash, prefix, last_four, label, created_at)
		values ($1, $2, $3, $4, $5, $6, now())`, id, projectID, hash[:], prefix, lastFour, label); err != nil {
		return uuid.Nil, fmt.Errorf("create an API key: %w", err)
	}
	return id, nil
}
