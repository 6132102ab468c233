package ingest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/topic"
)

// outbox collects what is published.
type outbox struct {
	messages []topic.Message
	fail     func(n int) error // of the nth publish, from 1
	calls    int
}

func (o *outbox) publish(_ context.Context, m topic.Message) (string, error) {
	o.calls++
	if o.fail != nil {
		if err := o.fail(o.calls); err != nil {
			return "", err
		}
	}
	o.messages = append(o.messages, m)
	return strconv.Itoa(o.calls), nil
}

// unpack returns the lines of a message.
func unpack(t testing.TB, data []byte) []string {
	t.Helper()
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	raw, err := z.DecodeAll(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}

// noisy returns n lines of the given size that do not compress.
func noisy(n, size int, key uuid.UUID) ([]line, []string) {
	var lines []line
	var texts []string
	for range n {
		noise := make([]byte, size)
		_, _ = rand.Read(noise)
		text := string(bytes.ReplaceAll(noise, []byte("\n"), []byte(" ")))
		lines = append(lines, line{[]byte(text + "\n"), key})
		texts = append(texts, text)
	}
	return lines, texts
}

func TestPublisher_Message(t *testing.T) {
	t.Parallel()
	var out outbox
	p, err := newPublisher(out.publish, 4)
	if err != nil {
		t.Fatal(err)
	}
	project, keyA, keyB := uuid.New(), uuid.New(), uuid.New()
	a, b := line{[]byte("{\"a\":1}\n"), keyA}, line{[]byte("{\"b\":2}\n"), keyB}
	for _, lines := range [][]line{{a, a}, {a, b}, {b}} {
		if n, err := p.flush(t.Context(), project, lines); n != len(lines) || err != nil {
			t.Fatalf("flush = %d, %v", n, err)
		}
	}
	var got []map[string]string
	seen := map[string]bool{}
	for _, m := range out.messages {
		id, err := uuid.Parse(m.Attributes["batch_id"])
		if err != nil || id.Version() != 7 || seen[id.String()] {
			t.Errorf("batch_id %q", m.Attributes["batch_id"])
		}
		seen[id.String()] = true
		delete(m.Attributes, "batch_id")
		got = append(got, m.Attributes)
		if owner, shard, _ := strings.Cut(m.OrderingKey, "/"); owner != project.String() || shard < "0" || shard > "3" {
			t.Errorf("ordering key %q", m.OrderingKey)
		}
	}
	want := []map[string]string{
		{"schema": "1", "project_id": project.String(), "events": "2", "key_id": keyA.String()},
		{"schema": "1", "project_id": project.String(), "events": "2"},
		{"schema": "1", "project_id": project.String(), "events": "1", "key_id": keyB.String()},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{`{"a":1}`, `{"b":2}`}, unpack(t, out.messages[1].Data)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestPublisher_HalvesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	lines, texts := noisy(500, 10_000, uuid.New()) // 5 MB; halved until 62 or 63 stay together
	t.Run("in order, each message below the limit", func(t *testing.T) {
		t.Parallel()
		var out outbox
		p, _ := newPublisher(out.publish, 16)
		if n, err := p.flush(t.Context(), uuid.New(), lines); n != len(lines) || err != nil {
			t.Fatalf("flush = %d, %v", n, err)
		}
		var got []string
		for _, m := range out.messages {
			if len(m.Data) > messageCompressed {
				t.Errorf("a message has %d bytes", len(m.Data))
			}
			part := unpack(t, m.Data)
			if m.Attributes["events"] != strconv.Itoa(len(part)) {
				t.Errorf("a message of %d events says %s", len(part), m.Attributes["events"])
			}
			got = append(got, part...)
		}
		if diff := cmp.Diff(texts, got); diff != "" || len(out.messages) != 8 {
			t.Errorf("%d messages, lines (-want +got):\n%.500s", len(out.messages), diff)
		}
	})
	t.Run("and says how far it came", func(t *testing.T) {
		t.Parallel()
		for failing, want := range map[int]int{1: 0, 2: 62, 3: 125, 8: 437} {
			away := errors.New("away")
			out := outbox{fail: func(n int) error {
				if n == failing {
					return away
				}
				return nil
			}}
			p, _ := newPublisher(out.publish, 16)
			n, err := p.flush(t.Context(), uuid.New(), lines)
			if n != want || !errors.Is(err, away) || len(out.messages) != failing-1 {
				t.Errorf("publish %d fails: %d lines done with %d messages, %v", failing, n, len(out.messages), err)
			}
		}
	})
	t.Run("down to one event, which goes as it is", func(t *testing.T) {
		t.Parallel()
		var out outbox
		p, _ := newPublisher(out.publish, 16)
		big, _ := noisy(2, 1_100_000, uuid.New())
		if n, err := p.flush(t.Context(), uuid.New(), big); n != 2 || err != nil || len(out.messages) != 2 {
			t.Errorf("flush = %d, %v in %d messages", n, err, len(out.messages))
		}
	})
}

func TestPublisher_SpreadsOverOrderingKeys(t *testing.T) {
	t.Parallel()
	t.Run("one after another", func(t *testing.T) {
		t.Parallel()
		p, _ := newPublisher(nil, 4)
		project, now := uuid.New(), time.Now()
		first, _ := p.book(project, 100, now)
		for i := 1; i < 9; i++ {
			shard, wait := p.book(project, 100, now.Add(time.Duration(i)*time.Second))
			if shard != (first+i)%4 || wait != 0 {
				t.Errorf("publish %d goes to %d after %s, the first went to %d", i, shard, wait, first)
			}
		}
	})
	t.Run("each below a megabyte a second", func(t *testing.T) {
		t.Parallel()
		p, _ := newPublisher(nil, 3)
		project, start := uuid.New(), time.Now()
		now := start
		sent, free := map[int]int{}, map[int]time.Time{}
		for i := range 200 {
			size := 100_000 + i*4321%800_000
			shard, wait := p.book(project, size, now)
			now = now.Add(wait) // as orderingKey waits
			if now.Before(free[shard]) {
				t.Fatalf("publish %d goes to shard %d, which is booked for another %s", i, shard, free[shard].Sub(now))
			}
			free[shard] = now.Add(time.Duration(size) * time.Second / keyBytesPerSecond)
			sent[shard] += size
		}
		total := 0
		for shard, n := range sent {
			total += n
			if spent := free[shard].Sub(start).Seconds(); float64(n) > spent*keyBytesPerSecond*1.001 {
				t.Errorf("shard %d took %d bytes in %.1f s", shard, n, spent)
			}
		}
		// Waiting is for the first that is free, so the three are busy nearly all the time.
		if rate := float64(total) / now.Sub(start).Seconds(); rate < 2.7e6 {
			t.Errorf("%.0f bytes/s, want about 3 MB/s", rate)
		}
	})
	t.Run("and waits no longer than its caller", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			p, _ := newPublisher(nil, 1)
			project := uuid.New()
			if _, err := p.orderingKey(t.Context(), project, 5_000_000); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := p.orderingKey(ctx, project, 1000); !fault.Is(err, fault.Unavailable) {
				t.Errorf("err = %v", err)
			}
			start := time.Now()
			if key, err := p.orderingKey(t.Context(), project, 1000); err != nil || key != project.String()+"/0" {
				t.Errorf("key %q, %v", key, err)
			}
			if waited := time.Since(start); waited < 3*time.Second || waited > 5*time.Second {
				t.Errorf("waited %s for a key that is booked for 4 s more", waited)
			}
		})
	})
	t.Run("and remembers a bounded number of projects", func(t *testing.T) {
		t.Parallel()
		p, _ := newPublisher(nil, 0) // as good as one
		for range projectsMost + 10 {
			p.book(uuid.New(), 1, time.Now())
		}
		if n := len(p.projects); n > projectsMost {
			t.Errorf("%d projects", n)
		}
	})
}

func BenchmarkFlush(b *testing.B) {
	for _, n := range []int{1, 100, 500} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			p, err := newPublisher(func(context.Context, topic.Message) (string, error) { return "1", nil }, 16)
			if err != nil {
				b.Fatal(err)
			}
			text := append(bytes.Repeat([]byte(`{"message":"disk full","level":"error","tags":{}}`), 50), '\n')
			var lines []line
			for range n {
				lines = append(lines, line{text, uuid.Nil})
			}
			b.SetBytes(int64(n * len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.flush(b.Context(), uuid.New(), lines); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
