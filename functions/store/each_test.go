package store

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/pgtest"
)

// distant returns the address of the database for functions that are a round trip away from it.
func (b *bundle) distant(t *testing.T, trip time.Duration) string {
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
			go relay(near, far, trip/2)
			go relay(far, near, trip/2)
		}
	}()
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", cfg.User, cfg.Password, l.Addr(), cfg.Database)
}

// relay passes bytes on, each some time after it came.
func relay(to, from net.Conn, delay time.Duration) {
	type piece struct {
		due  time.Time
		data []byte
	}
	pieces := make(chan piece, 1000)
	go func() {
		defer close(pieces)
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if n > 0 {
				pieces <- piece{time.Now().Add(delay), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	for range pieces { // the reader ends
	}
}

// refuseMarked makes the database refuse rows of a table on a condition.
func (b *bundle) refuseMarked(t *testing.T, table, condition, state string) {
	t.Helper()
	b.db.Exec(t, fmt.Sprintf(`
		create function mesher.refuse() returns trigger language plpgsql as $$
		begin raise exception 'refused' using errcode = '%[3]s'; end $$;
		create trigger refuse before insert or update on mesher.%[1]s
			for each row when (%[2]s) execute function mesher.refuse()`, table, condition, state))
}

// marked returns n events of which those are refused that refused names.
func marked(t *testing.T, project uuid.UUID, n int, refused func(i int) bool) []event.Event {
	t.Helper()
	events := samples(t, project, 0, n)
	for i := range events {
		if refused(i) {
			events[i].Message = "refused"
		}
	}
	return events
}

const whenMarked = "new.message = 'refused'"

func TestFunction_PutsManyEventsAsideFarFromTheDatabase(t *testing.T) {
	t.Parallel()
	const trip = 30 * time.Millisecond
	for _, tt := range []struct {
		name    string
		n, good int
		timeout time.Duration
		refused func(i int) bool
		atOnce  bool
	}{
		{"every second one", 1000, 500, 25 * time.Second, func(i int) bool { return i%2 == 0 }, true},
		{"all", 500, 0, 25 * time.Second, func(int) bool { return true }, true},
		{"over several deliveries", 1000, 1, 2 * time.Second, func(i int) bool { return i != 999 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.refuseMarked(t, "events", whenMarked, "22P02")
			project := b.project(t)
			url := b.distant(t, trip)
			f := b.function(t, func(c *Config) { c.Database.URL, c.Timeout = url, tt.timeout })
			m := pack(project, marked(t, project, tt.n, tt.refused)...)
			if tt.atOnce {
				acked(t, f, m)
			}
			insist(t, f, m)
			b.stored(t, project, tt.good)
			if got := b.deadLetters(t, ""); len(got) != tt.n-tt.good {
				t.Errorf("dead letters = %d, want %d", len(got), tt.n-tt.good)
			}
			if got := b.usage(t, project, "dead_lettered"); got != tt.n-tt.good {
				t.Errorf("usage.dead_lettered = %d, want %d", got, tt.n-tt.good)
			}
		})
	}
}

// A delivery goes on where the last one ended.
func TestFunction_RemembersWhatItPutAside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.refuseMarked(t, "events", whenMarked, "22P02")
	project := b.project(t)
	f := b.function(t)
	events := marked(t, project, 4*partRows, func(i int) bool { return i%2 == 0 })
	m := pack(project, events...)
	// The last refused one cannot be kept.
	b.db.Exec(t, fmt.Sprintf(`
		create function mesher.fail() returns trigger language plpgsql as $$
		begin raise exception 'full' using errcode = '53100'; end $$;
		create trigger fail before insert on mesher.dead_letters
			for each row when (new.id = '%s') execute function mesher.fail()`, events[len(events)-2].ID))
	if w := deliver(f, m); w.Code != http.StatusServiceUnavailable {
		t.Fatalf("answer = %d, want 503", w.Code)
	}
	b.stored(t, project, 2*partRows)
	const kept = 3 * partRows / 2
	if got := b.deadLetters(t, ""); len(got) != kept {
		t.Errorf("dead letters = %d, want %d", len(got), kept)
	}
	b.db.Exec(t, "drop function mesher.fail() cascade")
	// Now no event that is kept may be written again.
	b.db.Exec(t, `
		create function mesher.again() returns trigger language plpgsql as $$
		begin raise exception 'again' using errcode = '53100'; end $$;
		create table mesher.kept as select id from mesher.dead_letters;
		grant select on mesher.kept to mesher_store;
		create function mesher.is_kept(uuid) returns boolean language sql as 'select exists (select from mesher.kept where id = $1)';
		create trigger again before insert on mesher.dead_letters
			for each row when (mesher.is_kept(new.id)) execute function mesher.again()`)
	acked(t, f, m)
	b.stored(t, project, 2*partRows)
	if got := b.deadLetters(t, ""); len(got) != 2*partRows {
		t.Errorf("dead letters = %d, want %d", len(got), 2*partRows)
	}
	// An event that is to be stored after all is.
	b.exec(t, "update mesher.dead_letters set replayed_at = now()")
	events[0].Message = "good"
	for i := 1; i < partRows; i++ {
		events[i].EventID = uuid.New() // so that they are looked at again, and refused
		events[i].ID = event.NewID(noon)
		events[i].Message = "refused"
	}
	acked(t, f, pack(project, append(slices.Clone(events[:partRows]), sample(t, project, 5000, noon))...))
	b.stored(t, project, 2*partRows+2)
}

func TestFunction_PutsEventsOfTheFutureAside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	var events []event.Event
	for i := range 500 {
		at := noon
		switch {
		case i%3 == 0:
			at = noon.Add(aheadMost + time.Duration(i+1)*time.Millisecond)
		case i == 100:
			at = noon.Add(-5 * day) // has no partition yet
		}
		events = append(events, sample(t, project, i, at))
	}
	f := b.function(t)
	m := pack(project, events...)
	acked(t, f, m)
	acked(t, f, m)
	b.stored(t, project, 333)
	letters := b.deadLetters(t, "")
	if len(letters) != 167 {
		t.Errorf("dead letters = %d, want 167", len(letters))
	}
	for _, l := range letters {
		if l.Reason != "the event is from the future" {
			t.Fatalf("reason = %q", l.Reason)
		}
	}
	if n := b.number(t, "select count(*) from pg_inherits where inhparent = 'mesher.events'::regclass"); n != 4 {
		t.Errorf("partitions = %d, want the 3 there were and one more", n)
	}
}

// Whatever refuses an event, the others are stored.
func TestFunction_StoresTheOthers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, ddl string }{
		{"when its issue is refused", `create trigger refuse before insert on mesher.issues
			for each row when (new.title = 'refused') execute function mesher.refuse()`},
		{"when its hour is refused", `create trigger refuse before insert on mesher.issue_hourly_counts
			for each row when (new.events > 0 and mesher.is_marked(new.fingerprint)) execute function mesher.refuse()`},
		{"when it is refused at the commit", `create constraint trigger refuse after insert on mesher.events
			deferrable initially deferred for each row when (new.message = 'refused') execute function mesher.refuse()`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			project := b.project(t)
			events := samples(t, project, 0, 250)
			for i := range events {
				if i%100 == 50 {
					events[i].Message, events[i].Title, events[i].Fingerprint = "refused", "refused", uuid.New()
				}
			}
			b.db.Exec(t, fmt.Sprintf(`
				create function mesher.is_marked(uuid) returns boolean language sql as $$ select $1 in ('%s', '%s') $$`,
				events[50].Fingerprint, events[150].Fingerprint), `
				create function mesher.refuse() returns trigger language plpgsql as $$
				begin raise exception 'refused' using errcode = '23514', constraint = 'refused'; end $$`, tt.ddl)
			m := pack(project, events...)
			f := b.function(t)
			acked(t, f, m)
			acked(t, f, m)
			b.stored(t, project, 248)
			if got := b.deadLetters(t, ""); len(got) != 2 {
				t.Errorf("dead letters = %d, want 2", len(got))
			}
		})
	}
}

// What is no event's fault puts none aside.
func TestFunction_PutsNothingAsideWhenOnlyTheSumIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	b.refuseMarked(t, "usage", "true", "22003")
	f := b.function(t)
	for _, n := range []int{1, 2 * partRows} {
		if w := deliver(f, pack(project, samples(t, project, 0, n)...)); w.Code != http.StatusServiceUnavailable {
			t.Errorf("answer = %d, want 503", w.Code)
		}
	}
	b.stored(t, project, 0)
	if got := b.deadLetters(t, ""); len(got) != 0 {
		t.Errorf("dead letters = %d, want none", len(got))
	}
}

// A row that waits for an issue gives up at once: those after it wait for the same one.
func TestFunction_GivesUpOnALockedIssueRowByRow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.refuseMarked(t, "events", whenMarked, "22P02")
	project := b.project(t)
	f := b.function(t, func(c *Config) { c.Timeout = patience })
	acked(t, f, pack(project, samples(t, project, 0, partRows/2)...))
	blocker, err := b.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Rollback(context.Background())
	if _, err := blocker.Exec(t.Context(), "select from mesher.issues where project_id = $1 for update", project); err != nil {
		t.Fatal(err)
	}
	events := marked(t, project, partRows, func(i int) bool { return i == partRows-1 })
	m := pack(project, events...)
	if w := deliver(f, m); w.Code != http.StatusServiceUnavailable {
		t.Errorf("answer = %d, want 503", w.Code)
	}
	b.stored(t, project, partRows/2)
	if err := blocker.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	acked(t, f, m)
	b.stored(t, project, partRows-1)
}

func TestFields(t *testing.T) {
	t.Parallel()
	e := sample(t, uuid.New(), 1, noon)
	e.Release, e.Contexts = "", nil
	tuple := AppendTuple(nil, uuid.New(), &e)
	got := fields(tuple)
	if len(got) != copyFields {
		t.Fatalf("fields = %d, want %d", len(got), copyFields)
	}
	back := []byte{0, copyFields}
	for _, f := range got {
		if f == nil {
			back = appendNull(back)
		} else {
			back = appendBytes(back, f)
		}
	}
	if string(back) != string(tuple) {
		t.Errorf("the fields do not make the tuple again")
	}
	if n := strings.Count(insertSQL(), ","); n != 2*(copyFields-1) || !strings.HasSuffix(insertSQL(), "$"+strconv.Itoa(copyFields)+")") {
		t.Errorf("insertSQL() = %s", insertSQL())
	}
}
