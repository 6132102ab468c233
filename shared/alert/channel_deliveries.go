package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Tests of a channel within a minute.
const (
	channelTestsMost = 5
	channelTestsSpan = time.Minute
)

// ChannelDelivery is a notification of a channel and what became of it.
type ChannelDelivery struct {
	ID         uuid.UUID        `json:"id" format:"uuid" doc:"stays the same over all tries; webhooks see it as Mesher-Delivery"`
	Template   outbox.Template  `json:"template" enum:"alert,digest,budget,test"`
	Event      string           `json:"event,omitempty" enum:"fired,resolved" doc:"what happened to the alert"`
	Status     outbox.Status    `json:"status" enum:"pending,sent,skipped,failed,folded" doc:"folded: it is told by the digest of digest_id"`
	Recipient  string           `json:"recipient" doc:"the address of a mail, else the name of the channel"`
	AlertID    uuid.UUID        `json:"alert_id,omitzero" format:"uuid"`
	RuleID     uuid.UUID        `json:"rule_id,omitzero" format:"uuid"`
	DigestID   uuid.UUID        `json:"digest_id,omitzero" format:"uuid"`
	ParentID   uuid.UUID        `json:"parent_id,omitzero" format:"uuid" doc:"of a mail: the delivery that was sent as mails"`
	Folded     int              `json:"folded,omitempty" doc:"of a digest: how many deliveries were folded into it"`
	Reason     string           `json:"reason,omitempty" doc:"why it is not sent, or not yet"`
	CreatedAt  time.Time        `json:"created_at"`
	NextTryAt  time.Time        `json:"next_try_at,omitzero" doc:"while it is pending: not tried before"`
	FinishedAt time.Time        `json:"finished_at,omitzero"`
	Tries      int              `json:"tries" doc:"how often its delivery was begun"`
	Log        []ChannelAttempt `json:"log" nullable:"false" doc:"the last 10 tries that had an end, the newest first"`
}

// ChannelAttempt is one try to deliver a notification.
type ChannelAttempt struct {
	Attempt    int       `json:"attempt"`
	StartedAt  time.Time `json:"started_at"`
	TookMS     int       `json:"took_ms"`
	Outcome    string    `json:"outcome" enum:"delivered,retried,failed"`
	HTTPStatus int       `json:"http_status,omitempty"`
	Error      string    `json:"error,omitempty"`
}

const deliveryColumns = `n.id, n.template, coalesce(n.event, ''), n.status, n.recipient, n.alert_id, n.rule_id, n.digest_id, n.parent_id,
	case when n.template = 'digest' and n.event = 'fired'
		then (select count(*) from mesher.notifications f where f.digest_id = n.id and f.template = 'alert') else 0 end,
	coalesce(n.last_error, ''), n.created_at, case when n.status = 'pending' then n.not_before end, n.finished_at, n.attempts,
	coalesce((
		select json_agg(json_build_object('attempt', a.attempt, 'started_at', a.started_at, 'took_ms', a.took_ms,
			'outcome', a.outcome, 'http_status', a.http_status, 'error', a.error) order by a.attempt desc)
		from (
			select * from mesher.notification_attempts t where t.notification_id = n.id order by t.attempt desc limit 10) a), '[]')::text`

func scanDelivery(row pgx.CollectableRow) (ChannelDelivery, error) {
	var d ChannelDelivery
	var alert, rule, digest, parent *uuid.UUID
	var log string
	err := row.Scan(&d.ID, &d.Template, &d.Event, &d.Status, &d.Recipient, &alert, &rule, &digest, &parent, &d.Folded, &d.Reason,
		(*postgres.Time)(&d.CreatedAt), (*postgres.Time)(&d.NextTryAt), (*postgres.Time)(&d.FinishedAt), &d.Tries, &log)
	if err != nil {
		return d, err
	}
	for into, from := range map[*uuid.UUID]*uuid.UUID{&d.AlertID: alert, &d.RuleID: rule, &d.DigestID: digest, &d.ParentID: parent} {
		if from != nil {
			*into = *from
		}
	}
	return d, json.Unmarshal([]byte(log), &d.Log)
}

// ListDeliveries returns the deliveries of a channel, the newest first; with a status only those.
func ListDeliveries(ctx context.Context, db DB, channel uuid.UUID, status outbox.Status, r page.Request) (page.Of[ChannelDelivery], error) {
	at, id := r.After.Args()
	rows, err := db.Query(ctx, `
		select `+deliveryColumns+` from mesher.notifications n
		where n.channel_id = $4::uuid and ($5::text = '' or n.status = $5::text)
		  and ($1::timestamptz is null or (n.created_at, n.id) < ($1::timestamptz, $2::uuid))
		order by n.created_at desc, n.id desc limit $3::bigint`, at, id, r.Limit+1, channel, string(status))
	if err != nil {
		return page.Of[ChannelDelivery]{}, fmt.Errorf("list deliveries: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanDelivery)
	if err != nil {
		return page.Of[ChannelDelivery]{}, fmt.Errorf("list deliveries: %w", err)
	}
	return page.Cut(r, found, func(d ChannelDelivery) page.Mark { return page.Mark{At: d.CreatedAt, ID: d.ID} }), nil
}

// FindDelivery returns a delivery of a channel.
func FindDelivery(ctx context.Context, db DB, channel, id uuid.UUID) (ChannelDelivery, error) {
	rows, err := db.Query(ctx, `
		select `+deliveryColumns+` from mesher.notifications n where n.id = $2::uuid and n.channel_id = $1::uuid`, channel, id)
	if err != nil {
		return ChannelDelivery{}, fmt.Errorf("find a delivery: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, scanDelivery)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ChannelDelivery{}, fault.New(fault.NotFound, "the channel has no delivery with the id %s", id)
	case err != nil:
		return ChannelDelivery{}, fmt.Errorf("find a delivery: %w", err)
	}
	return d, nil
}

// TestChannel writes a notification that tests a channel of an organization, to be published when the transaction is
// committed. It is sent as any other, also by a channel that is switched off. More than five a minute are a fault.Limited.
func TestChannel(ctx context.Context, tx postgres.Tx, organization, id uuid.UUID) (ChannelDelivery, error) {
	now := clock.Of(ctx)()
	var count int
	var oldest time.Time
	var name, kind string
	err := tx.QueryRow(ctx, `
		select name, kind from mesher.alert_channels where id = $1::uuid and organization_id = $2::uuid for no key update`,
		id, organization).Scan(&name, &kind)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ChannelDelivery{}, errNoChannel(id)
	case err != nil:
		return ChannelDelivery{}, fmt.Errorf("lock a channel: %w", err)
	}
	err = tx.QueryRow(ctx, `
		select count(*), min(created_at) from mesher.notifications
		where channel_id = $1::uuid and template = 'test' and parent_id is null and created_at > $2::timestamptz`,
		id, now.Add(-channelTestsSpan)).Scan(&count, (*postgres.Time)(&oldest))
	switch {
	case err != nil:
		return ChannelDelivery{}, fmt.Errorf("count tests: %w", err)
	case count >= channelTestsMost:
		return ChannelDelivery{}, fault.New(fault.Limited, "a channel is tested at most %d times a minute", channelTestsMost).
			After(oldest.Add(channelTestsSpan).Sub(now))
	}
	test, err := uuid.NewV7()
	if err != nil {
		return ChannelDelivery{}, fmt.Errorf("make the id of a test: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		insert into mesher.notifications (id, organization_id, channel, template, recipient, channel_id, created_at)
		values ($1::uuid, $2::uuid, $3::text, 'test', $4::text, $5::uuid, $6::timestamptz)`,
		test, organization, kind, name, id, now); err != nil {
		return ChannelDelivery{}, fmt.Errorf("write a test: %w", err)
	}
	return FindDelivery(ctx, tx, id, test)
}
