package clock

import (
	"sync"
	"time"
)

// Hand is a clock that stands still until somebody moves it. It is safe for concurrent use.
type Hand struct {
	mu  sync.Mutex
	now time.Time
}

// NewHand returns a clock that stands at a time.
func NewHand(at time.Time) *Hand { return &Hand{now: at.UTC()} }

// Now is the Clock.
func (h *Hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// Set moves the clock, forward or back.
func (h *Hand) Set(to time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = to.UTC()
}
