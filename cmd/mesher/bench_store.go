package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"github.com/mesherhq/mesher/functions/store"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/topic"
)

// benchBatch is how many events a message or a COPY holds.
const benchBatch = 500

// generate returns n realistic events in the native format, of about fifty issues; others for each seed.
func generate(seed uint64, n int) [][]byte {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), seed))
	out := make([][]byte, n)
	for i := range out {
		out[i] = eventtest.RealisticAt(rng, i, time.Now())
	}
	return out
}

func averageSize(events [][]byte) int {
	sum := 0
	for _, e := range events {
		sum += len(e)
	}
	return sum / len(events)
}

// canonical decodes native events as Ingest does, with fresh ids.
func canonical(project uuid.UUID, raw [][]byte) ([]event.Event, error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	out := make([]event.Event, len(raw))
	for i, r := range raw {
		e, err := event.Decode(r, event.DefaultLimits(), now)
		if err != nil {
			return nil, fmt.Errorf("decode an event: %w", err)
		}
		e.EventID = e.ID
		grouping.Group(project, &e)
		out[i] = e
	}
	return out, nil
}

// measureCopy returns how many rows a second COPY takes: encoded before the clock starts, one transaction a
// batch, one connection. Nothing that stores the same rows durably in such batches can be faster.
func (b *benchmark) measureCopy(ctx context.Context, raw [][]byte) (float64, error) {
	project := b.tests[0].project
	events, err := canonical(project, raw)
	if err != nil {
		return 0, err
	}
	var streams []string
	for start := 0; start < len(events); start += benchBatch {
		buf := []byte(store.CopyHeader)
		for i := start; i < min(start+benchBatch, len(events)); i++ {
			buf = store.AppendTuple(buf, project, &events[i])
		}
		streams = append(streams, string(buf)+store.CopyTrailer)
	}
	conn, err := pgx.Connect(ctx, b.info.DatabaseURL)
	if err != nil {
		return 0, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	start := time.Now()
	for _, s := range streams {
		if _, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(s), store.CopySQL); err != nil {
			return 0, fmt.Errorf("copy: %w", err)
		}
	}
	return float64(len(events)) / time.Since(start).Seconds(), nil
}

// benchPushes is how many messages of the project are pushed at the same time, as its ordering keys allow.
const benchPushes = 4

// measureStore returns how many events a second the function Store takes from push requests to the commit.
func (b *benchmark) measureStore(ctx context.Context, raw [][]byte) (float64, error) {
	bodies, err := pushes(b.tests[0].project, raw)
	if err != nil {
		return 0, err
	}
	f, err := store.New(ctx, store.Config{
		Database: postgres.Config{URL: b.info.DatabaseURL, PoolSize: 2, ConnectTimeout: 5 * time.Second, IdleTimeout: time.Minute},
		Slots:    2, Memory: 1 << 28, Rows: 1000, Waiting: 250, Timeout: 25 * time.Second,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, fmt.Errorf("make Store: %w", err)
	}
	defer f.Close(ctx)
	var (
		wg     sync.WaitGroup
		next   atomic.Int64
		failed atomic.Value
	)
	start := time.Now()
	for range benchPushes {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(bodies)); i = next.Add(1) - 1 {
				if err := push(ctx, f, bodies[i]); err != nil {
					failed.Store(err)
				}
			}
		})
	}
	wg.Wait()
	if err, ok := failed.Load().(error); ok {
		return 0, err
	}
	return float64(len(raw)) / time.Since(start).Seconds(), nil
}

// push hands Store one push request.
func push(ctx context.Context, f *store.Function, body string) error {
	w := httptest.NewRecorder()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	r.ContentLength = int64(len(body))
	if f.ServeHTTP(w, r); w.Code != http.StatusNoContent {
		return fmt.Errorf("the function Store answered %d: %s", w.Code, w.Body)
	}
	return nil
}

// pushes returns push requests that hold the events, benchBatch in each.
func pushes(project uuid.UUID, raw [][]byte) ([]string, error) {
	events, err := canonical(project, raw)
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		return nil, fmt.Errorf("make a zstd encoder: %w", err)
	}
	var out []string
	for start := 0; start < len(events); start += benchBatch {
		var lines []byte
		n := 0
		for i := start; i < min(start+benchBatch, len(events)); i++ {
			lines = append(events[i].AppendLine(lines), '\n')
			n++
		}
		out = append(out, string(topic.EncodePush(topic.Message{
			Data: z.EncodeAll(lines, nil), ID: uuid.NewString(), PublishTime: time.Now(),
			Attributes: map[string]string{
				"schema": strconv.Itoa(event.Schema), "project_id": project.String(),
				"batch_id": uuid.NewString(), "events": strconv.Itoa(n),
			},
		})))
	}
	return out, nil
}
