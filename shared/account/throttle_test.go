package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
)

const adaMail = "ada@example.org"

func from(ip string) account.Client { return account.Client{IP: netip.MustParseAddr(ip)} }

// throttles is a database in which something is tried.
type throttles struct {
	*pgtest.Database
	app *pgxpool.Pool
}

func newThrottles(t testing.TB) throttles {
	t.Helper()
	db := pgtest.New(t)
	return throttles{db, db.Pool(t, pgtest.App)}
}

// try reports whether the attempts may be made.
func (d throttles) try(t testing.TB, attempts ...account.Attempt) bool {
	t.Helper()
	err := account.Try(t.Context(), d.app, attempts...)
	if err != nil && !fault.Is(err, fault.Limited) {
		t.Fatal(err)
	}
	return err == nil
}

func (d throttles) forgive(t testing.TB, attempts ...account.Attempt) {
	t.Helper()
	must(t, account.Forgive(t.Context(), d.app, attempts...))
}

// pass lets time pass, as the database sees it.
func (d throttles) pass(t testing.TB, by time.Duration) {
	t.Helper()
	d.set(t, "updated_at = updated_at - make_interval(secs => $1), blocked_until = blocked_until - make_interval(secs => $1)", by.Seconds())
}

func (d throttles) set(t testing.TB, set string, args ...any) {
	t.Helper()
	_, err := d.app.Exec(t.Context(), "update mesher.throttles set "+set, args...)
	must(t, err)
}

// get returns a number from the table.
func (d throttles) get(t testing.TB, expression string) (n float64) {
	t.Helper()
	must(t, d.app.QueryRow(t.Context(), "select ("+expression+")::float8 from mesher.throttles").Scan(&n))
	return n
}

func TestTry_PausesLongerAndLonger(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	for i := range 4 {
		if !d.try(t, account.MailTo(adaMail, "reset")) {
			t.Fatalf("try %d is refused", i+1)
		}
	}
	for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute} {
		err := account.Try(t.Context(), d.app, account.MailTo(adaMail, "reset"))
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Limited || f.RetryAfter > pause || f.RetryAfter <= pause/2 {
			t.Fatalf("err = %#v, want a pause of %s", err, pause)
		}
		if want := fmt.Sprintf("too many attempts; wait %d s", f.RetryAfter/time.Second); f.Error() != want {
			t.Errorf("the error says %q, want %q", f, want)
		}
		d.pass(t, pause)
		if !d.try(t, account.MailTo(adaMail, "reset")) {
			t.Fatalf("refused after a pause of %s", pause)
		}
	}
}

func TestTry_Rules(t *testing.T) {
	t.Parallel()
	home := from("192.0.2.1")
	for _, tt := range []struct {
		name              string
		attempt           account.Attempt
		free              float64
		decay, base, most time.Duration
	}{
		{"a login from a network", account.LoginFrom(adaMail, home), 5, 10 * time.Minute, time.Second, 5 * time.Minute},
		{"a login from elsewhere", account.LoginTo(adaMail), 10, time.Minute, time.Second, time.Minute},
		{"anything from a network", account.AnyFrom(home), 60, 10 * time.Second, time.Second, time.Minute},
		{"a mail", account.MailTo(adaMail, "reset"), 3, time.Hour, time.Minute, time.Hour},
		{"mails by a user", account.MailBy(uuid.Nil), 20, time.Minute, time.Minute, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newThrottles(t)
			d.try(t, tt.attempt)
			for _, at := range []struct {
				level float64
				pause time.Duration
			}{{0, 0}, {tt.free - 1, 0}, {tt.free, tt.base}, {tt.free + 1, 2 * tt.base}, {tt.free + 40, tt.most}, {5000, tt.most}} {
				d.set(t, "level = $1, updated_at = now(), blocked_until = now()", at.level)
				if !d.try(t, tt.attempt) {
					t.Fatalf("refused at level %g", at.level)
				}
				pause := d.get(t, "extract(epoch from greatest(blocked_until - updated_at, interval '0'))")
				if pause != at.pause.Seconds() {
					t.Errorf("at level %g the pause is %g s, want %s", at.level, pause, at.pause)
				}
			}
			d.set(t, "level = 2.5, updated_at = now() - make_interval(secs => $1), blocked_until = now()", (2 * tt.decay).Seconds())
			d.try(t, tt.attempt)
			if level := d.get(t, "level"); level > 1.5 || level <= 1 {
				t.Errorf("2.5 tries and one more after %s are at level %g, want about 1.5", 2*tt.decay, level)
			}
			d.pass(t, 100*tt.decay)
			d.try(t, tt.attempt)
			if level := d.get(t, "level"); level != 1 {
				t.Errorf("long after all, one try is at level %g", level)
			}
		})
	}
}

func TestTry_CountsAllOrNone(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	paused, other, fresh := account.MailTo("m@example.org", "reset"), account.MailTo("a@example.org", "reset"), account.MailTo("z@example.org", "reset")
	d.try(t, other)
	d.pass(t, -time.Hour) // marks the row: its time is in the future
	d.try(t, paused)
	d.set(t, "blocked_until = now() + interval '1 hour' where updated_at <= now()")
	d.set(t, "blocked_until = now() - interval '1 hour' where updated_at > now()")
	const rows = "string_agg(t::text, ' ' order by t) from mesher.throttles t"
	var before, after string
	must(t, d.app.QueryRow(t.Context(), "select "+rows).Scan(&before))
	for _, attempts := range [][]account.Attempt{{paused}, {other, paused}, {paused, other, fresh}, {fresh, paused}} {
		if d.try(t, attempts...) {
			t.Errorf("%d attempts are let through", len(attempts))
		}
	}
	must(t, d.app.QueryRow(t.Context(), "select "+rows).Scan(&after))
	if before != after {
		t.Errorf("refused attempts changed the table from\n%s to\n%s", before, after)
	}
	if !d.try(t, other, fresh) {
		t.Error("attempts that are not paused are refused")
	}
}

func TestTry_CountsOnceWhatIsTriedTwiceAtOnce(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	d.try(t, account.MailTo(adaMail, "reset"), account.MailTo("ADA@example.org", "reset"))
	if level := d.get(t, "level"); level != 1 {
		t.Errorf("level %g", level)
	}
}

func TestTry_TellsSubjectsApart(t *testing.T) {
	t.Parallel()
	home, v6 := from("192.0.2.1"), from("2001:db8::1")
	for _, tt := range []struct {
		name           string
		tried, attempt account.Attempt
		same           bool
	}{
		{"a login from another network", account.LoginFrom(adaMail, home), account.LoginFrom(adaMail, from("192.0.2.2")), false},
		{"a login to another account", account.LoginFrom(adaMail, home), account.LoginFrom("b"+adaMail, home), false},
		{"another kind of the same account", account.LoginTo(adaMail), account.MailTo(adaMail, "reset"), false},
		{"another kind of the same network", account.AnyFrom(home), account.LoginFrom(adaMail, home), false},
		{"the address in another case", account.LoginTo(adaMail), account.LoginTo("ADA@Example.org"), true},
		{"a mail to the address in another case", account.MailTo(adaMail, "reset"), account.MailTo("ADA@Example.org", "reset"), true},
		{"a login to the address in another case", account.LoginFrom(adaMail, home), account.LoginFrom("Ada@example.org", home), true},
		{"the IPv4 address in IPv6", account.AnyFrom(home), account.AnyFrom(from("::ffff:192.0.2.1")), true},
		{"another host of an IPv6 /64", account.AnyFrom(v6), account.AnyFrom(from("2001:db8::ffff:1:2:3")), true},
		{"a host of another IPv6 /64", account.AnyFrom(v6), account.AnyFrom(from("2001:db8:1::1")), false},
		{"a host of another /64 of the /48", account.AnyFrom(v6), account.AnyFrom(from("2001:db8:0:1::1")), true},
		{"a mail of another kind", account.MailTo(adaMail, "reset"), account.MailTo(adaMail, "verify"), false},
		{"a mail to the mailbox with a note", account.MailTo(adaMail, "reset"), account.MailTo("ada+2@example.org", "reset"), true},
		{"mails by another user", account.MailBy(uuid.Nil), account.MailBy(uuid.Max), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := newThrottles(t)
			d.try(t, tt.tried)
			d.set(t, "blocked_until = now() + interval '1 hour'")
			if d.try(t, tt.attempt) == tt.same {
				t.Errorf("shares what is counted: %v, want %v", !tt.same, tt.same)
			}
		})
	}
}

func TestTry_TellsNobodyWhoTried(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	d.try(t, account.LoginFrom(adaMail, from("192.0.2.1")), account.LoginTo(adaMail), account.AnyFrom(from("192.0.2.1")), account.MailTo(adaMail, "reset"))
	var dump string
	var rows int
	must(t, d.app.QueryRow(t.Context(), "select string_agg(t::text || encode(subject, 'escape'), ' '), count(*) from mesher.throttles t").Scan(&dump, &rows))
	if rows != 4 || regexp.MustCompile(`(?i)ada|example|192\.0`).MatchString(dump) {
		t.Errorf("%d rows: %s", rows, dump)
	}
}

func TestTry_FailsWithTheDatabase(t *testing.T) {
	t.Parallel()
	d := newThrottles(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := account.Try(ctx, d.app, account.MailTo(adaMail, "reset")); err == nil || fault.Is(err, fault.Limited) {
		t.Errorf("err = %v", err)
	}
}

func TestForgive(t *testing.T) {
	t.Parallel()
	t.Run("ends the pause that the attempt began", func(t *testing.T) {
		t.Parallel()
		d := newThrottles(t)
		for range 4 {
			d.try(t, account.MailTo(adaMail, "reset"))
		}
		if d.try(t, account.MailTo(adaMail, "reset")) {
			t.Fatal("there is no pause")
		}
		d.forgive(t, account.MailTo(adaMail, "reset"))
		if !d.try(t, account.MailTo(adaMail, "reset")) {
			t.Error("the pause goes on")
		}
		if d.try(t, account.MailTo(adaMail, "reset")) {
			t.Error("more than one attempt is forgiven")
		}
	})
	t.Run("keeps who is always right from being refused", func(t *testing.T) {
		t.Parallel()
		d := newThrottles(t)
		for i := range 40 {
			if !d.try(t, account.LoginTo(adaMail), account.MailTo(adaMail, "reset")) {
				t.Fatalf("attempt %d is refused", i+1)
			}
			d.forgive(t, account.LoginTo(adaMail), account.MailTo(adaMail, "reset"))
		}
	})
	t.Run("forgives nobody else", func(t *testing.T) {
		t.Parallel()
		d := newThrottles(t)
		d.try(t, account.MailTo(adaMail, "reset"))
		d.set(t, "blocked_until = now() + interval '1 hour'")
		d.forgive(t, account.MailTo("b"+adaMail, "reset"), account.LoginTo(adaMail))
		if d.try(t, account.MailTo(adaMail, "reset")) {
			t.Error("another's pause has ended")
		}
	})
	t.Run("never owes attempts", func(t *testing.T) {
		t.Parallel()
		d := newThrottles(t)
		d.try(t, account.MailTo(adaMail, "reset"))
		for range 5 {
			d.forgive(t, account.MailTo(adaMail, "reset"))
		}
		if level := d.get(t, "level"); level != 0 {
			t.Errorf("level %g", level)
		}
	})
}
