package retention

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestRetention_DropsDaysThatNoProjectKeeps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, other := b.project(t, 3), b.project(t, 2)
	b.partitions(t, 8)
	for ago := range 9 {
		b.events(t, p, ago, 2)
	}
	b.events(t, other, 3, 1)
	// Somebody's own doing: a table called otherwise, one that no day is called like, one that holds other days.
	b.db.Exec(t, `set role mesher_owner;
		create table mesher.events_copy (n int); create table mesher.events_20261399 (n int);
		create table mesher.events_20250101 partition of mesher.events for values from ('2025-01-01 00:00+00') to ('2025-01-03 00:00+00')`)

	want := []string{"2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06"}
	before := b.tables(t)
	dry := b.run(t, "?dry_run=true")
	if diff := cmp.Diff(want, dry.Report.Days); diff != "" || !slices.Equal(before, b.tables(t)) || dry.Report.BytesReturned == 0 {
		t.Errorf("dry run: %+v, tables %v (-want +got)\n%s", dry, b.tables(t), diff)
	}
	s := b.run(t, "")
	if diff := cmp.Diff(want, s.Report.Days); diff != "" || s.Done["days"] != 5 || s.Report.BytesReturned != dry.Report.BytesReturned {
		t.Errorf("run: %+v (-want +got)\n%s", s, diff)
	}
	// An event of the day before the oldest that is kept may still be younger than three days.
	if diff := cmp.Diff([]string{
		"events_20250101", "events_20260307", "events_20260308", "events_20260309", "events_20260310", "events_20260311",
		"events_20261399", "events_copy",
	}, b.tables(t)); diff != "" {
		t.Errorf("tables (-want +got)\n%s", diff)
	}
	if got := b.days(t, p); got != "0:2 1:2 2:2 3:2" {
		t.Errorf("events by days ago = %s", got)
	}
	if again := b.run(t, ""); again.Done["days"] != 0 || again.Report.BytesReturned != 0 {
		t.Errorf("second run: %+v", again)
	}
}

func TestRetention_WithoutProjectsKeepsTheUsualTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.partitions(t, usualDays+2)
	s := b.run(t, "")
	if diff := cmp.Diff([]string{"2025-12-08", "2025-12-09"}[:1], s.Report.Days[:1]); diff != "" || s.Done["days"] != 2 {
		t.Errorf("run: %+v (-want +got)\n%s", s, diff)
	}
}

// A run may end anywhere: half detached, or detached and not dropped.
func TestRetention_GoesOnWhereARunEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.project(t, 2)
	b.partitions(t, 6)
	for ago := range 7 {
		b.events(t, p, ago, 1)
	}
	b.db.Exec(t, "alter table mesher.events detach partition mesher.events_20260304")
	reader := b.db.Conn(t, pgtest.Admin)
	for _, sql := range []string{"begin", "select count(*) from mesher.events"} {
		if _, err := reader.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	// The instance dies while the server waits for the reader.
	killed := b.db.Session(t, pgtest.Store)
	if _, err := killed.Exec(t.Context(), "set lock_timeout = '100ms'"); err != nil {
		t.Fatal(err)
	}
	if _, err := killed.Exec(t.Context(), "alter table mesher.events detach partition mesher.events_20260305 concurrently"); !postgres.LockNotAvailable(err) {
		t.Fatalf("detach while a transaction reads = %v, want it to wait in vain", err)
	}
	if state, err := b.state(t.Context(), "events_20260305"); err != nil || !state.pending {
		t.Fatalf("state = %+v, %v; want it half detached", state, err)
	}
	h, err := postgres.PartitionHorizon(t.Context(), b.pool, noon.AddDate(0, 0, -5))
	if err != nil || h.Days != -1 {
		t.Errorf("horizon = %+v, %v: a day that is being detached takes no events", h, err)
	}
	if _, err := reader.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	s := b.run(t, "")
	if diff := cmp.Diff([]string{"2026-03-05", "2026-03-04", "2026-03-06", "2026-03-07"}, s.Report.Days); diff != "" {
		t.Errorf("dropped (-want +got)\n%s", diff)
	}
	if got := b.days(t, p); got != "0:1 1:1 2:1" {
		t.Errorf("events by days ago = %s", got)
	}
}

// A transaction that stays open holds up the days, and nothing else: the run ends, others go on to write, and the next run
// finishes what was begun.
func TestRetention_WaitsForNobodyWhoStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.project(t, 2)
	b.partitions(t, 4)
	b.events(t, p, 4, 1)
	b.exec(t, "insert into mesher.job_runs (id, job, started_at) values (gen_random_uuid(), 'old', $1)", noon.AddDate(0, 0, -31))
	b.db.Exec(t, "alter role mesher_store in database "+b.db.Name()+" set lock_timeout = '300ms'") // 5 s are long in a test
	reader := b.db.Conn(t, pgtest.Admin)
	for _, sql := range []string{"begin", "select count(*) from mesher.events"} {
		if _, err := reader.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	var writing sync.WaitGroup
	done := make(chan struct{})
	written, longest := 0, time.Duration(0)
	writing.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			began := time.Now()
			b.events(t, p, 0, 1)
			written, longest = written+1, max(longest, time.Since(began))
		}
	})
	s := b.run(t, "")
	close(done)
	writing.Wait()
	if s.Remaining["days"] == 0 || s.Done["days"] != 0 || s.Done["job_runs"] != 1 || written == 0 {
		t.Errorf("while somebody reads: %+v, %d events written; want the days left, and all else done", s, written)
	}
	t.Logf("%d events written meanwhile, the slowest in %s", written, longest)
	if _, err := reader.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if s := b.run(t, ""); s.Done["days"] != 2 || s.Remaining["days"] != 0 {
		t.Errorf("afterwards: %+v, want the days dropped", s)
	}
}

// Two runs at once, as when one outlives its lease.
func TestRetention_IsSafeTwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, less := b.project(t, 4), b.project(t, 2)
	b.partitions(t, 20)
	for ago := range 20 {
		b.events(t, p, ago, 20)
		b.events(t, less, ago, 20)
	}
	runs := []*Function{b.instance(t), b.instance(t), b.instance(t)}
	var wg sync.WaitGroup
	for _, f := range runs {
		f.runner.Shared = true
		wg.Go(func() {
			if s, err := f.Run(t.Context(), false); err != nil || len(s.Failed) != 0 {
				t.Errorf("run: %+v, %v", s, err)
			}
		})
	}
	wg.Wait()
	b.run(t, "")
	if got := b.days(t, p); got != "0:20 1:20 2:20 3:20 4:20" {
		t.Errorf("events by days ago = %s", got)
	}
	if got := b.days(t, less); got != "0:20 1:20 2:20" {
		t.Errorf("events of the one that keeps less = %s", got)
	}
	if got := len(b.tables(t)); got != 6 {
		t.Errorf("%d tables of days, want 6", got)
	}
}

func TestDropEventPartition_RefusesWhatIsInUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.partitions(t, 1)
	for sql, state := range map[string]string{
		"select mesher.drop_event_partition('events_20260310')": "55000",
		"select mesher.drop_event_partition('issues')":          "22023",
	} {
		if _, err := b.pool.Exec(t.Context(), sql); postgres.SQLState(err) != state {
			t.Errorf("%s: %v, want it refused with %s", sql, err, state)
		}
	}
	if _, err := b.pool.Exec(t.Context(), "select mesher.drop_event_partition('events_20200101')"); err != nil {
		t.Errorf("a day that is gone: %v", err)
	}
	if _, err := b.db.Conn(t, pgtest.App).Exec(t.Context(), "select mesher.drop_event_partition('events_20260310')"); postgres.SQLState(err) != "42501" {
		t.Errorf("as mesher_app: %v, want permission denied", err)
	}
}
