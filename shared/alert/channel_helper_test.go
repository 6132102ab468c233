package alert_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/outbound"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/secret"
)

// channelBundle is a database with an organization, a project and a rule, as Notify sees it.
type channelBundle struct {
	db                          *pgtest.Database
	pool                        *pgxpool.Pool // as mesher_app
	admin                       *pgxpool.Pool
	keeper                      *alert.Channels
	organization, project, rule uuid.UUID
}

func channelConfig() alert.ChannelConfig {
	return alert.ChannelConfig{
		Seal:     secret.SealConfig{Keys: base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))},
		Outbound: outbound.Config{Allow: "127.0.0.0/8"},
		Hosts:    "chat.example.com, 127.0.0.1",
	}
}

func setupChannels(t *testing.T) *channelBundle {
	t.Helper()
	db := pgtest.New(t)
	b := &channelBundle{
		db: db, pool: db.Pool(t, pgtest.App), admin: db.Pool(t, pgtest.Admin),
		organization: uuid.New(), project: uuid.New(), rule: uuid.New(),
	}
	var err error
	if b.keeper, err = alert.NewChannels(channelConfig()); err != nil {
		t.Fatal(err)
	}
	b.exec(t, `insert into mesher.organizations (id, name, slug) values ($1::uuid, 'Acme', 'acme')`, b.organization)
	b.exec(t, `insert into mesher.projects (id, organization_id, name, slug) values ($1::uuid, $2::uuid, 'Shop', 'shop')`, b.project, b.organization)
	b.newRule(t, b.rule)
	return b
}

func (b *channelBundle) newRule(t *testing.T, id uuid.UUID) {
	t.Helper()
	b.exec(t, `insert into mesher.alert_rules (id, organization_id, project_id, name, kind, severity)
		values ($1::uuid, $2::uuid, $3::uuid, 'New issues', 'new_issue', 'critical')`, id, b.organization, b.project)
}

func (b *channelBundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := b.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// channel makes a channel of a kind that the rules tell.
func (b *channelBundle) channel(t *testing.T, kind alert.ChannelKind, budget int, rules ...uuid.UUID) alert.Channel {
	t.Helper()
	name, url := "Channel", "http://127.0.0.1:1/hook"
	change := alert.ChannelChange{Name: &name, HourlyBudget: &budget}
	switch kind {
	case alert.ChannelWebhook:
		change.Webhook = &alert.WebhookTarget{URL: &url}
	case alert.ChannelSlack:
		change.Slack = &alert.URLTarget{URL: url}
	case alert.ChannelPagerDuty:
		change.PagerDuty = &alert.PagerDutyTarget{RoutingKey: strings.Repeat("k", 32), URL: url}
	}
	var c alert.Channel
	err := postgres.InTx(t.Context(), b.pool, func(tx postgres.Tx) (err error) {
		c, _, err = b.keeper.Create(t.Context(), tx, b.organization, change)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		b.exec(t, `insert into mesher.alert_rule_channels (rule_id, channel_id) values ($1::uuid, $2::uuid)`, rule, c.ID)
	}
	return c
}

// raise raises an alert and returns what is to be published.
func raise(ctx context.Context, db alert.DB, rule, subject uuid.UUID, at time.Time) ([]uuid.UUID, error) {
	return collect(ctx, db, `select * from mesher.raise_alert($1::uuid, $2::uuid, $3::text, '{"count": 7}'::jsonb, null, null, $4::timestamptz)`,
		rule, subject, "Timeout "+subject.String(), at)
}

func resolve(ctx context.Context, db alert.DB, rule, subject uuid.UUID, at time.Time) ([]uuid.UUID, error) {
	return collect(ctx, db, `select * from mesher.resolve_alert($1::uuid, $2::uuid, 'it is over', $3::timestamptz)`, rule, subject, at)
}

func collect(ctx context.Context, db alert.DB, sql string, args ...any) ([]uuid.UUID, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

func (b *channelBundle) raise(t *testing.T, rule, subject uuid.UUID, at time.Time) []uuid.UUID {
	t.Helper()
	ids, err := raise(t.Context(), b.pool, rule, subject, at)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func (b *channelBundle) resolve(t *testing.T, rule, subject uuid.UUID, at time.Time) []uuid.UUID {
	t.Helper()
	ids, err := resolve(t.Context(), b.pool, rule, subject, at)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// number returns the number that a query gives.
func (b *channelBundle) number(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := b.admin.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// statuses returns the notifications of a channel as "template event status", the oldest first.
func (b *channelBundle) statuses(t *testing.T, channel uuid.UUID) []string {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), `
		select template || ' ' || coalesce(event, '-') || ' ' || status from mesher.notifications
		where channel_id = $1::uuid order by created_at, template, event, status, id`, channel)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// claim claims a notification that there must be.
func (b *channelBundle) claim(ctx context.Context, t *testing.T, id uuid.UUID) outbox.Delivery {
	t.Helper()
	d, outcome, err := outbox.Claim(ctx, b.pool, id)
	if err != nil || outcome != outbox.Claimed {
		t.Fatalf("claim %s: outcome %d, %v", id, outcome, err)
	}
	return d
}

// turn claims a notification and takes its turn.
func (b *channelBundle) turn(ctx context.Context, t *testing.T, id uuid.UUID, at time.Time) (outbox.Delivery, alert.Turn) {
	t.Helper()
	d := b.claim(ctx, t, id)
	turn, err := alert.TakeTurn(ctx, b.pool, d, at)
	if err != nil {
		t.Fatal(err)
	}
	return d, turn
}

// finish notes that a notification was told.
func (b *channelBundle) finish(ctx context.Context, t *testing.T, d outbox.Delivery, turn alert.Turn) {
	t.Helper()
	if err := outbox.Settle(ctx, b.pool, d, outbox.End{Status: outbox.Sent, Combined: turn.Combined}); err != nil {
		t.Fatal(err)
	}
}

// tell has a notification told, which must be told, and returns its story.
func (b *channelBundle) tell(ctx context.Context, t *testing.T, id uuid.UUID, at time.Time) alert.Story {
	t.Helper()
	d, turn := b.turn(ctx, t, id, at)
	if !turn.Deliver {
		t.Fatalf("it is not to be told: %+v", turn)
	}
	c, _, err := b.keeper.Open(ctx, b.pool, d.ChannelID)
	if err != nil {
		t.Fatal(err)
	}
	s, err := alert.Tell(ctx, b.pool, d, c)
	if err != nil {
		t.Fatal(err)
	}
	b.finish(ctx, t, d, turn)
	return s
}

// open returns the one digest of a channel that takes more.
func (b *channelBundle) open(t *testing.T, channel uuid.UUID) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	err := b.admin.QueryRow(t.Context(), `
		select id from mesher.notifications where channel_id = $1::uuid and template = 'digest' and event = 'fired' and status = 'pending'
		and attempts = 0`, channel).Scan(&id)
	if err != nil {
		t.Fatalf("the open digest: %v", err)
	}
	return id
}

func subjects(n int) []uuid.UUID {
	out := make([]uuid.UUID, n)
	for i := range out {
		out[i] = uuid.MustParse(fmt.Sprintf("00000000-0000-4000-8000-%012d", i+1))
	}
	return out
}
