package clock_test

import (
	"context"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/clock"
)

func TestOf(t *testing.T) {
	t.Parallel()
	before := time.Now()
	if got := clock.Of(t.Context())(); got.Before(before) || got.Location() != time.UTC {
		t.Errorf("the system's clock tells %v", got)
	}
	at := time.Date(2030, 2, 28, 23, 59, 0, 0, time.FixedZone("", 3600))
	hand := clock.NewHand(at)
	ctx, cancel := context.WithCancel(clock.With(t.Context(), hand.Now))
	defer cancel()
	if got := clock.Of(ctx)(); !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("the clock tells %v, want %v", got, at)
	}
	hand.Set(at.Add(time.Hour))
	if got := clock.Of(ctx)(); !got.Equal(at.Add(time.Hour)) || got.Location() != time.UTC {
		t.Errorf("once moved, it tells %v", got)
	}
}
