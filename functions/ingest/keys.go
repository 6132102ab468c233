package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	keyFresh      = 60 * time.Second // a key is looked up again after this; a revocation takes effect within it
	unknownFresh  = 5 * time.Second  // a refused key is looked up again after this
	staleRetry    = 5 * time.Second  // while the database is away, a stale key is looked up no more often
	lookupTimeout = 2 * time.Second
	keysMost      = 10_000 // known keys, and as many refused ones, that are remembered
	keyRetryAfter = 5 * time.Second
)

// keys remembers what API keys open, so that accepting an event needs no database. A remembered key that is
// older than keyFresh serves only while the database cannot be reached.
type keys struct {
	find   func(context.Context, tenant.KeyHash) (tenant.Access, error)
	now    clock.Clock
	flight singleflight.Group

	mu      sync.Mutex
	known   map[tenant.KeyHash]knownKey
	refused map[tenant.KeyHash]refusedKey
}

type knownKey struct {
	access tenant.Access
	until  time.Time
}

type refusedKey struct {
	err   error
	until time.Time
}

func newKeys(find func(context.Context, tenant.KeyHash) (tenant.Access, error), now clock.Clock) *keys {
	return &keys{
		find: find, now: now,
		known: make(map[tenant.KeyHash]knownKey), refused: make(map[tenant.KeyHash]refusedKey),
	}
}

// access returns what key opens. The error is fault.Unauthenticated or fault.Forbidden when the key is
// refused, and fault.Unavailable when it is not remembered and the database cannot be asked.
func (k *keys) access(ctx context.Context, key string) (tenant.Access, error) {
	hash, err := tenant.HashKey(key)
	if err != nil {
		return tenant.Access{}, err
	}
	now := k.now()
	k.mu.Lock()
	known, isKnown := k.known[hash]
	refused, isRefused := k.refused[hash]
	k.mu.Unlock()
	if isRefused && now.Before(refused.until) {
		return tenant.Access{}, refused.err
	}
	if !isKnown || !now.Before(known.until) {
		if known.access, err = k.lookup(ctx, hash); err != nil {
			return tenant.Access{}, err
		}
	}
	if at := known.access.ExpiresAt; !at.IsZero() && !now.Before(at) {
		return tenant.Access{}, fault.New(fault.Unauthenticated, "the API key has expired; use a current key of the project")
	}
	return known.access, nil
}

// lookup asks the database, once for all requests that wait for the same key.
func (k *keys) lookup(ctx context.Context, hash tenant.KeyHash) (tenant.Access, error) {
	v, err, _ := k.flight.Do(string(hash[:]), func() (any, error) {
		// Other requests wait for the same answer: one client that goes away must not fail them.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
		defer cancel()
		access, err := k.find(ctx, hash)
		return k.remember(hash, access, err)
	})
	if err != nil {
		return tenant.Access{}, err
	}
	access, ok := v.(tenant.Access)
	if !ok {
		return tenant.Access{}, errors.New("key lookup returned no access")
	}
	return access, nil
}

// remember keeps the outcome of a look-up and returns what it means for the waiting requests.
func (k *keys) remember(hash tenant.KeyHash, access tenant.Access, err error) (tenant.Access, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	switch {
	case err == nil:
		if len(k.known) >= keysMost {
			for old := range k.known {
				delete(k.known, old)
				break
			}
		}
		delete(k.refused, hash)
		k.known[hash] = knownKey{access, now.Add(keyFresh)}
		return access, nil
	case fault.Is(err, fault.Unauthenticated), fault.Is(err, fault.Forbidden):
		if len(k.refused) >= keysMost {
			clear(k.refused)
		}
		delete(k.known, hash)
		k.refused[hash] = refusedKey{err, now.Add(unknownFresh)}
		return tenant.Access{}, err
	}
	if old, ok := k.known[hash]; ok {
		old.until = now.Add(staleRetry)
		k.known[hash] = old
		return old.access, nil
	}
	return tenant.Access{}, fault.Wrap(err, fault.Unavailable,
		"the API key cannot be checked at the moment; try again").After(keyRetryAfter)
}
