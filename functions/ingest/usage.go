package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	reportEvery   = 5 * time.Second
	reportTimeout = 2 * time.Second
	// unreportedMost bounds the projects and keys whose counts wait for a database that is away.
	unreportedMost = 10_000
)

// usage counts what Store never sees and reports it to the database, at most once every reportEvery and only
// inside a request, since an instance has no CPU outside of them.
type usage struct {
	report func(context.Context, []byte) error
	log    *slog.Logger

	mu       sync.Mutex
	last     time.Time
	projects map[uuid.UUID]tenant.Usage
	keys     map[uuid.UUID]time.Time
}

func newUsage(db tenant.DB, log *slog.Logger) *usage {
	return &usage{
		report:   func(ctx context.Context, report []byte) error { return tenant.ReportUsage(ctx, db, report) },
		log:      log,
		last:     time.Now(),
		projects: make(map[uuid.UUID]tenant.Usage),
		keys:     make(map[uuid.UUID]time.Time),
	}
}

// add counts what happened to the events of one request.
func (u *usage) add(access tenant.Access, n tenant.Usage, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count(access.ProjectID, n)
	u.note(access.KeyID, now)
}

// count adds n to a project's counts, unless that were one project too many.
func (u *usage) count(project uuid.UUID, n tenant.Usage) {
	sum, ok := u.projects[project]
	if ok || len(u.projects) < unreportedMost {
		sum.Add(n)
		u.projects[project] = sum
	}
}

// note keeps the last use of a key, unless that were one key too many.
func (u *usage) note(key uuid.UUID, at time.Time) {
	last, ok := u.keys[key]
	if ok && at.After(last) || !ok && len(u.keys) < unreportedMost {
		u.keys[key] = at
	}
}

// start reports in the background if it is time, and returns a function that waits for the report to end.
// The request calls it before it answers.
func (u *usage) start(ctx context.Context, now time.Time) (wait func()) {
	u.mu.Lock()
	due := now.Sub(u.last) >= reportEvery && len(u.projects) > 0
	if due {
		u.last = now
	}
	u.mu.Unlock()
	if !due {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		u.flush(context.WithoutCancel(ctx))
	}()
	return func() { <-done }
}

// flush reports everything that is counted. What cannot be reported is kept for the next time.
func (u *usage) flush(ctx context.Context) {
	u.mu.Lock()
	projects, used := u.projects, u.keys
	u.projects, u.keys = make(map[uuid.UUID]tenant.Usage), make(map[uuid.UUID]time.Time)
	u.mu.Unlock()
	if len(projects) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	err := func() error {
		body, err := json.Marshal(tenant.UsageReport{Projects: projects, Keys: used})
		if err != nil {
			return fmt.Errorf("encode the usage report: %w", err)
		}
		return u.report(ctx, body)
	}()
	if err == nil {
		return
	}
	u.log.WarnContext(ctx, "usage is not reported and kept for later", "projects", len(projects), "error", err)
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, n := range projects {
		u.count(id, n)
	}
	for id, at := range used {
		u.note(id, at)
	}
}
