package tenant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
)

// Rotation is a key that was replaced, and its successor.
type Rotation struct {
	Old, New Key
	Secret   string // the new key itself, to be shown once
}

// RotateKey gives a project's key a successor with the same label, environment, rate limit and lifetime, and lets the old
// one live on for overlap, or until it expires if that is sooner. Both happen or neither.
//
// A key has one successor at most, so of two who rotate it at the same time one gets the successor's key and the
// other, like everybody later, a fault.Conflict that names the successor; rotating that one is how to go on when
// its key was not kept. A revoked or expired key is a fault.Conflict too, a key that is not the project's a
// fault.NotFound.
func RotateKey(ctx context.Context, db Beginner, project, id uuid.UUID, overlap time.Duration) (Rotation, error) {
	if overlap < 0 || overlap > spanMost {
		return Rotation{}, fault.New(fault.Invalid, "a key that is replaced may live on for %d days at most", spanMost/day)
	}
	var r Rotation
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		old, err := lockKey(ctx, tx, project, id)
		if err != nil {
			return err
		}
		if err := mayRotate(ctx, tx, old); err != nil {
			return err
		}
		spec := KeySpec{Label: old.Label, Environment: old.Environment, RateLimit: old.RateLimit}
		if !old.ExpiresAt.IsZero() {
			spec.Lifetime = old.ExpiresAt.Sub(old.CreatedAt)
		}
		if r.New, r.Secret, err = issueKey(ctx, tx, project, successorID(id), spec); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			update mesher.api_keys set expires_at = least(expires_at, statement_timestamp() + $3::bigint * interval '1 microsecond')
			where project_id = $1 and id = $2`, project, id, overlap.Microseconds()); err != nil {
			return fmt.Errorf("let the old key expire: %w", err)
		}
		r.Old, err = findKey(ctx, tx, project, id)
		return err
	})
	if err != nil {
		return Rotation{}, fmt.Errorf("rotate an API key: %w", err)
	}
	return r, nil
}

// RevokeKey makes a project's key worthless from now on and reports whether it was not before; a key that is
// revoked already keeps the time it was revoked at. Instances that know the key take it until they look it up
// again.
func RevokeKey(ctx context.Context, db DB, project, id uuid.UUID) (k Key, changed bool, err error) {
	// The clock, not the time of the statement: it may have waited for another who revokes the same key.
	tag, err := db.Exec(ctx, `
		update mesher.api_keys set revoked_at = clock_timestamp()
		where project_id = $1 and id = $2 and (revoked_at is null or revoked_at > clock_timestamp())`, project, id)
	if err == nil {
		k, err = findKey(ctx, db, project, id)
	}
	if err != nil {
		return Key{}, false, fmt.Errorf("revoke an API key: %w", err)
	}
	return k, tag.RowsAffected() > 0, nil
}

// lockKey returns a project's key as it stands when nobody else can change it any more.
func lockKey(ctx context.Context, tx pgx.Tx, project, id uuid.UUID) (Key, error) {
	var found bool
	err := tx.QueryRow(ctx, `
		select true from mesher.api_keys where project_id = $1 and id = $2 for no key update`, project, id).Scan(&found)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Key{}, fmt.Errorf("lock it: %w", err)
	}
	// Read again: the statement before may have waited, and saw what was there when it began.
	return findKey(ctx, tx, project, id)
}

func mayRotate(ctx context.Context, tx pgx.Tx, k Key) error {
	next, err := findKey(ctx, tx, k.ProjectID, successorID(k.ID))
	switch {
	case err == nil:
		return fault.New(fault.Conflict, "%s was rotated already, %s UTC: its successor is %s (%s, %s); rotate that one to get a key again",
			k.Name(), next.CreatedAt.UTC().Format(time.DateTime), next.Name(), next.ID, next.State)
	case !fault.Is(err, fault.NotFound):
		return err
	case k.State != KeyActive:
		return fault.New(fault.Conflict, "%s is %s; create a new key instead", k.Name(), k.State)
	}
	return nil
}

// successorID returns the id of the key that replaces the one with the given id. It follows from that, and so
// the primary key sees to it that there is one successor at most.
func successorID(id uuid.UUID) uuid.UUID { return uuid.NewSHA1(id, []byte("successor")) }
