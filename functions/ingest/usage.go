package ingest

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	reportEvery   = 5 * time.Second
	reportTimeout = 2 * time.Second
	// unreportedMost bounds the counts of each kind that wait for a database that is away.
	unreportedMost = 10_000
)

// usage counts what Store never sees and reports it to the database, at most once every reportEvery and only
// inside a request, since an instance has no CPU outside of them. The answer is what the limits go by.
type usage struct {
	report   func(context.Context, tenant.UsageReport) (tenant.UsageState, error)
	log      *slog.Logger
	limits   *limits
	instance uuid.UUID

	mu      sync.Mutex
	last    time.Time
	pending unreported
}

func newUsage(db tenant.DB, log *slog.Logger, limits *limits) *usage {
	return &usage{
		report: func(ctx context.Context, report tenant.UsageReport) (tenant.UsageState, error) {
			return tenant.ReportUsage(ctx, db, report)
		},
		log: log, limits: limits, instance: uuid.New(), pending: newUnreported(),
	}
}

// add counts what happened to the events of one request.
func (u *usage) add(access tenant.Access, n tenant.Usage, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pending.count(minuteOfProject{access.ProjectID, minuteOf(now)}, n)
	u.pending.note(access.KeyID, now)
}

// items counts what a request brought besides events, by type.
func (u *usage) items(access tenant.Access, counts map[string]int64, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for kind, n := range counts {
		u.pending.item(hourOfItem{access.ProjectID, now.Unix() / 3600, kind}, n)
	}
}

// start reports in the background if it is time, and returns a function that waits for the report to end.
// The request calls it before it answers. Unread says that nothing that holds is known of the project's limits: then a report
// is made at once, unless the last one is too young, and the request had better wait for it.
func (u *usage) start(ctx context.Context, access *tenant.Access, now time.Time) (wait func(), unread bool) {
	unread = u.limits.watch(access, now)
	u.mu.Lock()
	due := false
	switch {
	case u.last.IsZero() && !unread:
		u.last = now
	case u.last.IsZero(), now.Sub(u.last) >= reportEvery:
		due = unread || !u.pending.empty()
	}
	if due {
		u.last = now
	}
	u.mu.Unlock()
	if !due {
		return func() {}, unread
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		u.flush(context.WithoutCancel(ctx), now)
	}()
	return func() { <-done }, unread
}

// flush reports everything that is counted. What cannot be reported is kept for the next time.
func (u *usage) flush(ctx context.Context, now time.Time) {
	u.mu.Lock()
	sent := u.pending
	u.pending = newUnreported()
	u.mu.Unlock()
	report := sent.report()
	report.Instance, report.At = u.instance, now
	u.limits.ask(&report)
	if sent.empty() && len(report.Claims) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	state, err := u.report(ctx, report)
	if err == nil {
		u.limits.learn(report, state)
		return
	}
	u.log.WarnContext(ctx, "usage is not reported and kept for later", "counts", len(sent.events), "error", err)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pending.add(sent)
}
