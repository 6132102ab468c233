package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	// sampleEvery is how many events share one measurement of the time until an event is visible.
	sampleEvery = 50
	samplePoll  = 2 * time.Millisecond
	// drainMost is how long a round waits for the last event to be stored.
	drainMost = 2 * time.Minute
)

// sample is an event whose way into the database is timed.
type sample struct {
	project, event uuid.UUID
	sent           time.Time
}

// measurePath sends events over HTTP, one a request, and adds how many a second were acknowledged, stored and
// counted, from the first byte sent until the database counts the last one.
func (b *benchmark) measurePath(ctx context.Context, events [][]byte, r *round) error {
	before, err := b.counted(ctx)
	if err != nil {
		return err
	}
	samples := make(chan sample, len(events)/sampleEvery+b.clients)
	watched := make(chan []time.Duration, 1)
	go func() { watched <- b.watch(ctx, samples) }()

	start := time.Now()
	acks, err := b.send(ctx, events, samples)
	close(samples)
	if err != nil {
		<-watched
		return err
	}
	for deadline := start.Add(drainMost); ; {
		n, err := b.counted(ctx)
		if err != nil {
			return err
		}
		if n-before == len(events) {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d events were acknowledged, %d are counted", len(events), n-before)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the last event: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	r.path = float64(len(events)) / time.Since(start).Seconds()
	r.acks = acks
	r.latencies = <-watched
	return nil
}

// counted returns how many events the issues of the benchmark's projects count.
func (b *benchmark) counted(ctx context.Context) (int, error) {
	ids := make([]string, len(b.tests))
	for i, t := range b.tests {
		ids[i] = t.project.String()
	}
	var n int
	err := b.pool.QueryRow(ctx, `
		select coalesce(sum(event_count), 0) from mesher.issues where project_id = any ($1::text[]::uuid[])`, ids).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count events: %w", err)
	}
	return n, nil
}

// send sends every event once and returns the times until they were acknowledged.
func (b *benchmark) send(ctx context.Context, events [][]byte, samples chan<- sample) ([]time.Duration, error) {
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		mu     sync.Mutex
		acks   []time.Duration
		failed error
	)
	host := strings.TrimPrefix(b.info.URL, "http://")
	for range b.clients {
		wg.Go(func() {
			mine, err := b.client(ctx, host, events, &next, samples)
			mu.Lock()
			defer mu.Unlock()
			acks = append(acks, mine...)
			failed = cmp.Or(failed, err) // one is enough to know, all may be a thousand
		})
	}
	wg.Wait()
	return acks, failed
}

// client sends events over one connection until none is left. It speaks just enough HTTP for that: a full
// client would take more of the processor than the platform does, and the two share one here.
func (b *benchmark) client(ctx context.Context, host string, events [][]byte, next *atomic.Int64, samples chan<- sample) ([]time.Duration, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	var (
		in   = bufio.NewReader(conn)
		out  []byte
		acks []time.Duration
	)
	for {
		i := int(next.Add(1)) - 1
		if i >= len(events) || ctx.Err() != nil {
			return acks, nil
		}
		t := b.tests[i%len(b.tests)]
		out = fmt.Appendf(out[:0], "POST /v1/events HTTP/1.1\r\nHost: %s\r\nX-Mesher-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
			host, t.key, len(events[i]))
		out = append(out, events[i]...)
		sent := time.Now()
		if _, err := conn.Write(out); err != nil {
			return acks, fmt.Errorf("send: %w", err)
		}
		status, body, err := readAnswer(in)
		if err != nil {
			return acks, fmt.Errorf("read the answer: %w", err)
		}
		if status != 202 {
			return acks, fmt.Errorf("the platform answered %d: %s", status, body)
		}
		acks = append(acks, time.Since(sent))
		if i%sampleEvery == 0 {
			id, err := eventID(body)
			if err != nil {
				return acks, err
			}
			samples <- sample{t.project, id, sent}
		}
	}
}

// readAnswer reads one HTTP answer that has a Content-Length.
func readAnswer(in *bufio.Reader) (status int, body []byte, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, nil, fmt.Errorf("read a line: %w", err)
		}
		line = bytes.TrimSpace(line)
		switch name, value, _ := bytes.Cut(line, []byte(":")); {
		case first:
			if len(line) < len("HTTP/1.1 200") {
				return 0, nil, fmt.Errorf("not HTTP: %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, nil, fmt.Errorf("not HTTP: %q", line)
			}
		case len(line) == 0:
			body = make([]byte, length)
			_, err = io.ReadFull(in, body)
			return status, body, err
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, nil, fmt.Errorf("a Content-Length of %q", value)
			}
		}
	}
}

// eventID returns the event id in an answer that accepts one event.
func eventID(body []byte) (uuid.UUID, error) {
	_, rest, _ := strings.Cut(string(body), `"event_id":"`)
	text, _, _ := strings.Cut(rest, `"`)
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, fmt.Errorf("the answer has no event id: %s", body)
	}
	return id, nil
}

// watch asks the database for sampled events until each is visible, and returns how long that took from their
// sending.
func (b *benchmark) watch(ctx context.Context, samples <-chan sample) []time.Duration {
	var (
		out     []time.Duration
		waiting []sample
		open    = true
		since   = time.Now().Add(-time.Minute)
	)
	for (open || len(waiting) > 0) && ctx.Err() == nil && time.Since(since) < drainMost {
		for more := true; more && open; {
			select {
			case s, ok := <-samples:
				if open = ok; ok {
					waiting = append(waiting, s)
				}
			default:
				more = false
			}
		}
		if len(waiting) > 0 {
			waiting = b.visible(ctx, waiting, since, &out)
		}
		time.Sleep(samplePoll)
	}
	return out
}

// visible moves the samples that a query finds to out and returns the others.
func (b *benchmark) visible(ctx context.Context, waiting []sample, since time.Time, out *[]time.Duration) []sample {
	events, projects := make([]string, len(waiting)), make([]string, len(waiting))
	for i, s := range waiting {
		events[i], projects[i] = s.event.String(), s.project.String()
	}
	// One probe of an index for each, so that the question itself costs next to nothing.
	rows, err := b.pool.Query(ctx, `
		select s.event::text
		from unnest($1::text[]::uuid[], $2::text[]::uuid[]) as s (project, event), lateral (
			select from mesher.events e
			where e.project_id = s.project and e.event_id = s.event and e.received_at > $3 limit 1) e`,
		projects, events, since)
	if err != nil {
		return waiting
	}
	defer rows.Close()
	found := make(map[string]bool)
	for rows.Next() {
		var id string
		if rows.Scan(&id) == nil {
			found[id] = true
		}
	}
	if rows.Err() != nil {
		return waiting // asked again in a moment
	}
	now := time.Now()
	left := waiting[:0]
	for _, s := range waiting {
		if found[s.event.String()] {
			*out = append(*out, now.Sub(s.sent))
		} else {
			left = append(left, s)
		}
	}
	return left
}
