package account_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
)

// together makes n calls at once, spread over three instances, and returns how many were let through.
func (d throttles) together(t *testing.T, n int, call func(i int) []account.Attempt) int {
	t.Helper()
	pools := []*pgxpool.Pool{d.app, d.Pool(t, pgtest.App), d.Pool(t, pgtest.App)}
	var wg sync.WaitGroup
	var through atomic.Int64
	for i := range n {
		wg.Go(func() {
			err := account.Try(t.Context(), pools[i%len(pools)], call(i)...)
			switch {
			case err == nil:
				through.Add(1)
			case !fault.Is(err, fault.Limited):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return int(through.Load())
}

func TestTry_ManyAtOnceAreNoMoreThanManyInARow(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	through := d.together(t, 100, func(int) []account.Attempt {
		return []account.Attempt{account.LoginFrom(adaMail, from("192.0.2.1")), account.AnyFrom(from("192.0.2.1"))}
	})
	// Six begin a pause of a second, and each one more has waited for twice as long as the one before.
	if through < 6 || through > 12 {
		t.Errorf("%d of 100 are let through, want about 6", through)
	}
}

// Seven statements have begun, none of which sees a row, before the first is let to write. A pooler has no connection
// for more at once.
func TestTry_CountsAllOrNoneInARace(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	holder, err := d.Pool(t, pgtest.App).Begin(t.Context())
	must(t, err)
	defer func() { _ = holder.Rollback(context.Background()) }()
	must(t, account.Try(t.Context(), holder, account.MailTo("shared@example.org", "reset")))
	released := make(chan error, 1)
	go func() {
		err := d.awaitWaiting(t.Context(), 7)
		_ = holder.Rollback(context.Background())
		released <- err
	}()
	through := d.together(t, 7, func(i int) []account.Attempt {
		return []account.Attempt{account.MailTo("shared@example.org", "reset"), account.MailTo(fmt.Sprintf("own%d@example.org", i), "reset")}
	})
	must(t, <-released)
	if through != 4 {
		t.Errorf("%d are let through, want 4", through)
	}
	if rows := d.get(t, "count(*)"); int(rows) != 1+through {
		t.Errorf("%g rows after %d attempts of two", rows, through)
	}
}

func TestTry_IsNotRefusedForHavingBegunEarlier(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	attempt := account.AnyFrom(from("192.0.2.1"))
	early := func() pgx.Tx {
		tx, err := d.app.Begin(t.Context())
		must(t, err)
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
		return tx
	}
	first, second := early(), early()
	d.try(t, attempt)
	must(t, account.Try(t.Context(), first, attempt))
	must(t, first.Commit(t.Context()))
	d.forgive(t, attempt)
	must(t, account.Try(t.Context(), second, attempt))
	must(t, second.Commit(t.Context()))
	if level := d.get(t, "level"); level != 2 {
		t.Errorf("level %g, want 2", level)
	}
}

// awaitWaiting returns when n connections wait for a lock.
func (d throttles) awaitWaiting(ctx context.Context, n int) error {
	conn, err := pgx.Connect(ctx, d.URL(pgtest.Admin))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for waiting := 0; waiting < n; {
		time.Sleep(5 * time.Millisecond)
		if err := conn.QueryRow(ctx, `select count(*) from pg_stat_activity
			where datname = current_database() and wait_event_type = 'Lock'`).Scan(&waiting); err != nil {
			return err
		}
	}
	return nil
}

func TestTry_NeverDeadlocks(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	pools := []*pgxpool.Pool{d.app, d.Pool(t, pgtest.App)}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for round := range 40 {
				attempts := shuffled(round)
				if err := account.Try(t.Context(), pools[worker%2], attempts...); err != nil {
					t.Error(err)
					return
				}
				if err := account.Forgive(t.Context(), pools[worker%2], shuffled(round)...); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// shuffled returns attempts of five networks in any order. Every fourth round has networks of its own.
func shuffled(round int) []account.Attempt {
	attempts := make([]account.Attempt, 5)
	for i, k := range rand.Perm(len(attempts)) {
		attempts[i] = account.AnyFrom(from(fmt.Sprintf("192.0.%d.%d", round/4, k)))
	}
	return attempts
}
