package account_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
)

// attempt reports whether an attempt from an address is let through, and takes it back when it was right.
func (d throttles) attempt(t testing.TB, ip string, right bool) (ok bool, wait time.Duration) {
	t.Helper()
	l, err := account.TryLogin(t.Context(), d.app, adaMail, uuid.Nil, from(ip))
	var f *fault.Error
	switch {
	case errors.As(err, &f) && f.Kind == fault.Limited:
		return false, f.RetryAfter
	case err != nil:
		t.Fatal(err)
	}
	if right {
		must(t, l.Forgive(t.Context(), d.app))
	}
	return true, 0
}

// Two dozen networks try whenever they may; somebody who knows the password comes from a network that was never seen.
func TestTryLogin_WhileOthersPoll(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	poll := func() (passed int) {
		for i := range 24 {
			if ok, _ := d.attempt(t, fmt.Sprintf("198.51.100.%d", i), false); ok {
				passed++
			}
		}
		return passed
	}
	for range 3 {
		poll()
	}
	d.set(t, "blocked_until = now() + interval '1 minute' where kind = 'login_to'")
	if n := poll(); n > 0 {
		t.Errorf("%d of the networks that tried before pass while the account is paused", n)
	}
	if ok, _ := d.attempt(t, "203.0.113.5", true); !ok {
		t.Error("the first attempt from a fresh network is refused")
	}
	if ok, _ := d.attempt(t, "203.0.113.6", false); !ok {
		t.Error("the first attempt from another one is refused")
	}
	if ok, wait := d.attempt(t, "203.0.113.6", false); ok || wait > time.Minute {
		t.Errorf("the second attempt passes (%v), or is to wait for %s", ok, wait)
	}
	d.set(t, "updated_at = updated_at - interval '61 minutes', blocked_until = blocked_until - interval '61 minutes' where kind = 'login_first'")
	if ok, _ := d.attempt(t, "203.0.113.6", false); !ok {
		t.Error("an hour later it is refused")
	}
}

func TestTryLogin_OfOneNetworkAtOnce(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	d.try(t, account.LoginTo(adaMail))
	d.set(t, "blocked_until = now() + interval '1 hour'")
	var mu sync.Mutex
	var passed int
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := account.TryLogin(t.Context(), d.app, adaMail, uuid.Nil, from("203.0.113.5"))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				passed++
			} else if !fault.Is(err, fault.Limited) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if passed != 1 {
		t.Errorf("%d of 8 attempts pass, want one", passed)
	}
}

func TestTryLogin_KeepsCountingWhatANetworkTries(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	for range 3 {
		d.attempt(t, "2001:db8::1", true)
	}
	var login, site float64
	must(t, d.app.QueryRow(t.Context(), "select coalesce(max(level), 0) from mesher.throttles where kind like 'login%'").Scan(&login))
	must(t, d.app.QueryRow(t.Context(), "select coalesce(max(level), 0) from mesher.throttles where kind = 'any_from_site'").Scan(&site))
	if login != 0 || site < 2 {
		t.Errorf("levels %g of the account and %g of the site after three logins", login, site)
	}
}
