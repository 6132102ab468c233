package probe

import (
	"context"
	"log/slog"
	"time"

	"github.com/mesherhq/mesher/functions/probe/check"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/outbound"
)

// looker makes looks with package check.
type looker struct{ *check.Checker }

func newLooker(cfg Config, log *slog.Logger) (Looker, error) {
	guard, err := outbound.New(cfg.Outbound)
	if err != nil {
		return nil, err
	}
	return looker{check.New(guard, log, check.Options{Region: cfg.Region})}, nil
}

// Look implements Looker.
func (l looker) Look(ctx context.Context, m monitor.Monitor, s monitor.Secrets) monitor.Look {
	return l.Run(ctx, m.Kind, m.Config, s, time.Duration(m.TimeoutMS)*time.Millisecond)
}
