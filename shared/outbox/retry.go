package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
)

// Retry lets a notification that failed, or waits, be delivered as if it were written now, and returns what it is and the
// organization that it is about. One that was sent or skipped, or is none, is a fault.NotFound; one that is being
// delivered at this moment a fault.Conflict.
func Retry(ctx context.Context, db DB, id uuid.UUID) (t Template, organization uuid.UUID, err error) {
	var of *uuid.UUID
	err = db.QueryRow(ctx, `
		update mesher.notifications
		set status = 'pending', created_at = $2::timestamptz, swept_at = null, claimed_until = null, finished_at = null, not_before = null
		where id = $1::uuid and status in ('pending', 'failed') and (claimed_until is null or claimed_until < now())
		returning template, organization_id`, id, clock.Of(ctx)()).Scan(&t, &of)
	if errors.Is(err, pgx.ErrNoRows) {
		outcome, err := unclaimed(ctx, db, id, clock.Of(ctx)())
		switch {
		case err != nil:
			return "", uuid.Nil, err
		case outcome == Busy:
			return "", uuid.Nil, fault.New(fault.Conflict, "the notification is being delivered at this moment")
		}
		return "", uuid.Nil, fault.New(fault.NotFound, "no notification %s waits or failed", id)
	}
	if err != nil {
		return "", uuid.Nil, fmt.Errorf("retry a notification: %w", err)
	}
	if of != nil {
		organization = *of
	}
	return t, organization, nil
}
