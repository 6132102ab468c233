package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/clock"
)

// Status is what becomes of a notification.
type Status string

// The statuses. A notification that is skipped had become pointless; one that failed can never be delivered; one that is
// folded is told by another one: a digest, or the one that said besides that its alert is resolved.
const (
	Pending Status = "pending"
	Sent    Status = "sent"
	Skipped Status = "skipped"
	Failed  Status = "failed"
	Folded  Status = "folded"
)

// claimTime is how long a claim holds when whoever has it dies. A delivery has to be over well before.
const claimTime = 2 * time.Minute

// slack is by how much a notification may be delivered before its time: the clocks of instances differ.
const slack = 2 * time.Second

// reasonMost is the length in characters to which a reason is cut.
const reasonMost = 500

// Delivery is a notification that somebody has claimed.
type Delivery struct {
	ID             uuid.UUID
	OrganizationID uuid.UUID // uuid.Nil when it is about none
	Template       Template
	Recipient      string          // an address, or the name of the channel
	Data           json.RawMessage // what Notification.Data was
	CreatedAt      time.Time
	Attempt        int // counts from 1

	// What is told of alerts.
	Channel   string // email, or another kind of channel
	ChannelID uuid.UUID
	RuleID    uuid.UUID // uuid.Nil: the notification is about none
	AlertID   uuid.UUID // likewise
	Event     string    // fired or resolved
	DigestID  uuid.UUID // of the digest that it is about; see migration 0019
	ParentID  uuid.UUID // of the notification that it is a mail of, to one address
}

// Outcome is what came of a claim.
type Outcome uint8

// The outcomes.
const (
	Over    Outcome = iota // the notification is finished, or there is none: nothing is to be done
	Busy                   // somebody else delivers it at this moment
	Early                  // its time has not come; whoever sweeps then publishes it
	Claimed                // it is the caller's to deliver, for two minutes, and to Finish or PutOff
)

// Claim takes a notification to deliver it. Of many who claim one at once, one gets it.
func Claim(ctx context.Context, db DB, id uuid.UUID) (Delivery, Outcome, error) {
	d := Delivery{ID: id}
	var organization, channel, rule, alert, digest, parent *uuid.UUID
	var data string
	now := clock.Of(ctx)().Add(slack)
	err := db.QueryRow(ctx, `
		update mesher.notifications
		set attempts = attempts + 1, claimed_until = now() + $2::bigint * interval '1 microsecond'
		where id = $1::uuid and status = 'pending' and (claimed_until is null or claimed_until < now())
			and (not_before is null or not_before <= $3::timestamptz)
		returning organization_id, template, recipient, data::text, created_at, attempts, channel, channel_id, rule_id, alert_id,
			coalesce(event, ''), digest_id, parent_id`,
		id, claimTime.Microseconds(), now).
		Scan(&organization, &d.Template, &d.Recipient, &data, &d.CreatedAt, &d.Attempt, &d.Channel, &channel, &rule, &alert,
			&d.Event, &digest, &parent)
	if errors.Is(err, pgx.ErrNoRows) {
		outcome, err := unclaimed(ctx, db, id, now)
		return Delivery{}, outcome, err
	}
	if err != nil {
		return Delivery{}, Over, fmt.Errorf("claim a notification: %w", err)
	}
	for into, from := range map[*uuid.UUID]*uuid.UUID{
		&d.OrganizationID: organization, &d.ChannelID: channel, &d.RuleID: rule, &d.AlertID: alert, &d.DigestID: digest, &d.ParentID: parent,
	} {
		if from != nil {
			*into = *from
		}
	}
	d.Data = json.RawMessage(data)
	return d, Claimed, nil
}

// unclaimed returns why there is nothing to claim.
func unclaimed(ctx context.Context, db DB, id uuid.UUID, now time.Time) (Outcome, error) {
	var status Status
	var early bool
	err := db.QueryRow(ctx, `
		select status, coalesce(not_before > $2::timestamptz and (claimed_until is null or claimed_until < now()), false)
		from mesher.notifications where id = $1::uuid`, id, now).Scan(&status, &early)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Over, nil
	case err != nil:
		return Over, fmt.Errorf("look why a notification cannot be claimed: %w", err)
	case status == Pending && early:
		return Early, nil
	case status == Pending:
		return Busy, nil
	}
	return Over, nil
}

// Route says where a notification goes, without claiming it.
type Route struct {
	Channel   string    // email, or another kind of channel; empty: there is no such notification
	ChannelID uuid.UUID // uuid.Nil: it is a mail of no channel
	ParentID  uuid.UUID // uuid.Nil: it is no mail to one of a channel's addresses
}

// RouteOf returns where a notification goes.
func RouteOf(ctx context.Context, db DB, id uuid.UUID) (Route, error) {
	var r Route
	var channel, parent *uuid.UUID
	err := db.QueryRow(ctx, `select channel, channel_id, parent_id from mesher.notifications where id = $1::uuid`, id).
		Scan(&r.Channel, &channel, &parent)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Route{}, fmt.Errorf("look where a notification goes: %w", err)
	}
	if channel != nil {
		r.ChannelID = *channel
	}
	if parent != nil {
		r.ParentID = *parent
	}
	return r, nil
}
