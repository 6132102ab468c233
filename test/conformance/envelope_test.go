package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// recorder is the last part of an SDK's way to the platform: it keeps the events that pass, and the answers.
type recorder struct {
	mu      sync.Mutex
	events  map[string]json.RawMessage // by id
	others  map[string]int             // items that are no events, by type
	answers map[string]int             // status of the answer, by the id of the event
	err     error
}

func newRecorder() *recorder {
	return &recorder{events: map[string]json.RawMessage{}, others: map[string]int{}, answers: map[string]int{}}
}

// RoundTrip sends a request on.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := http.DefaultTransport.RoundTrip(out)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.err = errors.Join(r.err, err)
		return resp, err
	}
	ids, err := r.read(body)
	if err != nil {
		r.err = errors.Join(r.err, err)
	}
	for _, id := range ids {
		r.answers[id] = resp.StatusCode
	}
	return resp, nil
}

// read keeps the events of an envelope, of which every item names its length, and returns their ids.
func (r *recorder) read(body []byte) (ids []string, err error) {
	_, rest, _ := bytes.Cut(body, []byte("\n"))
	for len(bytes.TrimSpace(rest)) > 0 {
		var item struct {
			Type   string `json:"type"`
			Length *int   `json:"length"`
		}
		var head []byte
		head, rest, _ = bytes.Cut(rest, []byte("\n"))
		if err := json.Unmarshal(head, &item); err != nil {
			return ids, fmt.Errorf("read the head of an item: %w", err)
		}
		payload, after, _ := bytes.Cut(rest, []byte("\n"))
		if item.Length != nil {
			payload, after = rest[:*item.Length], bytes.TrimPrefix(rest[*item.Length:], []byte("\n"))
		}
		rest = after
		if item.Type != "event" {
			r.others[item.Type]++
			continue
		}
		var event struct {
			ID string `json:"event_id"`
		}
		if err := json.Unmarshal(payload, &event); err != nil {
			return ids, fmt.Errorf("read an event: %w", err)
		}
		ids = append(ids, event.ID)
		r.events[event.ID] = bytes.Clone(payload)
	}
	return ids, nil
}
