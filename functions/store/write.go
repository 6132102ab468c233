package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	// tries is how often a batch is written again after an error that may pass, before its messages go back
	// to the queue.
	tries = 4
	// lockTries is the same for a lock that was not to be had: waiting keeps a connection from other projects.
	lockTries  = 2
	firstPause = 50 * time.Millisecond
	// partRows is how many rows are inserted one by one in a transaction: so few that this is done in a small
	// part of STORE_TIMEOUT.
	partRows = 100
	// aheadMost is how far in the future an event may have been received: clocks differ, but a partition is
	// not made for a year that nobody lives in.
	aheadMost = 24 * time.Hour
)

// writer writes batches of rows, one transaction at a time for a project.
type writer struct {
	pool   *pgxpool.Pool
	log    *slog.Logger
	now    clock.Clock
	memory *memory
	outbox *outbox.Outbox
}

// flush stores the rows of all parcels, which are of one project. It is all or nothing: after an error every
// message is delivered again, and what was stored already is recognised by its event ids.
func (w *writer) flush(ctx context.Context, project uuid.UUID, parcels []*parcel) (int, error) {
	count := 0
	for _, p := range parcels {
		count += len(p.rows)
	}
	rows := make([]row, 0, count)
	for _, p := range parcels {
		rows = append(rows, p.rows...)
	}
	start := w.now()
	done, err := w.write(ctx, project, rows)
	if errors.Is(err, errNoProject) {
		for _, p := range parcels {
			if err := w.discard(ctx, p.message, err); err != nil {
				return 0, err
			}
		}
		return len(parcels), nil
	}
	if err != nil {
		return 0, err
	}
	w.log.DebugContext(ctx, "stored", "project", project, "messages", len(parcels), "stored", done.stored,
		"duplicates", done.duplicates, "expired", done.expired, "filtered", done.filtered, "took", w.now().Sub(start))
	return len(parcels), nil
}

// write stores rows, trying again after errors that pass. When the database refuses the data itself, it writes
// them in small parts, and a part that is refused row by row, and puts the rows aside that are refused alone.
func (w *writer) write(ctx context.Context, project uuid.UUID, rows []row) (outcome, error) {
	pause, each := firstPause, false
	for try := 1; ; try++ {
		c, err := w.transact(ctx, project, rows, each)
		switch {
		case err == nil:
			if len(c.raised) > 0 {
				w.outbox.Publish(ctx, c.raised...)
			}
			return c.n, w.putAside(ctx, project, c.refused)
		case errors.Is(err, errNoProject), ctx.Err() != nil:
			return outcome{}, err
		case errors.Is(err, errCrowded):
			return w.parts(ctx, project, rows, (len(rows)+1)/2)
		case !each && (postgres.Data(err) || postgres.Duplicate(err) && try > 1):
			// A duplicate that a second look at the event ids does not find has a primary key that is taken.
			if len(rows) > partRows {
				return w.divide(ctx, project, rows)
			}
			pause, each, try = firstPause, true, 0
			continue
		case try == tries, try == lockTries && postgres.SQLState(err) == lockNotAvailable:
			return outcome{}, err
		case postgres.MissingPartition(err):
			if err := w.ensurePartitions(ctx, c.fresh); err != nil && !postgres.Transient(err) {
				return outcome{}, err
			}
		case postgres.Duplicate(err):
			// Another writer was first with an event or an issue; the next look at the ids sees it.
		case !postgres.Transient(err):
			return outcome{}, err
		}
		w.log.InfoContext(ctx, "storing is tried again", "project", project, "events", len(rows), "try", try, "error", err)
		if err := sleep(ctx, pause); err != nil {
			return outcome{}, err
		}
		pause *= 3
	}
}

// lockNotAvailable is the SQLSTATE of a lock that was waited for in vain.
const lockNotAvailable = "55P03"

// divide writes rows that are refused together in parts, each in a transaction of its own. When there is no time
// for all of them, the next delivery does what is left: it finds what is stored by the event ids, and what was
// put aside in dead_letters.
func (w *writer) divide(ctx context.Context, project uuid.UUID, rows []row) (outcome, error) {
	aside, err := w.aside(ctx, project, rows)
	if err != nil {
		return outcome{}, err
	}
	if len(aside) > 0 {
		left := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return aside[r.id] })
		if len(left) == 0 {
			return outcome{}, nil
		}
		return w.write(ctx, project, left)
	}
	return w.parts(ctx, project, rows, partRows)
}

// parts writes rows in parts of so many, each in a transaction of its own.
func (w *writer) parts(ctx context.Context, project uuid.UUID, rows []row, size int) (outcome, error) {
	var sum outcome
	for part := range slices.Chunk(rows, size) {
		n, err := w.write(ctx, project, part)
		sum.add(n)
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// ensurePartitions makes the partitions of the days that rows were received on.
func (w *writer) ensurePartitions(ctx context.Context, rows []row) error {
	days := make(map[time.Time]bool)
	for i := range rows {
		days[rows[i].receivedAt.Truncate(day)] = true
	}
	for d := range days {
		if _, err := postgres.EnsurePartitions(ctx, w.pool, d, d); err != nil {
			return fmt.Errorf("create the partition of %s: %w", d.Format(time.DateOnly), err)
		}
		w.log.WarnContext(ctx, "created a partition that was missing", "day", d.Format(time.DateOnly))
	}
	return nil
}

// errNoProject says that the rows' project does not exist.
var errNoProject = fault.New(fault.Invalid, "the project does not exist")

// choice is which rows of a batch are inserted, which never can be, and how many are which.
type choice struct {
	fresh    []row
	refused  []refusal
	unwanted []heir // fingerprints that get an issue which is discarded
	n        outcome
	raised   []uuid.UUID // notifications to be published
}

// transact stores rows in one transaction of two round trips. With each set it takes one more, and leaves the
// rows out that the database refuses. The choice is what it tried when there is an error.
func (w *writer) transact(ctx context.Context, project uuid.UUID, rows []row, each bool) (choice, error) {
	conn, err := w.pool.Acquire(ctx)
	if err != nil {
		return choice{}, fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Release()
	pg := conn.Conn().PgConn()
	var (
		c    choice
		done work
	)
	err = func() error {
		found, err := begin(ctx, pg, project, rows, w.memory)
		if err != nil {
			return err
		}
		found.at = w.now()
		if found.unread != nil {
			w.log.ErrorContext(ctx, "alert rules cannot be read and raise nothing", "project", project, "error", found.unread)
		}
		c = w.choose(rows, &found)
		if each {
			done, err = commitEach(ctx, pg, project, &c, found, w.memory)
			return err
		}
		if done, err = plan(project, c.fresh, found, w.memory, tagRowsMost); err != nil {
			return err
		}
		if len(done.candidates) > candidatesMost && len(rows) > 1 {
			return errCrowded
		}
		minutes, users := minutesOf(project, c.fresh, found, w.memory)
		done.statements, done.ruleUsers = slices.Concat(c.statements(project), minutes, done.statements), users
		done.raised, err = commit(ctx, pg, project, c.fresh, c.n, found.at, done)
		return err
	}()
	if err == nil {
		w.memory.remember(done)
		c.raised = done.raised
		if done.refusedAlerts != nil {
			w.log.ErrorContext(ctx, "what alerts look at is not counted for a batch", "project", project, "error", done.refusedAlerts)
		}
	}
	if err != nil && !pg.IsClosed() {
		// On this very connection: behind a pooler, any other may be somebody else's. If it fails, Release
		// closes the connection, which rolls back as well.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = pg.Exec(ctx, "rollback").ReadAll()
	}
	return c, err
}

// choose returns the rows that are to be inserted: each event once, none that is stored already, none that
// is older than the project keeps events, none of an issue that is discarded, and none that is from the future,
// which are refused.
func (w *writer) choose(rows []row, found *look) choice {
	var (
		c      = choice{fresh: make([]row, 0, len(rows))}
		oldest = found.at.Add(-found.retention)
		latest = found.at.Add(aheadMost)
	)
	for i := range rows {
		r := &rows[i]
		switch {
		case r.receivedAt.Before(oldest):
			c.n.expired++
		case found.stored[r.eventID]:
			c.n.duplicates++
		case found.adopt(r).discarded:
			c.discard(r, found)
		case r.receivedAt.After(latest):
			c.refused = append(c.refused, refusal{r, errFuture})
		default:
			found.stored[r.eventID] = true
			c.fresh = append(c.fresh, *r)
		}
	}
	c.n.stored = len(c.fresh)
	found.follow(c.fresh)
	return c
}

const day = 24 * time.Hour

// span returns the days in which a twin of any of the rows may be stored: theirs and both neighbours. The
// unique index on event ids is one of each day, so midnight would let a twin pass.
func span(rows []row) (from, to time.Time) {
	first := slices.MinFunc(rows, func(a, b row) int { return a.receivedAt.Compare(b.receivedAt) }).receivedAt
	last := slices.MaxFunc(rows, func(a, b row) int { return a.receivedAt.Compare(b.receivedAt) }).receivedAt
	return first.Truncate(day).Add(-day), last.Truncate(day).Add(2 * day)
}

// sleep waits for about d, a quarter more or less, so that writers that failed together do not meet again.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d*3/4 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to store again: %w", ctx.Err())
	}
}
