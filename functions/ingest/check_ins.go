package ingest

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/batch"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/sentry"
)

const (
	// jobsAttempt is how long the database may take to store what jobs say.
	jobsAttempt = 5 * time.Second
	// jobsBatch is how much of it goes into one statement, and jobsWaiting how much may wait for one.
	jobsBatch, jobsWaiting = 500, 10_000
	// checkInThresholdMost is the highest threshold that monitors have; SDKs may ask for more.
	checkInThresholdMost = 20
	// checkInRefused is what check-ins are counted as, besides, that cannot be read.
	checkInRefused = "check_in_refused"
)

// newCheckIns returns what stores the check-ins of SDKs: those of a project that come together in one statement, and those of
// one project at a time.
func newCheckIns(db monitor.DB, cfg Config) *batch.Batcher[uuid.UUID, monitor.CheckIn] {
	return batch.New(batch.Config{
		MaxCount: jobsBatch, MaxBytes: jobsBatch, BufferCount: jobsWaiting, BufferBytes: jobsWaiting,
		BufferCallers: max(cfg.Concurrency/4, 1), Stuck: time.Second, Slots: 1, SlotHold: time.Second, Attempt: jobsAttempt,
	}, func(ctx context.Context, _ uuid.UUID, checkIns []monitor.CheckIn) (int, error) {
		if _, err := monitor.RecordCheckIns(ctx, db, checkIns); err != nil {
			return 0, err
		}
		return len(checkIns), nil
	})
}

// watch takes a check-in. One that cannot be read is counted; the envelope is not refused for it.
func (in *intake) watch(payload []byte) {
	c, err := sentry.ReadCheckIn(payload)
	slug := monitor.Slug(c.Slug)
	if err != nil || slug == "" {
		in.other(checkInRefused, 1)
		return
	}
	in.checkIns = append(in.checkIns, monitor.CheckIn{
		ProjectID: in.access.ProjectID, Slug: slug, Environment: c.Environment, ID: c.ID, Status: monitor.CheckInStatus(c.Status),
		Duration: c.Duration, Schedule: schedule(c.Config), At: in.now,
	})
}

// schedule returns what an SDK says of a monitor in the units in which it is kept.
func schedule(c *sentry.MonitorConfig) *monitor.SDKSchedule {
	if c == nil {
		return nil
	}
	return &monitor.SDKSchedule{
		Cron: c.Cron, Timezone: c.Timezone, IntervalS: int(c.Interval.Seconds()), GraceS: int(c.Margin.Seconds()),
		MaxRuntimeS: int(c.MaxRuntime.Seconds()), Failures: min(c.Failures, checkInThresholdMost),
		Recoveries: min(c.Recoveries, checkInThresholdMost),
	}
}

// storeCheckIns stores the check-ins of a request and waits for it: they are stored when the client is told that they are
// accepted.
func (f *Function) storeCheckIns(in *intake) {
	if len(in.checkIns) == 0 {
		return
	}
	items := make([]batch.Item[monitor.CheckIn], len(in.checkIns))
	for i, c := range in.checkIns {
		items[i] = batch.Item[monitor.CheckIn]{Value: c, Count: 1, Bytes: 1}
	}
	for _, err := range f.checkIns.Do(in.access.ProjectID, items) {
		if err != nil {
			in.failure = fault.Wrap(err, fault.Unavailable, "the check-ins could not be stored; send them again").After(busy)
			return
		}
	}
}
