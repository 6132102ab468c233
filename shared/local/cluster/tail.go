package cluster

import (
	"io"
	"strings"
	"sync"
)

// tailSize is how much of the log an error repeats, in bytes.
const tailSize = 4 << 10

// tail passes a log on and keeps its end.
type tail struct {
	to io.Writer // may be nil

	mu   sync.Mutex
	kept []byte
}

// Write keeps p and passes it on. A log that cannot be written to never stops the server.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.kept = append(t.kept, p...)
	if len(t.kept) > tailSize {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tailSize:]...)
	}
	t.mu.Unlock()
	if t.to != nil {
		_, _ = t.to.Write(p)
	}
	return len(p), nil
}

// String returns the end of the log.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept))
}
