package notify

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// laneMost is how many notifications of one channel an instance delivers at a time, laneWaiting how many more may wait
	// for that, and laneWait for how long: a receiver that is slow holds nobody but itself.
	laneMost    = 2
	laneWaiting = 8
	laneWait    = 5 * time.Second
	// laneBusy is how long a notification is put off that may not wait.
	laneBusy = 20 * time.Second
)

// lanes bound how many notifications of one channel are delivered at a time. The zero value is ready.
type lanes struct {
	mu   sync.Mutex
	open map[uuid.UUID]*lane
}

type lane struct {
	slots chan struct{}
	users int // that are in it or wait
}

// enter waits until one more notification of a channel may be delivered, and returns what has to be called afterwards; false:
// too many are.
func (l *lanes) enter(ctx context.Context, channel uuid.UUID) (leave func(), ok bool) {
	in, ok := l.queue(channel)
	if !ok {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, laneWait)
	defer cancel()
	select {
	case in.slots <- struct{}{}:
		return func() { <-in.slots; l.leave(channel, in) }, true
	case <-ctx.Done():
		l.leave(channel, in)
		return nil, false
	}
}

func (l *lanes) queue(channel uuid.UUID) (*lane, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in, ok := l.open[channel]
	if !ok {
		in = &lane{slots: make(chan struct{}, laneMost)}
		if l.open == nil {
			l.open = map[uuid.UUID]*lane{}
		}
		l.open[channel] = in
	}
	if in.users >= laneMost+laneWaiting {
		return nil, false
	}
	in.users++
	return in, true
}

func (l *lanes) leave(channel uuid.UUID, in *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in.users--; in.users == 0 {
		delete(l.open, channel)
	}
}
