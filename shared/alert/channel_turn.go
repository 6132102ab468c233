package alert

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
)

// behind is how long the news that an alert is resolved waits for the news that it fired, when that is not told yet.
const behind = 10 * time.Second

// Turn is what is to be done with a claimed notification of a channel.
type Turn struct {
	Deliver  bool
	Combined bool          // it is to say that its alert fired and that it is resolved
	Skip     string        // why there is nothing to tell
	Folded   bool          // another notification tells it; it is finished already
	Wait     time.Duration // how long it has to wait for another one
	Publish  []uuid.UUID   // to hand to outbox.Publish
}

// TakeTurn decides what is to be done with a claimed notification of a channel. That an alert is resolved never overtakes
// that it fired: it waits while that is pending, and when it is resolved before, the one message says both. Then the
// channel's budget is asked.
func TakeTurn(ctx context.Context, db DB, d outbox.Delivery, at time.Time) (Turn, error) {
	decide := func(context.Context, DB, outbox.Delivery, time.Time) (Turn, error) { return Turn{Deliver: true}, nil }
	switch d.Template {
	case outbox.Alert:
		decide = inOrder
	case outbox.Digest:
		decide = digestTurn
	}
	news, err := decide(ctx, db, d, at)
	if err != nil || !news.Deliver {
		return news, err
	}
	t, err := withinBudget(ctx, db, d, at)
	t.Combined = news.Combined
	return t, err
}

// inOrder decides about news of one alert.
func inOrder(ctx context.Context, db DB, d outbox.Delivery, at time.Time) (Turn, error) {
	if d.Event == "fired" {
		var status string
		err := db.QueryRow(ctx, `select status from mesher.alert_events where id = $1::uuid`, d.AlertID).Scan(&status)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return Turn{Skip: "the alert is gone"}, nil
		case err != nil:
			return Turn{}, fmt.Errorf("look whether an alert is resolved: %w", err)
		case status == "resolved" && d.Channel == string(ChannelPagerDuty):
			return Turn{Skip: "the alert was resolved before an incident was opened"}, nil
		}
		return Turn{Deliver: true, Combined: status == "resolved"}, nil
	}
	return afterFired(ctx, db, d, at)
}

// afterFired decides about the news that an alert is resolved.
func afterFired(ctx context.Context, db DB, d outbox.Delivery, at time.Time) (Turn, error) {
	var status outbox.Status
	var combined bool
	err := db.QueryRow(ctx, `
		select f.status, f.combined from mesher.notifications f
		where f.alert_id = $1::uuid and f.channel_id = $2::uuid and f.event = 'fired' and f.template = 'alert'
		  and case when $3::uuid is null then f.parent_id is null else f.parent_id is not null and f.recipient = $4::text end`,
		d.AlertID, d.ChannelID, postgres.OrNull(d.ParentID), d.Recipient).Scan(&status, &combined)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Turn{Skip: "that the alert fired was never told"}, nil
	case err != nil:
		return Turn{}, fmt.Errorf("look whether it was told that an alert fired: %w", err)
	case status == outbox.Pending:
		return Turn{Wait: behind}, nil
	case combined:
		return Turn{Skip: "it was told together with that the alert fired"}, nil
	case status == outbox.Sent:
		return Turn{Deliver: true}, nil
	case status == outbox.Folded:
		ids, err := foldResolved(ctx, db, d.ID, at)
		return Turn{Folded: true, Publish: ids}, err
	}
	return Turn{Skip: "that the alert fired was not told"}, nil
}

func foldResolved(ctx context.Context, db DB, id uuid.UUID, at time.Time) ([]uuid.UUID, error) {
	rows, err := db.Query(ctx, `select * from mesher.fold_resolved($1::uuid, $2::timestamptz)`, id, at)
	if err != nil {
		return nil, fmt.Errorf("fold a notification: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("fold a notification: %w", err)
	}
	return ids, nil
}

// digestTurn decides about digests: whether there is anything left in them to tell.
func digestTurn(ctx context.Context, db DB, d outbox.Delivery, _ time.Time) (Turn, error) {
	of := d.ID
	switch {
	case d.ParentID != uuid.Nil:
		of = d.ParentID
	case d.Event == "resolved":
		of = d.DigestID
	}
	var count, open int
	var status outbox.Status
	err := db.QueryRow(ctx, `
		select count(f.id), count(f.id) filter (where f.event = 'fired' and e.status <> 'resolved'),
			(select status from mesher.notifications where id = $1::uuid)
		from mesher.notifications f left join mesher.alert_events e on e.id = f.alert_id
		where f.digest_id = $1::uuid and f.template = 'alert'`, of).Scan(&count, &open, &status)
	switch {
	case err != nil:
		return Turn{}, fmt.Errorf("count what was folded into a digest: %w", err)
	case d.Event == "resolved" && status == outbox.Pending:
		return Turn{Wait: behind}, nil
	case d.Event == "resolved" && status != outbox.Sent:
		return Turn{Skip: "no incident was opened for the digest"}, nil
	case d.Event == "resolved" && open > 0:
		return Turn{Skip: "alerts of the digest are still open"}, nil
	case count == 0:
		return Turn{Skip: "nothing was folded into the digest"}, nil
	case d.Event == "fired" && d.Channel == string(ChannelPagerDuty) && open == 0:
		return Turn{Skip: "the digest's alerts were resolved before an incident was opened"}, nil
	}
	return Turn{Deliver: true}, nil
}

// withinBudget asks the channel's budget.
func withinBudget(ctx context.Context, db DB, d outbox.Delivery, at time.Time) (Turn, error) {
	var deliver bool
	var notice *uuid.UUID
	err := db.QueryRow(ctx, `select deliver, notice from mesher.spend_budget($1::uuid, $2::timestamptz)`, d.ID, at).Scan(&deliver, &notice)
	if err != nil {
		return Turn{}, fmt.Errorf("ask the budget of a channel: %w", err)
	}
	t := Turn{Deliver: deliver, Folded: !deliver}
	if notice != nil {
		t.Publish = []uuid.UUID{*notice}
	}
	return t, nil
}

// FanOut has a claimed notification of an e-mail channel sent as one mail to each of its members, whose mails are notifications
// of their own, and finishes it. It returns them, to be published; none: the channel writes to nobody any more.
func FanOut(ctx context.Context, db DB, d outbox.Delivery, c Channel, at time.Time) ([]uuid.UUID, error) {
	rows, err := db.Query(ctx, `
		with told as (
			update mesher.notifications set status = 'sent', finished_at = $3::timestamptz, claimed_until = null, last_error = null
			where id = $1::uuid and status = 'pending' and cardinality($2::text[]) > 0
			returning *)
		insert into mesher.notifications (id, organization_id, channel, template, recipient, data, channel_id, rule_id, alert_id,
			event, parent_id, created_at)
		select mesher.uuidv7($3::timestamptz), t.organization_id, 'email', t.template, a.address, t.data, t.channel_id, t.rule_id,
			t.alert_id, t.event, t.id, $3::timestamptz
		from told t, unnest($2::text[]) a (address)
		on conflict (parent_id, recipient) where parent_id is not null do nothing
		returning id`, d.ID, append([]string{}, c.Addresses...), at)
	if err != nil {
		return nil, fmt.Errorf("write the mails of a channel: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("write the mails of a channel: %w", err)
	}
	return ids, nil
}
