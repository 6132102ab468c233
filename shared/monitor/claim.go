package monitor

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

// Ahead is how long before it is due a monitor is looked at: runs of Probe do not begin to the second, and one that came a
// moment too early would leave the look to the run after it.
const Ahead = 5 * time.Second

// alive is true of monitors whose organization and project are there.
const alive = `exists (select from mesher.organizations o where o.id = m.organization_id and o.deleted_at is null)
	and (m.project_id is null or exists (select from mesher.projects p where p.id = m.project_id and p.status = 'active'))`

const dueNow = `m.enabled and m.kind <> 'heartbeat' and m.due_at <= $1::timestamptz and ` + alive

// Claim asks for monitors that are due.
type Claim struct {
	At   time.Time     // now
	Ends time.Time     // until then nobody else gets them
	Most int           // monitors
	Time time.Duration // only those whose look may take no longer
}

// Claimed is a monitor whose look is the caller's to make.
type Claimed struct {
	Monitor
	claim uuid.UUID
	at    time.Time
}

// Take claims monitors that are due, those that have waited longest first; those that are down, whose looks tend to take
// long, let others go before for a minute. However many take at once, each gets others. What was claimed is to be given to
// Finish or Release; else it is due again when the claim ends.
func Take(ctx context.Context, db DB, c Claim) ([]Claimed, error) {
	claim, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make the id of a claim: %w", err)
	}
	rows, err := db.Query(ctx, `
		with due as materialized (
			select m.id from mesher.monitors m
			where `+dueNow+` and m.timeout_ms <= $5::bigint
			order by m.due_at + case when m.status = 'down' then interval '1 minute' else interval '0' end, m.id
			limit $2::bigint for no key update of m skip locked)
		update mesher.monitors m set claim = $3::uuid, due_at = $4::timestamptz
		from due where m.id = due.id
		returning `+columns, c.At.Add(Ahead), c.Most, claim, c.Ends, c.Time.Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("claim monitors: %w", err)
	}
	found, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, fmt.Errorf("claim monitors: %w", err)
	}
	out := make([]Claimed, len(found))
	for i, m := range found {
		out[i] = Claimed{m, claim, c.At}
	}
	return out, nil
}

// Waiting returns how many monitors are due and not claimed.
func Waiting(ctx context.Context, db DB, at time.Time) (int64, error) {
	var n int64
	if err := db.QueryRow(ctx, `select count(*) from mesher.monitors m where `+dueNow, at.Add(Ahead)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count monitors that are due: %w", err)
	}
	return n, nil
}

// Release gives back monitors that were claimed and not looked at: they are due again at once.
func Release(ctx context.Context, db DB, claimed []Claimed) error {
	if len(claimed) == 0 {
		return nil
	}
	ids, claims := keys(claimed)
	if _, err := db.Exec(ctx, `
		update mesher.monitors m set claim = null, due_at = $3::timestamptz
		from unnest($1::uuid[], $2::uuid[]) as n (id, claim) where m.id = n.id and m.claim = n.claim`,
		ids, claims, claimed[0].at); err != nil {
		return fmt.Errorf("give back monitors: %w", err)
	}
	return nil
}

func keys(claimed []Claimed) (ids, claims []string) {
	for _, c := range claimed {
		ids, claims = append(ids, c.ID.String()), append(claims, c.claim.String())
	}
	return ids, claims
}

// nextDue returns when a monitor is due after it was looked at: at the next of its times, which stay the same whenever it
// was looked at, so that looks neither drift nor crowd. They lie at half minutes, since runs of Probe begin with minutes: a
// few seconds more or less of a run then never skip a look; which minutes it are is spread by the monitor's id.
func (m *Monitor) nextDue(at time.Time) time.Time {
	h := fnv.New32a()
	_, _ = h.Write(m.ID[:])
	interval := int64(max(m.IntervalS, intervalLeast))
	phase := 30 + 60*(int64(h.Sum32())%(interval/60))
	after := at.Add(Ahead).Unix()
	return time.Unix(after+interval-(((after-phase)%interval)+interval)%interval, 0).UTC()
}

// Result is what a look found.
type Result struct {
	Claimed
	Look  Look
	Began time.Time
}

// Finished is what became of results.
type Finished struct {
	Checks  int64       // that were kept
	Stale   int64       // results of claims that had ended, or of monitors that were changed or deleted meanwhile; not kept
	Changed int64       // monitors whose status is another one
	Told    []uuid.UUID // notifications to hand to outbox.Publish
}

// Add adds what became of other results.
func (f *Finished) Add(n Finished) {
	f.Checks += n.Checks
	f.Stale += n.Stale
	f.Changed += n.Changed
	f.Told = append(f.Told, n.Told...)
}

// Finish keeps what looks found, in one transaction: the health checks, the status of each monitor, when it is due next, and
// the alerts that follow. A result of a claim that no longer holds is left out: the look was, or will be, made by others.
func Finish(ctx context.Context, db postgres.Beginner, results []Result) (Finished, error) {
	var out Finished
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		out = Finished{}
		held, err := hold(ctx, tx, results)
		if err != nil {
			return err
		}
		w := write{at: results[0].at}
		for _, r := range results {
			m, ok := held[r.ID]
			if !ok || m.claim != r.claim {
				out.Stale++
				continue
			}
			if err := w.look(&m.Monitor, r.Look, r.Began); err != nil {
				return err
			}
			m.DueAt = m.nextDue(r.at)
			w.monitors = append(w.monitors, m.Monitor)
		}
		out.Checks, out.Changed = int64(len(w.checks)), w.changed
		out.Told, err = w.commit(ctx, tx)
		return err
	})
	if err != nil {
		return Finished{}, fmt.Errorf("keep what looks found: %w", err)
	}
	return out, nil
}

// hold locks the monitors of results whose claims still hold, and returns how they stand.
func hold(ctx context.Context, tx postgres.Tx, results []Result) (map[uuid.UUID]Claimed, error) {
	claimed := make([]Claimed, len(results))
	for i, r := range results {
		claimed[i] = r.Claimed
	}
	ids, claims := keys(claimed)
	rows, err := tx.Query(ctx, `select `+columns+` from mesher.monitors m join unnest($1::uuid[], $2::uuid[]) as n (id, claim)
		on n.id = m.id and n.claim = m.claim order by m.id for no key update of m`, ids, claims)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return nil, err
	}
	out := map[uuid.UUID]Claimed{}
	of := map[uuid.UUID]uuid.UUID{}
	for _, c := range claimed {
		of[c.ID] = c.claim
	}
	for _, m := range found {
		out[m.ID] = Claimed{Monitor: m, claim: of[m.ID]}
	}
	return out, nil
}
