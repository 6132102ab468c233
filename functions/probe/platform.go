package probe

import (
	"context"
	"time"

	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/postgres"
)

// platform looks at a part of this installation.
func (r *round) platform(ctx context.Context, m monitor.Monitor, timeout time.Duration) monitor.Look {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	look, err := r.part(ctx, m.Config.Platform.Part)
	if err != nil {
		r.log.WarnContext(ctx, "a part of the platform cannot be looked at", "part", m.Config.Platform.Part, "error", err)
		look = failed("unreachable", "it cannot be looked at: the log has the reason")
		if ctx.Err() != nil {
			look = failed("timeout", "it did not answer within "+timeout.String())
		}
	}
	if look.Latency == 0 {
		look.Latency = time.Since(began)
	}
	return look
}

func (r *round) part(ctx context.Context, part monitor.Part) (monitor.Look, error) {
	switch part {
	case monitor.PartPartitions:
		h, err := postgres.PartitionHorizon(ctx, r.pool, r.run.At)
		return monitor.Horizon(h.Days, len(h.Gaps)), err
	case monitor.PartScheduler:
		ok, problems, err := r.schedule.Check(ctx, r.pool, r.run.At)
		return monitor.Jobs(ok, problems), err
	case monitor.PartDatabase, monitor.PartQueue, monitor.PartDeadLetters:
	}
	return monitor.Measure(ctx, r.pool, part, r.run.At)
}
