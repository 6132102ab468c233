package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/topic"
)

// behind is setup for functions that share connections behind a pooler in transaction mode.
func behind(t *testing.T, connections int) *bundle {
	t.Helper()
	b := setup(t)
	b.db = b.db.Behind(t, connections)
	return b
}

// Thirty-two clients share four connections. Each sends every kind of statement that the system sends, and none of
// them may notice the others.
func TestPooler_ServesEveryKindOfStatement(t *testing.T) {
	t.Parallel()
	const clients, connections, rounds = 32, 4, 6
	b := behind(t, connections)
	b.refuseMarked(t, "events", whenMarked, "22P02")
	b.db.Exec(t, "create table mesher.numbers (client int, n int primary key, words text[]); "+
		"alter table mesher.numbers owner to mesher_owner; grant all on mesher.numbers to mesher_store")
	projects := make([]uuid.UUID, clients)
	for i := range projects {
		projects[i] = b.project(t)
	}
	const each = 40 // events of a message; the last one is refused, so that all go in one by one
	inParallel(clients, func(i int) {
		f := b.function(t)
		c := pooled{pool: f.pool, client: i}
		for round := range rounds {
			refused := func(int) bool { return false }
			if round%2 == 1 {
				refused = func(j int) bool { return j == each-1 }
			}
			events := samples(t, projects[i], round*each, each)
			for j := range events {
				if refused(j) {
					events[j].Message = "refused"
				}
			}
			insist(t, f, pack(projects[i], events...))
			for name, do := range c.kinds() {
				if err := do(t.Context(), round); err != nil {
					t.Errorf("client %d, round %d, %s: %v", i, round, name, err)
				}
			}
		}
	})
	for _, p := range projects {
		b.stored(t, p, rounds*each-rounds/2)
	}
	if n := b.number(t, "select count(*) from mesher.numbers"); n != 2*clients*rounds {
		t.Errorf("numbers = %d, want %d", n, 2*clients*rounds)
	}
	if n := b.number(t, `select count(*) from pg_stat_activity where datname = current_database() and usename = 'mesher_store'`); n > connections {
		t.Errorf("the clients had %d connections, want them to share %d", n, connections)
	}
}

// pooled is a client of a pooler.
type pooled struct {
	pool   *pgxpool.Pool
	client int
}

// kinds returns what a client does in each round, besides storing events.
func (c pooled) kinds() map[string]func(ctx context.Context, round int) error {
	return map[string]func(context.Context, int) error{
		"parameters":           c.parameters,
		"CopyFrom":             c.copy,
		"a transaction":        c.transaction,
		"a failed transaction": c.failed,
		"a cancelled query":    c.cancelled,
		"partitions":           c.partitions,
	}
}

func (c pooled) number(round, kind int) int { return kind*1_000_000 + c.client*1000 + round }

// parameters reads back what it sends, of the types that have to be told in SQL.
func (c pooled) parameters(ctx context.Context, round int) error {
	want := fmt.Sprintf("%d/%d", c.client, round)
	id := uuid.New()
	var text, words string
	var back uuid.UUID
	err := c.pool.QueryRow(ctx, "select $1::text, array_to_string($2::text[], '/'), $3::uuid",
		want, []string{fmt.Sprint(c.client), fmt.Sprint(round)}, id).Scan(&text, &words, &back)
	if err == nil && (text != want || words != want || back != id) {
		return fmt.Errorf("the answer is %s, %s, %s, want %s, %s", text, words, back, want, id)
	}
	return err
}

func (c pooled) copy(ctx context.Context, round int) error {
	return postgres.InTx(ctx, c.pool, func(tx postgres.Tx) error {
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"mesher", "numbers"}, []string{"client", "n", "words"},
			pgx.CopyFromRows([][]any{{c.client, c.number(round, 1), []string{"a", "b"}}}))
		return err
	})
}

// transaction sees its own settings and locks from beginning to end, and nobody sees them afterwards.
func (c pooled) transaction(ctx context.Context, round int) error {
	want := fmt.Sprintf("%dms", 1001+c.client)
	err := postgres.InTx(ctx, c.pool, func(tx postgres.Tx) error {
		var pid, other int
		if err := tx.QueryRow(ctx, "select pg_backend_pid(), set_config('lock_timeout', $1::text, true) is null", want).Scan(&pid, new(bool)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1::bigint)", c.client); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "insert into mesher.numbers values ($1::int, $2::int, $3::text[])", c.client, c.number(round, 2), []string{"x"}); err != nil {
			return err
		}
		var timeout string
		var held bool
		err := tx.QueryRow(ctx, `select pg_backend_pid(), current_setting('lock_timeout'),
			exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and objid = $1::bigint)`, c.client).
			Scan(&other, &timeout, &held)
		if err == nil && (other != pid || timeout != want || !held) {
			return fmt.Errorf("connection %d became %d, lock_timeout is %s, lock held: %t", pid, other, timeout, held)
		}
		return err
	})
	if err != nil {
		return err
	}
	var timeout string
	if err := c.pool.QueryRow(ctx, "select current_setting('lock_timeout')").Scan(&timeout); err != nil {
		return err
	}
	if timeout != "5s" {
		return fmt.Errorf("lock_timeout is %s after the transaction, want the role's 5s", timeout)
	}
	return nil
}

// failed has the server refuse a statement within a transaction.
func (c pooled) failed(ctx context.Context, round int) error {
	err := postgres.InTx(ctx, c.pool, func(tx postgres.Tx) error {
		_, err := tx.Exec(ctx, "insert into mesher.numbers values ($1::int, null, null)", c.client)
		return err
	})
	if !postgres.Data(err) {
		return fmt.Errorf("err = %w, want it about the data", err)
	}
	return nil
}

// cancelled gives up on a query, which must hit nobody else's.
func (c pooled) cancelled(ctx context.Context, round int) error {
	if round%3 != 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := c.pool.Exec(ctx, "select pg_sleep(5)"); !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("err = %w, want the deadline", err)
	}
	return nil
}

func (c pooled) partitions(ctx context.Context, round int) error {
	_, err := postgres.EnsurePartitions(ctx, c.pool, noon.AddDate(0, 0, round), noon.AddDate(0, 0, round+1))
	return err
}

// Fifty thousand events go through a pooler, each message twice or more, while connections are cut on both of its
// sides.
func TestPooler_StoresALoadOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a load")
	}
	const instances, projects, messages, each = 3, 5, 25, 400 // 50,000 events
	b := behind(t, 4)
	stop := b.terminate(t, 100*time.Millisecond)
	url, cuts := b.flaky(t, 2*time.Second)
	fs := make([]*Function, instances)
	for i := range fs {
		fs[i] = b.function(t, func(c *Config) { c.Database.URL = url })
	}
	ids := make([]uuid.UUID, projects)
	for p := range ids {
		ids[p] = b.project(t)
	}
	var again atomic.Int64
	inParallel(projects, func(p int) {
		previous := make([]topic.Message, 0, 2)
		for i := range messages {
			m := pack(ids[p], samples(t, ids[p], i*each, each)...)
			insist(t, fs[(p+i)%instances], m)
			// Late and out of order, on another instance.
			if len(previous) == cap(previous) {
				insist(t, fs[(p+i+1)%instances], previous[i%len(previous)])
				again.Add(1)
				previous = previous[:0]
			}
			previous = append(previous, m)
		}
	})
	if n := stop(); n == 0 || cuts.Load() == 0 {
		t.Errorf("the server cut %d connections, the network %d; want some of both", n, cuts.Load())
	}
	for _, p := range ids {
		b.stored(t, p, messages*each)
	}
	if again.Load() == 0 {
		t.Error("nothing was delivered twice")
	}
}

// flaky returns the address of the database over a network that cuts each connection at some moment, after at most
// about longest, and how often it did so. Longer ones come with time, so that there is an end to it.
func (b *bundle) flaky(t *testing.T, longest time.Duration) (string, *atomic.Int64) {
	t.Helper()
	cfg, err := pgx.ParseConfig(b.db.URL(pgtest.Store))
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(cfg.Host, cfg.Port)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	cuts := new(atomic.Int64)
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).DialContext(context.Background(), network, address)
			if err != nil {
				_ = near.Close()
				continue
			}
			cut := time.AfterFunc(rand.N(longest)+time.Duration(cuts.Load())*longest/50, func() {
				cuts.Add(1)
				_, _ = near.Close(), far.Close()
			})
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(way[0], way[1])
					_, _, _ = near.Close(), far.Close(), cut.Stop()
				}()
			}
		}
	}()
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", cfg.User, cfg.Password, l.Addr(), cfg.Database), cuts
}
