package account_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// week is how sessions last by default.
var week = account.SessionConfig{Idle: 7 * 24 * time.Hour, Lifetime: 30 * 24 * time.Hour}

// home is where users log in from.
var home = account.Client{IP: netip.MustParseAddr("203.0.113.7"), UserAgent: "browser"}

// fixture is a database with two users who have nothing to do with each other.
type fixture struct {
	*pgtest.Database
	admin, app *pgxpool.Pool
	anna, bert account.User
}

func setup(t testing.TB) *fixture {
	t.Helper()
	db := pgtest.New(t)
	f := &fixture{Database: db, admin: db.Pool(t, pgtest.Admin), app: db.Pool(t, pgtest.App)}
	f.anna = f.user(t, "anna@example.com")
	f.bert = f.user(t, "bert@example.com")
	return f
}

func (f *fixture) user(t testing.TB, email string) account.User {
	t.Helper()
	u, created, err := account.CreateUser(t.Context(), f.app, account.NewUser{Email: email})
	must(t, err)
	if !created {
		t.Fatalf("%s was there already", email)
	}
	return u
}

// organization stores an organization and returns its id.
func (f *fixture) organization(t testing.TB, slug string) uuid.UUID {
	t.Helper()
	id := uuid.New()
	f.run(t, `insert into mesher.organizations (id, name, slug) values ($1, $2, $2)`, id, slug)
	return id
}

// run executes one statement as the administrator.
func (f *fixture) run(t testing.TB, sql string, args ...any) {
	t.Helper()
	_, err := f.admin.Exec(t.Context(), sql, args...)
	must(t, err)
}

// scan reads one row as the administrator.
func (f *fixture) scan(t testing.TB, to any, sql string, args ...any) {
	t.Helper()
	must(t, f.admin.QueryRow(t.Context(), sql, args...).Scan(to))
}

// crowd calls each of the functions at the same time, on connections of their own. All of them wait for rows that the
// statement lock has locked, until each has reached the database.
func (f *fixture) crowd(t *testing.T, lock string, calls []func(context.Context, account.DB)) {
	t.Helper()
	tx, err := f.admin.Begin(t.Context())
	must(t, err)
	defer tx.Rollback(context.Background())
	_, err = tx.Exec(t.Context(), lock)
	must(t, err)
	var all sync.WaitGroup
	var done atomic.Int64
	for _, call := range calls {
		conn := f.Session(t, pgtest.App) // all of them wait at once, for which a pooler has too few connections
		all.Go(func() {
			call(t.Context(), conn)
			done.Add(1)
		})
	}
	f.awaitBlocked(t, len(calls), &done)
	must(t, tx.Commit(t.Context()))
	all.Wait()
}

// awaitBlocked returns when each of n calls waits for a lock or is done.
func (f *fixture) awaitBlocked(t *testing.T, n int, done *atomic.Int64) {
	t.Helper()
	for blocked := 0; blocked+int(done.Load()) < n; {
		f.scan(t, &blocked, `
			select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
	}
}

// counter counts the round trips of a DB.
type counter struct {
	account.DB
	trips int
}

func (c *counter) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	c.trips++
	return c.DB.QueryRow(ctx, sql, args...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantFault expects an error of a kind whose text holds all of the words.
func wantFault(t testing.TB, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("err = %v, want it %s", err, kind)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("err = %v, want it to say %q", err, word)
		}
	}
}

func TestClient_Network(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, ip, want string }{
		{name: "IPv4", ip: "203.0.113.7", want: "203.0.113.7/32"},
		{name: "IPv4 in IPv6", ip: "::ffff:203.0.113.7", want: "203.0.113.7/32"},
		{name: "IPv6", ip: "2001:db8:1:2:3:4:5:6", want: "2001:db8:1:2::/64"},
		{name: "IPv6 with a zone", ip: "fe80::1%eth0", want: "fe80::/64"},
		{name: "unknown", want: "0.0.0.0/32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c account.Client
			if tt.ip != "" {
				c.IP = netip.MustParseAddr(tt.ip)
			}
			if got := c.Network(); got.String() != tt.want {
				t.Errorf("network %s, want %s", got, tt.want)
			}
		})
	}
}

func TestScope_Allows(t *testing.T) {
	t.Parallel()
	ranked := []account.Scope{account.ScopeRead, account.ScopeWrite, account.ScopeAdmin, account.ScopeSession}
	for i, has := range ranked {
		for j, needed := range ranked {
			if got := has.Allows(needed); got != (i >= j) {
				t.Errorf("%s allows %s: %t", has, needed, got)
			}
		}
	}
	for _, wrong := range []account.Scope{"", "READ", "root"} {
		if wrong.Allows(account.ScopeRead) || account.ScopeSession.Allows(wrong) || wrong.Allows(wrong) {
			t.Errorf("the scope %q allows something or is allowed", wrong)
		}
	}
}

// TestStartSession_Clients stores what clients may send.
func TestStartSession_Clients(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, tt := range []struct{ name, ip, agent, wantIP, wantAgent string }{
		{name: "plain", ip: "203.0.113.7", agent: "Firefox/1", wantIP: "203.0.113.7", wantAgent: "Firefox/1"},
		{name: "mapped address", ip: "::ffff:203.0.113.7", wantIP: "203.0.113.7"},
		{name: "zone", ip: "fe80::1%eth0", wantIP: "fe80::1"},
		{name: "no address", wantIP: "0.0.0.0"},
		{name: "NUL and half a character", ip: "::1", agent: "a\x00b\xc3", wantIP: "::1", wantAgent: "a\uFFFDb\uFFFD"},
		{name: "line break", ip: "::1", agent: "a\r\nb", wantIP: "::1", wantAgent: "a\uFFFD\uFFFDb"},
		{name: "far too long", ip: "::1", agent: strings.Repeat("é", 5000), wantIP: "::1", wantAgent: strings.Repeat("é", 400)},
		{name: "long and broken", ip: "::1", agent: strings.Repeat("\xff", 401), wantIP: "::1", wantAgent: strings.Repeat("\uFFFD", 400)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := account.Client{UserAgent: tt.agent}
			if tt.ip != "" {
				c.IP = netip.MustParseAddr(tt.ip)
			}
			s, _, err := account.StartSession(t.Context(), f.app, week, f.anna.ID, c)
			must(t, err)
			if s.IP != tt.wantIP || s.UserAgent != tt.wantAgent || !utf8.ValidString(s.UserAgent) {
				t.Errorf("from %s with %q, want %s with %q", s.IP, s.UserAgent, tt.wantIP, tt.wantAgent)
			}
			var network string
			f.scan(t, &network, `select network::text from mesher.sessions where id = $1`, s.ID)
			if network != c.Network().String() {
				t.Errorf("network %s, want %s", network, c.Network())
			}
		})
	}
}

// parallelCalls makes n calls, each of which is told its number.
func parallelCalls(n int, call func(ctx context.Context, db account.DB, i int)) []func(context.Context, account.DB) {
	calls := make([]func(context.Context, account.DB), n)
	for i := range calls {
		calls[i] = func(ctx context.Context, db account.DB) { call(ctx, db, i) }
	}
	return calls
}
