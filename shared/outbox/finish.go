package outbox

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Try is one attempt to deliver, for the log of deliveries.
type Try struct {
	Attempt    int
	StartedAt  time.Time
	Took       time.Duration
	HTTPStatus int // 0: there was no answer, or it went by mail
}

// End is what came of a claimed notification.
type End struct {
	Status   Status // Pending: it is tried again at Again
	Reason   string // must hold no secret; cut to 500 characters
	Again    time.Time
	Combined bool // it said that its alert fired and that it is resolved
	Try      *Try // nil: nothing was tried
}

// Finish says what became of a notification for good, and why. The reason is cut to 500 characters; it must hold no
// secret. One that is finished already stays as it is.
func Finish(ctx context.Context, db DB, id uuid.UUID, status Status, reason string) error {
	return Settle(ctx, db, Delivery{ID: id}, End{Status: status, Reason: reason})
}

// PutOff gives a claimed notification back, to be delivered at a later time. The reason is as for Finish.
func PutOff(ctx context.Context, db DB, d Delivery, until time.Time, reason string) error {
	return Settle(ctx, db, d, End{Status: Pending, Reason: reason, Again: until})
}

// Settle notes what came of a delivery, and the try in the log. Whoever lost the claim, because it took too long, puts nothing
// off any more: somebody else delivers it by now.
func Settle(ctx context.Context, db DB, d Delivery, e End) error {
	outcome, try := e.outcome(), Try{}
	if e.Try != nil {
		try = *e.Try
	}
	_, err := db.Exec(ctx, `
		with logged as (
			insert into mesher.notification_attempts (notification_id, attempt, started_at, took_ms, outcome, http_status, error)
			select $1::uuid, $7::integer, $8::timestamptz, $9::integer, $10::text, nullif($11::integer, 0), nullif($3::text, '')
			where $10::text <> ''
			on conflict (notification_id, attempt) do nothing)
		update mesher.notifications set status = $2::text, last_error = nullif($3::text, ''), claimed_until = null,
			not_before = case when $2::text = 'pending' then $4::timestamptz else not_before end,
			finished_at = case when $2::text = 'pending' then null else $5::timestamptz end,
			combined = combined or $12::boolean
		where id = $1::uuid and status = 'pending' and ($2::text <> 'pending' or attempts = $6::integer)`,
		d.ID, string(e.Status), cut(e.Reason), postgres.TimeOrNull(e.Again), clock.Of(ctx)(), d.Attempt,
		try.Attempt, try.StartedAt, try.Took.Milliseconds(), outcome, try.HTTPStatus, e.Combined)
	if err != nil {
		return fmt.Errorf("note what became of a notification: %w", err)
	}
	return nil
}

// outcome is what the log calls the end of a try; empty: there was none.
func (e End) outcome() string {
	switch {
	case e.Try == nil:
		return ""
	case e.Status == Sent:
		return "delivered"
	case e.Status == Pending:
		return "retried"
	}
	return "failed"
}

// Delay has a notification that nobody has claimed published at a later time only.
func Delay(ctx context.Context, db DB, id uuid.UUID, until time.Time) error {
	_, err := db.Exec(ctx, `
		update mesher.notifications set not_before = $2::timestamptz
		where id = $1::uuid and status = 'pending' and (claimed_until is null or claimed_until < now())`, id, until)
	if err != nil {
		return fmt.Errorf("delay a notification: %w", err)
	}
	return nil
}

// cut makes a reason one that Postgres takes.
func cut(reason string) string {
	text := []rune(strings.ReplaceAll(strings.ToValidUTF8(reason, "�"), "\x00", ""))
	return string(text[:min(len(text), reasonMost)])
}
