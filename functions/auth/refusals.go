package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

const (
	// refusalsEvery is the time in which one network has at most one line.
	refusalsEvery = time.Minute
	// refusalsMost is how many networks have one in that time: whoever has many networks must not fill the log either.
	refusalsMost = 500
)

// refusals says which refused attempts are logged: anybody can cause any number of them. The zero value is ready.
type refusals struct {
	mu    sync.Mutex
	since time.Time
	seen  map[netip.Prefix]struct{}
}

// due reports whether a refusal of the network is to be logged now, and notes that it is.
func (r *refusals) due(network netip.Prefix, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil || now.Sub(r.since) >= refusalsEvery {
		r.since, r.seen = now, make(map[netip.Prefix]struct{})
	}
	if _, logged := r.seen[network]; logged || len(r.seen) >= refusalsMost {
		return false
	}
	r.seen[network] = struct{}{}
	return true
}

// noteLimited logs an attempt that is refused because of too many before it, and returns err. bucket is what was counted;
// email is empty where none is known.
func (f *Function) noteLimited(ctx context.Context, err error, bucket, email string) error {
	network := clientOf(ctx).Network()
	if fault.Is(err, fault.Limited) && f.refusals.due(network, time.Now()) {
		f.log.InfoContext(ctx, "attempts are refused: too many", "bucket", bucket, "network", network.String(), "address_hash", addressHash(email))
	}
	return err
}

// addressHash returns what tells addresses apart in the log without naming one: who knows the address finds its lines.
func addressHash(email string) string {
	if email == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	return hex.EncodeToString(sum[:4])
}
