// Package clock says what time it is, so that a test can move time for a whole platform.
package clock

import (
	"context"
	"time"
)

// Clock returns the time that it is, in UTC.
type Clock func() time.Time

type key struct{}

// With returns a context whose functions live in the time that now tells.
func With(ctx context.Context, now Clock) context.Context { return context.WithValue(ctx, key{}, now) }

// Of returns the clock of a context: the system's, unless With gave it another.
func Of(ctx context.Context) Clock {
	if now, ok := ctx.Value(key{}).(Clock); ok {
		return now
	}
	return func() time.Time { return time.Now().UTC() }
}
