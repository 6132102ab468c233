package ingest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mesherhq/mesher/shared/batch"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/secret"
	"github.com/mesherhq/mesher/shared/web"
)

// HeartbeatPath is what the URLs of heartbeats begin with. A token follows, and perhaps /start or /fail.
const HeartbeatPath = "/heartbeat/"

// heartbeatBody is the most of a body that is read, and thrown away: jobs like to send what they printed.
const heartbeatBody = 100_000

// heartbeat takes the call of a job. Called by: jobs, with GET, HEAD or POST. The token in the path is not logged (web.LogFailure).
func (f *Function) heartbeat(w http.ResponseWriter, r *http.Request, rest string) {
	web.Handler(f.log, func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, HEAD, POST")
			return fault.New(fault.Method, "call a heartbeat by GET, HEAD or POST")
		}
		token, status, err := readBeat(rest, r.URL.Query().Get("status"))
		if err != nil {
			return err
		}
		if err := f.discard(w, r); err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "no-store")
		if err := f.beats.take(token, status, f.now().UTC()); err != nil {
			return err
		}
		return web.JSON(w, http.StatusOK, map[string]string{"status": string(status)})
	}).ServeHTTP(w, r)
}

// readBeat reads what follows HeartbeatPath, and what the query says.
func readBeat(rest, asked string) (token secret.Hash, status monitor.CheckInStatus, err error) {
	text, suffix, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	if token, err = secret.Heartbeat.Hash(text); err != nil {
		return token, "", err
	}
	said := map[string]monitor.CheckInStatus{
		"": monitor.Ok, "ok": monitor.Ok, "start": monitor.Began, "in_progress": monitor.Began, "fail": monitor.Error, "error": monitor.Error,
	}
	status, ok := said[suffix]
	if suffix == "" {
		status, ok = said[asked]
	} else if asked != "" {
		ok = false
	}
	if !ok {
		return token, "", fault.New(fault.Invalid, "a heartbeat says that it ran by its URL alone, that it began by /start or ?status=in_progress, "+
			"and that it failed by /fail or ?status=error")
	}
	return token, status, nil
}

// discard reads the body, so that a job that sends one is not cut off before it is answered.
func (f *Function) discard(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	conn := http.NewResponseController(w)
	if err := conn.SetReadDeadline(time.Now().Add(jobsAttempt)); err == nil {
		defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
	}
	_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, heartbeatBody))
	var most *http.MaxBytesError
	switch {
	case errors.As(err, &most):
		return fault.New(fault.TooLarge, "the body is over %d bytes; a heartbeat needs none", heartbeatBody)
	case err != nil:
		return fault.Wrap(err, fault.Invalid, "the body could not be read to its end")
	}
	return nil
}

const (
	// beatsMost is how many calls are remembered that were stored, and as many tokens that are not known.
	beatsMost = 10_000
	// beatsRetryAfter is how long a job is asked to wait when its call could not be stored.
	beatsRetryAfter = 5 * time.Second
)

// beat is one call on its way to the database, and whether its token is known there.
type beat struct {
	monitor.Beat
	known bool
}

// call is what calls are told apart by: of those that agree one is stored.
type call struct {
	token  secret.Hash
	status monitor.CheckInStatus
	second int64
}

// beats stores the calls of heartbeats. Of a heartbeat and status one call a second reaches the database; a token that is not
// known is looked up again after unknownFresh.
type beats struct {
	batcher *batch.Batcher[struct{}, *beat]
	flight  singleflight.Group

	mu      sync.Mutex
	stored  map[call]bool
	refused map[secret.Hash]time.Time
}

func newBeats(db monitor.DB, cfg Config) *beats {
	return &beats{
		stored: make(map[call]bool), refused: make(map[secret.Hash]time.Time),
		batcher: batch.New(batch.Config{
			MaxCount: jobsBatch, MaxBytes: jobsBatch, BufferCount: jobsWaiting, BufferBytes: jobsWaiting,
			BufferCallers: max(cfg.Concurrency/4, 1), Stuck: time.Second, Attempt: jobsAttempt,
		}, func(ctx context.Context, _ struct{}, waiting []*beat) (int, error) {
			all := make([]monitor.Beat, len(waiting))
			for i, b := range waiting {
				all[i] = b.Beat
			}
			known, err := monitor.RecordBeats(ctx, db, all)
			if err != nil {
				return 0, err
			}
			for i, b := range waiting {
				b.known = known[i]
			}
			return len(waiting), nil
		}),
	}
}

// take returns once the call is stored.
func (b *beats) take(token secret.Hash, status monitor.CheckInStatus, now time.Time) error {
	c := call{token, status, now.Unix()}
	b.mu.Lock()
	stored, until := b.stored[c], b.refused[token]
	b.mu.Unlock()
	switch {
	case stored:
		return nil
	case now.Before(until):
		return errNoHeartbeat()
	}
	_, err, _ := b.flight.Do(string(token[:])+string(status)+now.Format(time.DateTime), func() (any, error) {
		one := &beat{Beat: monitor.Beat{Token: token, Status: status, At: now}}
		if errs := b.batcher.Do(struct{}{}, []batch.Item[*beat]{{Value: one, Count: 1, Bytes: 1}}); errs != nil {
			return nil, fault.Wrap(errs[0], fault.Unavailable, "the heartbeat could not be stored; call again").After(beatsRetryAfter)
		}
		return nil, b.remember(c, one.known)
	})
	return err
}

// remember keeps what the database knows of a call, and returns what that means.
func (b *beats) remember(c call, known bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known {
		if len(b.stored) >= beatsMost {
			clear(b.stored)
		}
		b.stored[c] = true
		return nil
	}
	if len(b.refused) >= beatsMost {
		clear(b.refused)
	}
	b.refused[c.token] = time.Unix(c.second, 0).Add(unknownFresh)
	return errNoHeartbeat()
}

func errNoHeartbeat() error {
	return fault.New(fault.Unauthenticated, "there is no heartbeat with this token, or it was given another one; copy the URL again")
}
