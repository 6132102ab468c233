package ingest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/topic"
)

// line is one event on its way into a message: its canonical JSON line, and the key that brought it.
type line struct {
	text []byte
	key  uuid.UUID
}

// publisher turns the lines of a project into messages.
type publisher struct {
	publish func(context.Context, topic.Message) (string, error)
	zstd    *zstd.Encoder
	shards  int

	mu       sync.Mutex
	projects map[uuid.UUID]*shards
}

// shards is how far each ordering key of a project is booked, and which one was used last.
type shards struct {
	last int
	free []time.Time
}

// projectsMost bounds the projects whose ordering keys are remembered; forgetting one costs nothing but a
// moment in which its keys may be used faster than Pub/Sub likes.
const projectsMost = 10_000

func newPublisher(publish func(context.Context, topic.Message) (string, error), keyShards int) (*publisher, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(zstdWindow))
	if err != nil {
		return nil, fmt.Errorf("make a zstd encoder: %w", err)
	}
	return &publisher{publish: publish, zstd: z, shards: max(keyShards, 1), projects: make(map[uuid.UUID]*shards)}, nil
}

// zstdWindow bounds what the encoder looks back on and so its memory, in bytes. Events resemble the events
// just before them.
const zstdWindow = 1 << 20

// flush publishes lines of one project, as one message if they fit into one. It returns how many lines, from
// the front, are published.
func (p *publisher) flush(ctx context.Context, project uuid.UUID, lines []line) (int, error) {
	size := 0
	for _, l := range lines {
		size += len(l.text)
	}
	raw := make([]byte, 0, size)
	for _, l := range lines {
		raw = append(raw, l.text...)
	}
	return p.send(ctx, project, lines, raw)
}

// send publishes raw, the text of lines, halving it while it is too large for one message.
func (p *publisher) send(ctx context.Context, project uuid.UUID, lines []line, raw []byte) (int, error) {
	data := p.zstd.EncodeAll(raw, nil)
	if len(data) > messageCompressed && len(lines) > 1 {
		half, cut := len(lines)/2, 0
		for _, l := range lines[:half] {
			cut += len(l.text)
		}
		n, err := p.send(ctx, project, lines[:half], raw[:cut])
		if err != nil {
			return n, err
		}
		n, err = p.send(ctx, project, lines[half:], raw[cut:])
		return half + n, err
	}
	msg, err := message(project, lines, data)
	if err != nil {
		return 0, err
	}
	if msg.OrderingKey, err = p.orderingKey(ctx, project, len(data)); err != nil {
		return 0, err
	}
	if _, err := p.publish(ctx, msg); err != nil {
		return 0, err
	}
	return len(lines), nil
}

// message returns the message that holds data, without its ordering key.
func message(project uuid.UUID, lines []line, data []byte) (topic.Message, error) {
	batch, err := uuid.NewV7()
	if err != nil {
		return topic.Message{}, fmt.Errorf("make a batch id: %w", err)
	}
	attributes := map[string]string{
		"schema":     strconv.Itoa(event.Schema),
		"project_id": project.String(),
		"batch_id":   batch.String(),
		"events":     strconv.Itoa(len(lines)),
	}
	// A message may hold what several keys of the project brought; it names a key only when all is of one.
	key := lines[0].key
	for _, l := range lines[1:] {
		if l.key != key {
			return topic.Message{Data: data, Attributes: attributes}, nil
		}
	}
	attributes["key_id"] = key.String()
	return topic.Message{Data: data, Attributes: attributes}, nil
}

// orderingKey returns the next of the project's ordering keys that may take size more bytes now. Pub/Sub
// takes 1 MB/s a key; when all keys are booked, it waits for the first that is free.
func (p *publisher) orderingKey(ctx context.Context, project uuid.UUID, size int) (string, error) {
	shard, wait := p.book(project, size, time.Now())
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return "", fault.New(fault.Unavailable, "the project sends more than its ordering keys can take; raise INGEST_SHARDS").After(busy)
		}
	}
	return project.String() + "/" + strconv.Itoa(shard), nil
}

// book reserves size bytes on one of the project's keys and returns it with the time until it is free.
func (p *publisher) book(project uuid.UUID, size int, now time.Time) (shard int, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.projects[project]
	if s == nil {
		if len(p.projects) >= projectsMost {
			clear(p.projects)
		}
		// Instances start at different keys, so that they do not all use the same one.
		s = &shards{last: rand.IntN(p.shards), free: make([]time.Time, p.shards)}
		p.projects[project] = s
	}
	best := (s.last + 1) % p.shards
	for i := 1; i <= p.shards; i++ {
		next := (s.last + i) % p.shards
		if !s.free[next].After(now) {
			best = next
			break
		}
		if s.free[next].Before(s.free[best]) {
			best = next
		}
	}
	s.last = best
	start := s.free[best]
	if start.Before(now) {
		start = now
	}
	s.free[best] = start.Add(time.Duration(size) * time.Second / keyBytesPerSecond)
	return best, start.Sub(now)
}
