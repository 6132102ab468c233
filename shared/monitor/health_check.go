package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// HealthCheck is one look at a service.
type HealthCheck struct {
	ID        uuid.UUID `json:"id" format:"uuid"`
	MonitorID uuid.UUID `json:"monitor_id" format:"uuid"`
	Status    Status    `json:"status" enum:"healthy,degraded,down"`
	LatencyMS int       `json:"latency_ms" doc:"of the whole look, or of a job's run; 0: nothing was measured"`
	Details   Details   `json:"probe_details" doc:"what was found, and why"`
	CreatedAt time.Time `json:"created_at" doc:"when the look began, or when a job spoke or was missed"`
}

// Limits of what is kept of a look. A look that is over them is cut before (see fit), so that none is lost.
const (
	detailsMost = 8 << 10 // bytes of JSON
	errorMost   = 1_000   // bytes
	recordsMost = 20
)

// newCheck makes a health check of a look that began at a time. Its error says what a programmer did wrong.
func newCheck(m uuid.UUID, l Look, began time.Time) (HealthCheck, error) {
	id, err := newID(began)
	if err != nil {
		return HealthCheck{}, err
	}
	c := HealthCheck{
		ID: id, MonitorID: m, Status: l.Status, LatencyMS: int(min(l.Latency.Milliseconds(), math.MaxInt32)),
		Details: l.Details, CreatedAt: began.UTC().Truncate(time.Microsecond),
	}
	return c, c.check()
}

// check refuses what the database would not take.
func (c HealthCheck) check() error {
	switch c.Status {
	case Healthy, Degraded, Down:
	default:
		return fault.New(fault.Invalid, "status: %q is none of healthy, degraded and down", clip(string(c.Status)))
	}
	if c.LatencyMS < 0 {
		return fault.New(fault.Invalid, "latency_ms: %d is below 0", c.LatencyMS)
	}
	if c.CreatedAt.Year() < 2000 || c.CreatedAt.Year() > 9999 {
		return fault.New(fault.Invalid, "created_at: it is not between the years 2000 and 9999")
	}
	text, err := json.Marshal(c.Details)
	switch {
	case err != nil:
		return fault.Wrap(err, fault.Invalid, "probe_details: cannot be encoded as JSON")
	case len(text) > detailsMost:
		return fault.New(fault.Invalid, "probe_details: %d bytes as JSON; at most %d are allowed", len(text), detailsMost)
	case strings.Contains(string(text), `\u0000`):
		return fault.New(fault.Invalid, "probe_details: holds a NUL character, which cannot be kept")
	case c.Details.Code == "":
		return fault.New(fault.Invalid, "probe_details: the code is missing")
	}
	return nil
}

// fit returns a look as it can be kept: texts that are too long are cut.
func fit(l Look) Look {
	d := &l.Details
	d.Code, d.Error, d.Address = plain(d.Code, 60), plain(d.Error, errorMost), plain(d.Address, 300)
	if d.Code == "" {
		d.Code = string(l.Status)
	}
	d.Records = append([]string(nil), d.Records[:min(len(d.Records), recordsMost)]...)
	for i, r := range d.Records {
		d.Records[i] = plain(r, 200)
	}
	if text, err := json.Marshal(d.Facts); err != nil || len(text) > detailsMost/4 || strings.Contains(string(text), `\u0000`) {
		d.Facts = nil
	}
	if l.Status != Healthy && l.Status != Degraded {
		l.Status = Down
	}
	l.Latency = max(l.Latency, 0)
	return l
}

// plain returns a text that the database takes.
func plain(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// CreateCheck keeps a look at an organization's monitor that began at a time. It is checked before the database sees it: a
// fault.Invalid names the field. The monitor's status is not changed by it; Finish does both.
func CreateCheck(ctx context.Context, db DB, organization, id uuid.UUID, l Look, began time.Time) (HealthCheck, error) {
	c, err := newCheck(id, l, began)
	if err != nil {
		return HealthCheck{}, err
	}
	if _, err := Find(ctx, db, organization, id); err != nil {
		return HealthCheck{}, err
	}
	return c, insertChecks(ctx, db, []HealthCheck{c})
}

// insertChecks stores health checks that were checked.
func insertChecks(ctx context.Context, db DB, checks []HealthCheck) error {
	if len(checks) == 0 {
		return nil
	}
	var ids, monitors, statuses, details []string
	var latencies []int32
	var times []time.Time
	for _, c := range checks {
		text, err := json.Marshal(c.Details)
		if err != nil {
			return fmt.Errorf("encode a health check: %w", err)
		}
		ids, monitors, statuses = append(ids, c.ID.String()), append(monitors, c.MonitorID.String()), append(statuses, string(c.Status))
		details, latencies, times = append(details, string(text)), append(latencies, int32(c.LatencyMS)), append(times, c.CreatedAt)
	}
	if _, err := db.Exec(ctx, `
		insert into mesher.service_health_checks (id, monitor_id, status, latency_ms, probe_details, created_at)
		select n.id, n.monitor_id, n.status, nullif(n.latency_ms, 0), n.details::jsonb, n.created_at
		from unnest($1::uuid[], $2::uuid[], $3::text[], $4::integer[], $5::text[], $6::timestamptz[])
			as n (id, monitor_id, status, latency_ms, details, created_at)`,
		ids, monitors, statuses, latencies, details, times); err != nil {
		return fmt.Errorf("keep health checks: %w", err)
	}
	return nil
}

const selectChecks = `select c.id, c.monitor_id, c.status, coalesce(c.latency_ms, 0), c.probe_details::text, c.created_at
	from mesher.service_health_checks c join mesher.monitors m on m.id = c.monitor_id
	where m.organization_id = $1::uuid and c.monitor_id = $2::uuid`

func scanCheck(row pgx.CollectableRow) (HealthCheck, error) {
	var c HealthCheck
	var details string
	if err := row.Scan(&c.ID, &c.MonitorID, &c.Status, &c.LatencyMS, &details, (*postgres.Time)(&c.CreatedAt)); err != nil {
		return c, err
	}
	return c, json.Unmarshal([]byte(details), &c.Details)
}

// LatestCheck returns the last look at an organization's monitor; a fault.NotFound when there was none.
func LatestCheck(ctx context.Context, db DB, organization, id uuid.UUID) (HealthCheck, error) {
	rows, err := db.Query(ctx, selectChecks+` order by c.created_at desc, c.id desc limit 1`, organization, id)
	if err != nil {
		return HealthCheck{}, fmt.Errorf("find the last health check: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCheck)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, fault.New(fault.NotFound, "the monitor has not been looked at yet")
	}
	if err != nil {
		return c, fmt.Errorf("find the last health check: %w", err)
	}
	return c, nil
}

// CheckFilter narrows a history; empty fields do not.
type CheckFilter struct {
	Status Status
	Since  time.Time // from then on
	Until  time.Time // before
}

// History returns the looks at an organization's monitor, the newest first. An unknown monitor is a fault.NotFound.
func History(ctx context.Context, db DB, organization, id uuid.UUID, f CheckFilter, r page.Request) (page.Of[HealthCheck], error) {
	if _, err := Find(ctx, db, organization, id); err != nil {
		return page.Of[HealthCheck]{}, err
	}
	r.Limit = min(max(r.Limit, 1), pageMost)
	at, after := r.After.Args()
	rows, err := db.Query(ctx, selectChecks+`
		and ($6::text = '' or c.status = $6::text)
		and ($7::timestamptz is null or c.created_at >= $7::timestamptz)
		and ($8::timestamptz is null or c.created_at < $8::timestamptz)
		and ($3::timestamptz is null or (c.created_at, c.id) < ($3::timestamptz, $4::uuid))
		order by c.created_at desc, c.id desc limit $5::bigint`, organization, id, at, after, r.Limit+1, string(f.Status),
		postgres.TimeOrNull(f.Since), postgres.TimeOrNull(f.Until))
	if err != nil {
		return page.Of[HealthCheck]{}, fmt.Errorf("list health checks: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanCheck)
	if err != nil {
		return page.Of[HealthCheck]{}, fmt.Errorf("list health checks: %w", err)
	}
	return page.Cut(r, found, func(c HealthCheck) page.Mark { return page.Mark{At: c.CreatedAt, ID: c.ID} }), nil
}
