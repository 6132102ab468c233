package ingest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

// register is a database of keys.
type register struct {
	access map[tenant.KeyHash]tenant.Access
	err    error // what every look-up fails with
	asked  int
}

func (r *register) find(_ context.Context, hash tenant.KeyHash) (tenant.Access, error) {
	r.asked++
	if r.err != nil {
		return tenant.Access{}, r.err
	}
	if a, ok := r.access[hash]; ok {
		return a, nil
	}
	return tenant.Access{}, fault.New(fault.Unauthenticated, "unknown")
}

// keyTest is a cache on a register, with a clock to turn.
type keyTest struct {
	*keys
	register *register
	clock    time.Time
}

func newKeyTest() *keyTest {
	k := &keyTest{register: &register{access: map[tenant.KeyHash]tenant.Access{}}, clock: time.Unix(1e9, 0)}
	k.keys = newKeys(k.register.find, func() time.Time { return k.clock })
	return k
}

// add registers a key.
func (k *keyTest) add(a tenant.Access) string {
	key := tenant.NewKey()
	hash, _ := tenant.HashKey(key)
	k.register.access[hash] = a
	return key
}

// want looks key up and checks the kind of the answer and how often the register was asked so far.
func (k *keyTest) want(t *testing.T, key string, kind fault.Kind, asked int) {
	t.Helper()
	_, err := k.access(t.Context(), key)
	if kind == 0 && err != nil || kind != 0 && !fault.Is(err, kind) {
		t.Errorf("err = %v, want %s", err, kind)
	}
	if k.register.asked != asked {
		t.Errorf("the database was asked %d times, want %d", k.register.asked, asked)
	}
}

const known fault.Kind = 0 // no error

func TestKeys(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	t.Run("a known key is asked for once a minute", func(t *testing.T) {
		t.Parallel()
		k := newKeyTest()
		key := k.add(tenant.Access{})
		k.want(t, key, known, 1)
		k.clock = k.clock.Add(keyFresh - 1)
		k.want(t, key, known, 1)
		k.clock = k.clock.Add(1)
		k.want(t, key, known, 2)
		k.want(t, key, known, 2)
	})
	t.Run("a revocation takes effect within a minute, even when the database goes away then", func(t *testing.T) {
		t.Parallel()
		k := newKeyTest()
		key := k.add(tenant.Access{})
		k.want(t, key, known, 1)
		clear(k.register.access)
		k.clock = k.clock.Add(keyFresh)
		k.want(t, key, fault.Unauthenticated, 2)
		k.register.err = away
		k.want(t, key, fault.Unauthenticated, 2)
		k.clock = k.clock.Add(unknownFresh)
		k.want(t, key, fault.Unavailable, 3)
	})
	t.Run("a refused key is asked for every five seconds", func(t *testing.T) {
		t.Parallel()
		k := newKeyTest()
		key := tenant.NewKey()
		k.want(t, key, fault.Unauthenticated, 1)
		k.clock = k.clock.Add(unknownFresh - 1)
		k.want(t, key, fault.Unauthenticated, 1)
		hash, _ := tenant.HashKey(key)
		k.register.access[hash] = tenant.Access{} // it was just created
		k.clock = k.clock.Add(1)
		k.want(t, key, known, 2)
	})
	t.Run("a key of the wrong form is not asked for", func(t *testing.T) {
		t.Parallel()
		k := newKeyTest()
		k.want(t, "", fault.Unauthenticated, 0)
		k.want(t, "mshr_nonsense", fault.Unauthenticated, 0)
		if len(k.refused) != 0 {
			t.Error("it is remembered")
		}
	})
	t.Run("an old key serves while the database is away, and only then", func(t *testing.T) {
		t.Parallel()
		k := newKeyTest()
		key := k.add(tenant.Access{ProjectNumber: 7})
		k.want(t, key, known, 1)
		k.register.err = away
		k.clock = k.clock.Add(time.Hour)
		k.want(t, key, known, 2)
		k.want(t, key, known, 2) // asked again after five seconds only
		k.clock = k.clock.Add(staleRetry)
		k.want(t, key, known, 3)
		if a, _ := k.access(t.Context(), key); a.ProjectNumber != 7 {
			t.Errorf("access = %v", a)
		}
		k.register.err = nil
		clear(k.register.access) // revoked meanwhile
		k.clock = k.clock.Add(staleRetry)
		k.want(t, key, fault.Unauthenticated, 4)
	})
	t.Run("a key nobody remembers waits for the database", func(t *testing.T) {
		t.Parallel()
		k := newKeyTest()
		key := k.add(tenant.Access{})
		k.register.err = away
		_, err := k.access(t.Context(), key)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Unavailable || f.RetryAfter != keyRetryAfter || !errors.Is(err, away) {
			t.Errorf("err = %#v", err)
		}
		k.register.err = nil
		k.want(t, key, known, 2)
	})
	t.Run("a key expires in the cache, too", func(t *testing.T) {
		t.Parallel()
		k := newKeyTest()
		key := k.add(tenant.Access{ExpiresAt: k.clock.Add(10 * time.Second)})
		k.want(t, key, known, 1)
		k.clock = k.clock.Add(10*time.Second - 1)
		k.want(t, key, known, 1)
		k.clock = k.clock.Add(1)
		k.want(t, key, fault.Unauthenticated, 1)
		k.register.err = away
		k.clock = k.clock.Add(time.Hour)
		k.want(t, key, fault.Unauthenticated, 2)
	})
	t.Run("a project that takes no events is forbidden, and remembered as that", func(t *testing.T) {
		t.Parallel()
		k := newKeyTest()
		k.register.err = fault.New(fault.Forbidden, "archived")
		key := tenant.NewKey()
		k.want(t, key, fault.Forbidden, 1)
		k.want(t, key, fault.Forbidden, 1)
	})
	t.Run("the caches are bounded", func(t *testing.T) {
		t.Parallel()
		k := newKeyTest()
		now := k.now()
		for i := range 2*keysMost + 5 {
			var hash tenant.KeyHash
			hash[0], hash[1], hash[2] = byte(i), byte(i>>8), byte(i>>16)
			_, _ = k.remember(hash, tenant.Access{}, nil)
			hash[3] = 1
			_, _ = k.remember(hash, tenant.Access{}, fault.New(fault.Unauthenticated, "unknown"))
			if len(k.known) > keysMost || len(k.refused) > keysMost {
				t.Fatalf("%d known and %d refused keys", len(k.known), len(k.refused))
			}
		}
		if len(k.known) < keysMost {
			t.Errorf("%d known keys are left at %s", len(k.known), now)
		}
	})
}

func TestKeys_OneLookUpForAllThatWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		project := uuid.New()
		k := newKeys(func(ctx context.Context, _ tenant.KeyHash) (tenant.Access, error) {
			asked.Add(1)
			select {
			case <-time.After(time.Second):
				return tenant.Access{ProjectID: project}, nil
			case <-ctx.Done():
				return tenant.Access{}, ctx.Err()
			}
		}, clock.Of(t.Context()))
		key := tenant.NewKey()
		var wg sync.WaitGroup
		// The client of the request that does the look-up goes away.
		gone, leave := context.WithCancel(t.Context())
		wg.Go(func() { _, _ = k.access(gone, key) })
		synctest.Wait()
		leave()
		for range 100 {
			wg.Go(func() {
				if a, err := k.access(t.Context(), key); err != nil || a.ProjectID != project {
					t.Errorf("access = %v, %v", a, err)
				}
			})
		}
		wg.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("the database was asked %d times", n)
		}
	})
}

func TestKeys_LookUpIsBoundedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeys(func(ctx context.Context, _ tenant.KeyHash) (tenant.Access, error) {
			<-ctx.Done()
			return tenant.Access{}, ctx.Err()
		}, clock.Of(t.Context()))
		start := time.Now()
		_, err := k.access(t.Context(), tenant.NewKey())
		if took := time.Since(start); !fault.Is(err, fault.Unavailable) || took != lookupTimeout {
			t.Errorf("err = %v after %s", err, took)
		}
	})
}
