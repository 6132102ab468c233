package pubsub

import (
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// subscription decides which message is delivered when. Messages wait in lanes: all messages of an ordering key
// share one, a message without a key has its own. A lane is in exactly one place: ready, with a worker, waiting
// out a backoff, or leased to a puller. So at most one message of a key is outstanding, and a stuck key holds up
// no other.
type subscription struct {
	srv  *Server
	name string

	mu      sync.Mutex
	conf    *pubsubpb.Subscription // replaced, never changed
	lanes   map[string]*lane       // by ordering key
	ready   []*lane                // in order of their turn
	backoff map[*lane]*time.Timer
	leases  map[string]*lease
	backlog int
	workers int
	live    bool // declared in this run: the endpoint is ours
	stopped bool
}

// lane is the queue of one ordering key, or a single message without one.
type lane struct {
	key      string
	seqs     []uint64
	attempts int // failed deliveries of the first message
}

// delivery is one try to deliver the first message of a lane.
type delivery struct {
	lane    *lane
	seq     uint64
	attempt int
	conf    *pubsubpb.Subscription
}

func newSubscription(srv *Server, conf *pubsubpb.Subscription) *subscription {
	return &subscription{
		srv: srv, name: conf.GetName(), conf: conf,
		lanes: map[string]*lane{}, backoff: map[*lane]*time.Timer{}, leases: map[string]*lease{},
	}
}

// offer adds a stored message. Calls come in the order of seq.
func (s *subscription) offer(seq uint64, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backlog++
	if !s.conf.GetEnableMessageOrdering() {
		key = ""
	}
	if l := s.lanes[key]; l != nil {
		l.seqs = append(l.seqs, seq)
		return
	}
	l := &lane{key: key, seqs: []uint64{seq}}
	if key != "" {
		s.lanes[key] = l
	}
	s.ready = append(s.ready, l)
	s.start(1)
}

// start adds up to n workers. The caller holds mu.
func (s *subscription) start(n int) {
	if !s.pushes() {
		return
	}
	for range min(n, s.srv.opts.MaxOutstanding-s.workers) {
		s.workers++
		s.srv.work.Go(s.run)
	}
}

// pushes reports whether messages may be pushed now. The caller holds mu.
func (s *subscription) pushes() bool {
	return s.live && !s.stopped && s.conf.GetPushConfig().GetPushEndpoint() != ""
}

// run is a worker: it delivers what is ready and ends when nothing is.
func (s *subscription) run() {
	for {
		s.mu.Lock()
		if !s.pushes() || len(s.ready) == 0 {
			s.workers--
			s.mu.Unlock()
			return
		}
		d := s.take()
		s.mu.Unlock()
		s.deliver(d)
	}
}

// take removes the next lane from ready. The caller holds mu and has seen that there is one.
func (s *subscription) take() delivery {
	l := s.ready[0]
	s.ready[0] = nil
	s.ready = s.ready[1:]
	return delivery{lane: l, seq: l.seqs[0], attempt: l.attempts + 1, conf: s.conf}
}

// acked is told that the first message of l is acknowledged. The lane's next message has its turn after the lanes
// that are ready; no worker is started, because the caller is one.
func (s *subscription) acked(l *lane) {
	s.mu.Lock()
	seq := s.pop(l)
	s.mu.Unlock()
	s.srv.disk.remove(s.name, seq)
}

// pop removes the first message of l and makes the lane ready for the next. The caller holds mu.
func (s *subscription) pop(l *lane) uint64 {
	seq := l.seqs[0]
	l.seqs = l.seqs[1:]
	l.attempts = 0
	s.backlog--
	if len(l.seqs) > 0 {
		s.ready = append(s.ready, l)
	} else if l.key != "" {
		delete(s.lanes, l.key)
	}
	return seq
}

// again makes l ready to deliver the same message once more.
func (s *subscription) again(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(s.ready, l)
	s.start(1)
}

// failed is told that d was not acknowledged. The message is tried again after a pause, or dead-lettered.
func (s *subscription) failed(d delivery) {
	s.mu.Lock()
	d.lane.attempts = d.attempt
	s.mu.Unlock()
	if limit := d.conf.GetDeadLetterPolicy().GetMaxDeliveryAttempts(); limit > 0 && d.attempt >= int(limit) {
		if s.deadLetter(d) {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.backoff[d.lane] = time.AfterFunc(pause(d.conf, d.attempt), func() { s.resume(d.lane) })
}

// resume ends the backoff of l.
func (s *subscription) resume(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.backoff[l]; ok && !s.stopped { // else redeclare was quicker
		delete(s.backoff, l)
		s.ready = append(s.ready, l)
		s.start(1)
	}
}

// redeclare takes a configuration that was declared in this run. What waits out a backoff is tried at once: the
// endpoint may be another now.
func (s *subscription) redeclare(conf *pubsubpb.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf, s.live = conf, true
	for l, timer := range s.backoff {
		timer.Stop()
		s.ready = append(s.ready, l)
	}
	clear(s.backoff)
	s.start(len(s.ready))
}

// stop ends deliveries; those in flight may still be acknowledged.
func (s *subscription) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, timer := range s.backoff {
		timer.Stop()
	}
	for _, held := range s.leases {
		held.timer.Stop()
	}
}

func (s *subscription) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlog
}

func (s *subscription) config() *pubsubpb.Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conf
}
