package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func date(text string) time.Time {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return at
}

func TestPartitionHorizon(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	store, app := db.Pool(t, pgtest.Store), db.Pool(t, pgtest.App)
	now := time.Date(2026, 3, 10, 23, 59, 0, 0, time.UTC)
	check := func(what string, want postgres.Horizon) {
		t.Helper()
		for _, pool := range []postgres.DB{store, app} {
			got, err := postgres.PartitionHorizon(t.Context(), pool, now)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
	}
	ensure := func(from, to string) {
		t.Helper()
		if _, err := postgres.EnsurePartitions(t.Context(), store, date(from), date(to)); err != nil {
			t.Fatal(err)
		}
	}

	check("nothing there", postgres.Horizon{Last: date("2026-03-09"), Days: -1})
	ensure("2026-01-01", "2026-01-03")
	check("only old days", postgres.Horizon{Last: date("2026-03-09"), Days: -1})
	ensure("2026-03-12", "2026-03-12")
	check("today is missing", postgres.Horizon{Last: date("2026-03-09"), Days: -1, Gaps: []time.Time{
		date("2026-03-09"), date("2026-03-10"), date("2026-03-11"),
	}})
	ensure("2026-03-10", "2026-03-10")
	check("tomorrow is missing", postgres.Horizon{Last: date("2026-03-10"), Gaps: []time.Time{date("2026-03-09"), date("2026-03-11")}})
	ensure("2026-03-09", "2026-03-20")
	check("all is there", postgres.Horizon{Last: date("2026-03-20"), Days: 10})

	// As a person might have done it: the days of one partition, whatever it is called.
	db.Exec(t, "create table mesher.spring partition of mesher.events for values from ('2026-03-21 00:00:00+00') to ('2026-03-24 00:00:00+00')")
	check("days of one partition", postgres.Horizon{Last: date("2026-03-23"), Days: 13})

	// A session that writes times otherwise reads the bounds in the same way.
	conn := db.Session(t, pgtest.App)
	for _, set := range []string{"set timezone = 'America/St_Johns'", "set datestyle = 'SQL, DMY'"} {
		if _, err := conn.Exec(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		got, err := postgres.PartitionHorizon(t.Context(), conn, now)
		if want := (postgres.Horizon{Last: date("2026-03-23"), Days: 13}); err != nil || !cmp.Equal(want, got) {
			t.Errorf("after %s: %+v, %v; want %+v", set, got, err, want)
		}
	}
}
