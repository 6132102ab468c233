package monitor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

// From when on a part of the platform is degraded, or down.
const (
	databaseSlow       = time.Second      // that the question itself takes
	databaseFull       = 0.8              // of the connections that the server allows
	databaseOld        = 15 * time.Minute // that a transaction is open, of those that Probe's role may see
	queueLag           = 5 * time.Minute  // that events or notifications wait: degraded
	queueStuck         = 15 * time.Minute // down
	queueWindow        = time.Hour        // in which events are compared
	deadLettersRecent  = 24 * time.Hour   // a dead letter that young: degraded
	deadLettersBurst   = 100              // within an hour: down
	partitionsDown     = 3                // days ahead that have partitions
	partitionsDegraded = 7
)

// Measure looks at a part of the platform by what the database knows of it. Parts that something else knows of are not its
// business.
func Measure(ctx context.Context, db DB, part Part, now time.Time) (Look, error) {
	switch part {
	case PartDatabase:
		return measureDatabase(ctx, db)
	case PartQueue:
		return measureQueue(ctx, db, now)
	case PartDeadLetters:
		return measureDeadLetters(ctx, db, now)
	case PartPartitions, PartScheduler:
	}
	return Look{}, fmt.Errorf("the database does not know of the part %q", part)
}

// measured makes a look of what was found, which is healthy as long as nothing worse is noted.
type measured struct{ look Look }

func newMeasured(facts map[string]any) *measured {
	return &measured{Look{Status: Healthy, Details: Details{Code: CodeOK, Facts: facts}}}
}

// note has the look be worse, where it is not that bad already.
func (m *measured) note(bad bool, s Status, code, format string, args ...any) {
	if bad && severity(s) > severity(m.look.Status) {
		m.look.Status = s
		m.look.Details.Code, m.look.Details.Error = code, fmt.Sprintf(format, args...)
	}
}

func measureDatabase(ctx context.Context, db DB) (Look, error) {
	began := time.Now()
	var connections, most int
	var oldest float64
	var size int64
	err := db.QueryRow(ctx, `
		select coalesce((select sum(numbackends) from pg_catalog.pg_stat_database), 0)::integer,
			current_setting('max_connections')::integer,
			coalesce((select extract(epoch from clock_timestamp() - min(xact_start)) from pg_catalog.pg_stat_activity
				where datname = current_database()), 0)::double precision,
			pg_catalog.pg_database_size(current_database())`).Scan(&connections, &most, &oldest, &size)
	if err != nil {
		return Look{}, fmt.Errorf("look at the database: %w", err)
	}
	took := time.Since(began)
	m := newMeasured(map[string]any{
		"connections": connections, "connections_most": most, "oldest_transaction_s": int(oldest), "size_bytes": size,
	})
	m.look.Latency = took
	m.note(took > databaseSlow, Degraded, "slow", "it took %s to answer", took.Round(time.Millisecond))
	m.note(float64(connections) > databaseFull*float64(most), Degraded, "connections", "%d of %d connections are used", connections, most)
	m.note(oldest > databaseOld.Seconds(), Degraded, "old_transaction", "a transaction has been open for %s", time.Duration(oldest)*time.Second)
	return m.look, nil
}

// measureQueue looks at what is on its way: events that were published and that Store has not counted since, and
// notifications that nobody has tried to deliver. Of events a project counts as stuck from the first minute in which it sent
// some after the last in which Store counted any.
func measureQueue(ctx context.Context, db DB, now time.Time) (Look, error) {
	var waiting, projects, pending int64
	var since, oldest time.Time
	err := db.QueryRow(ctx, `
		with counted as (
			select project_id, max(minute) filter (where stored + duplicates + expired + dead_lettered > 0) as last
			from mesher.usage where minute > $1::timestamptz - $2::bigint * interval '1 microsecond'
			group by project_id),
		stuck as (
			select u.project_id, sum(u.accepted) as events, min(u.minute) as since
			from mesher.usage u join counted c on c.project_id = u.project_id
			where u.minute > $1::timestamptz - $2::bigint * interval '1 microsecond' and u.accepted > 0
			  and (c.last is null or u.minute > c.last)
			group by u.project_id)
		select coalesce(sum(events), 0)::bigint, count(*), min(since),
			(select count(*) from mesher.notifications where status = 'pending' and attempts = 0),
			(select min(created_at) from mesher.notifications where status = 'pending' and attempts = 0)
		from stuck where since < $1::timestamptz - interval '2 minutes'`, now, queueWindow.Microseconds()).
		Scan(&waiting, &projects, (*postgres.Time)(&since), &pending, (*postgres.Time)(&oldest))
	if err != nil {
		return Look{}, fmt.Errorf("look at the queue: %w", err)
	}
	events, notifications := ago(now, since), ago(now, oldest)
	m := newMeasured(map[string]any{
		"undelivered_events": waiting, "stuck_projects": projects, "oldest_events_s": int(events.Seconds()),
		"undelivered_notifications": pending, "oldest_notification_s": int(notifications.Seconds()),
	})
	m.note(events > queueStuck, Down, "events", "events of %d projects have waited for %s", projects, events.Round(time.Minute))
	m.note(notifications > queueStuck, Down, "notifications", "a notification has waited for %s", notifications.Round(time.Minute))
	m.note(events > queueLag, Degraded, "events", "events of %d projects have waited for %s", projects, events.Round(time.Minute))
	m.note(notifications > queueLag, Degraded, "notifications", "a notification has waited for %s", notifications.Round(time.Minute))
	return m.look, nil
}

func ago(now, t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return max(0, now.Sub(t))
}

func measureDeadLetters(ctx context.Context, db DB, now time.Time) (Look, error) {
	var all, hour int64
	var newest time.Time
	err := db.QueryRow(ctx, `
		select count(*), count(*) filter (where created_at > $1::timestamptz - interval '1 hour'), max(created_at)
		from mesher.dead_letters where replayed_at is null`, now).Scan(&all, &hour, (*postgres.Time)(&newest))
	if err != nil {
		return Look{}, fmt.Errorf("look at the dead letters: %w", err)
	}
	facts := map[string]any{"dead_letters": all, "last_hour": hour}
	if !newest.IsZero() {
		facts["newest_s"] = int(ago(now, newest).Seconds())
	}
	m := newMeasured(facts)
	m.note(hour >= deadLettersBurst, Down, "dead_letters", "%d dead letters within an hour", hour)
	m.note(!newest.IsZero() && ago(now, newest) < deadLettersRecent, Degraded, "dead_letters", "%d dead letters; the newest is %s old", all, ago(now, newest).Round(time.Minute))
	return m.look, nil
}

// Horizon makes a look of how many days ahead have partitions, and of days between that have none.
func Horizon(days, gaps int) Look {
	m := newMeasured(map[string]any{"days_ahead": days, "gaps": gaps})
	m.note(gaps > 0, Down, "gap", "%d days have no partition", gaps)
	m.note(days < partitionsDown, Down, "horizon", "partitions are ready for %d days ahead", days)
	m.note(days < partitionsDegraded, Degraded, "horizon", "partitions are ready for %d days ahead", days)
	return m.look
}

// Jobs makes a look of whether the scheduled jobs run, and of what is wrong with them.
func Jobs(ok bool, problems []string) Look {
	m := newMeasured(map[string]any{"problems": problems})
	m.note(!ok, Degraded, "jobs", "%s", strings.Join(problems, "; "))
	return m.look
}

// EnsurePlatform makes a monitor for each part of the installation that the organization has none for, and returns those that
// it made.
func EnsurePlatform(ctx context.Context, tx postgres.Tx, organization uuid.UUID, now time.Time) ([]Monitor, error) {
	rows, err := tx.Query(ctx, `
		select config -> 'platform' ->> 'part' from mesher.monitors where organization_id = $1::uuid and kind = 'platform'`, organization)
	if err != nil {
		return nil, fmt.Errorf("look for monitors of the platform: %w", err)
	}
	parts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for monitors of the platform: %w", err)
	}
	has := map[Part]bool{}
	for _, p := range parts {
		has[Part(p)] = true
	}
	var made []Monitor
	for _, p := range Parts() {
		if has[p] {
			continue
		}
		m, err := Keeper{}.create(ctx, tx, organization, Spec{
			Name: partNames[p], Kind: Platform, Config: Config{Platform: &PlatformConfig{Part: p}},
		}, now)
		if err != nil {
			return nil, err
		}
		made = append(made, m)
	}
	return made, nil
}

// partNames are what monitors of the parts are called.
var partNames = map[Part]string{
	PartDatabase: "Mesher: database", PartQueue: "Mesher: queue", PartDeadLetters: "Mesher: dead letters",
	PartPartitions: "Mesher: partitions", PartScheduler: "Mesher: scheduled jobs",
}
