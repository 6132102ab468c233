package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Status is what becomes of a notification.
type Status string

// The statuses. A notification that is skipped had become pointless; one that failed can never be delivered.
const (
	Pending Status = "pending"
	Sent    Status = "sent"
	Skipped Status = "skipped"
	Failed  Status = "failed"
)

// claimTime is how long a claim holds when whoever has it dies. A delivery has to be over well before.
const claimTime = 2 * time.Minute

// reasonMost is the length in characters to which a reason is cut.
const reasonMost = 500

// Delivery is a notification that somebody has claimed.
type Delivery struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID // uuid.Nil when it is about none
	Template       Template
	Recipient      string
	Data           json.RawMessage // what Notification.Data was
	CreatedAt      time.Time
	Attempt        int // counts from 1
}

// Outcome is what came of a claim.
type Outcome uint8

// The outcomes.
const (
	Over    Outcome = iota // the notification is finished, or there is none: nothing is to be done
	Busy                   // somebody else delivers it at this moment
	Claimed                // it is the caller's to deliver, for two minutes, and to Finish or Release
)

// Claim takes a notification to deliver it. Of many who claim one at once, one gets it.
func Claim(ctx context.Context, db DB, id uuid.UUID) (Delivery, Outcome, error) {
	var (
		d            = Delivery{ID: id}
		organization *uuid.UUID
		data         string
	)
	err := db.QueryRow(ctx, `
		update mesher.notifications
		set attempts = attempts + 1, claimed_until = now() + $2::bigint * interval '1 microsecond'
		where id = $1::uuid and status = 'pending' and (claimed_until is null or claimed_until < now())
		returning organization_id, template, recipient, data::text, created_at, attempts`,
		id, claimTime.Microseconds()).
		Scan(&organization, &d.Template, &d.Recipient, &data, &d.CreatedAt, &d.Attempt)
	if errors.Is(err, pgx.ErrNoRows) {
		outcome, err := unclaimed(ctx, db, id)
		return Delivery{}, outcome, err
	}
	if err != nil {
		return Delivery{}, Over, fmt.Errorf("claim a notification: %w", err)
	}
	if organization != nil {
		d.OrganizationID = *organization
	}
	d.Data = json.RawMessage(data)
	return d, Claimed, nil
}

// unclaimed returns why there is nothing to claim.
func unclaimed(ctx context.Context, db DB, id uuid.UUID) (Outcome, error) {
	var status Status
	err := db.QueryRow(ctx, `select status from mesher.notifications where id = $1::uuid`, id).Scan(&status)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Over, nil
	case err != nil:
		return Over, fmt.Errorf("look why a notification cannot be claimed: %w", err)
	case status == Pending:
		return Busy, nil
	}
	return Over, nil
}

// Finish says what became of a notification for good, and why. The reason is cut to 500 characters; it must hold no
// secret. One that is finished already stays as it is.
func Finish(ctx context.Context, db DB, id uuid.UUID, status Status, reason string) error {
	_, err := db.Exec(ctx, `
		update mesher.notifications
		set status = $2, last_error = nullif($3, ''), claimed_until = null, finished_at = now()
		where id = $1::uuid and status = 'pending'`, id, string(status), cut(reason))
	if err != nil {
		return fmt.Errorf("finish a notification: %w", err)
	}
	return nil
}

// Release gives a claimed notification back, so that its next delivery can begin at once. The reason is as for Finish.
func Release(ctx context.Context, db DB, id uuid.UUID, reason string) error {
	_, err := db.Exec(ctx, `
		update mesher.notifications set last_error = nullif($2, ''), claimed_until = null
		where id = $1::uuid and status = 'pending'`, id, cut(reason))
	if err != nil {
		return fmt.Errorf("release a notification: %w", err)
	}
	return nil
}

// cut makes a reason one that Postgres takes.
func cut(reason string) string {
	text := []rune(strings.ReplaceAll(strings.ToValidUTF8(reason, "�"), "\x00", ""))
	return string(text[:min(len(text), reasonMost)])
}
