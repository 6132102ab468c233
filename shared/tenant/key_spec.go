package tenant

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/label"
)

const (
	labelMost       = 100 // characters
	environmentMost = 64  // characters, as in an event
)

// KeySpec is what somebody asks for who wants a key.
type KeySpec struct {
	Label       string
	Environment string        // given to events that name none; may be empty
	Lifetime    time.Duration // 0: the key does not expire
	RateLimit   int           // events a minute with it; 0: only the project's limit holds
}

func (s KeySpec) check() error {
	if err := label.Check("label", s.Label, 1, labelMost); err != nil {
		return err
	}
	if err := label.Check("environment", s.Environment, 0, environmentMost); err != nil {
		return err
	}
	if err := checkRateLimit(s.RateLimit); err != nil {
		return err
	}
	if s.Lifetime < 0 || s.Lifetime > spanMost {
		return fault.New(fault.Invalid, "a key may live for %d days at most", spanMost/day)
	}
	return nil
}

// IssueKey makes a key for a project. The second result is the key itself, which is stored nowhere: it can be
// shown now and never again. One more than the 100 that a project may have that are good is a fault.Conflict (code
// "too_many_keys").
func IssueKey(ctx context.Context, db DB, project uuid.UUID, spec KeySpec) (Key, string, error) {
	if err := spec.check(); err != nil {
		return Key{}, "", err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Key{}, "", fmt.Errorf("make a key id: %w", err)
	}
	return issueKey(ctx, db, project, id, spec)
}

func issueKey(ctx context.Context, db DB, project, id uuid.UUID, spec KeySpec) (Key, string, error) {
	if err := roomForKey(ctx, db, project); err != nil {
		return Key{}, "", fmt.Errorf("create an API key: %w", err)
	}
	secret := NewKey()
	hash, err := HashKey(secret)
	if err != nil {
		return Key{}, "", err
	}
	prefix, lastFour, err := KeyParts(secret)
	if err != nil {
		return Key{}, "", err
	}
	_, err = db.Exec(ctx, `
		insert into mesher.api_keys (id, project_id, hash, prefix, last_four, label, environment, created_at, expires_at,
			rate_limit)
		values ($1, $2, $3, $4, $5, $6, nullif($7::text, ''), statement_timestamp(),
		        case when $8::bigint > 0 then statement_timestamp() + $8::bigint * interval '1 microsecond' end, nullif($9::integer, 0))`,
		id, project, hash[:], prefix, lastFour, spec.Label, spec.Environment, spec.Lifetime.Microseconds(), spec.RateLimit)
	if violates(err, "api_keys_project_id_fkey") {
		return Key{}, "", errNoProject(project)
	}
	if err != nil {
		return Key{}, "", fmt.Errorf("create an API key: %w", err)
	}
	k, err := findKey(ctx, db, project, id)
	return k, secret, err
}
