package migrations_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/pgtest"
)

// event is the head of a minimal event for tests; its received_at is left out.
const event = `insert into mesher.events (project_id, id, event_id, fingerprint, occurred_at, level, message, tags, extra, received_at)
	values ('00000000-0000-0000-0000-000000000001', gen_random_uuid(), $2::text::uuid, gen_random_uuid(), now(), 'error', 'm', '{}', '{}', $1::text::timestamptz)`

func TestPartitions_ArePartsOfEvents(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t, pgtest.Store)
	for _, want := range []int32{3, 0} {
		if got := rows[int32](t, conn, "select mesher.create_event_partitions('2026-02-27', '2026-03-01')")[0]; got != want {
			t.Errorf("created = %d, want %d", got, want)
		}
	}
	exec(t, conn, "set timezone = 'UTC'")
	bounds := rows[string](t, conn, `select c.relname || ' ' || pg_get_expr(c.relpartbound, c.oid) from pg_inherits i
		join pg_class c on c.oid = i.inhrelid where i.inhparent = 'mesher.events'::regclass order by 1`)
	if diff := cmp.Diff([]string{
		"events_20260227 FOR VALUES FROM ('2026-02-27 00:00:00+00') TO ('2026-02-28 00:00:00+00')",
		"events_20260228 FOR VALUES FROM ('2026-02-28 00:00:00+00') TO ('2026-03-01 00:00:00+00')",
		"events_20260301 FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-03-02 00:00:00+00')",
	}, bounds); diff != "" {
		t.Errorf("bounds (-want +got):\n%s", diff)
	}

	indexes := rows[string](t, conn, `select c.relname || ' → ' || coalesce(p.relname::text, 'none') from pg_index x
		join pg_class c on c.oid = x.indexrelid
		left join pg_inherits i on i.inhrelid = c.oid
		left join pg_class p on p.oid = i.inhparent
		where x.indrelid = 'mesher.events_20260301'::regclass order by 1`)
	if diff := cmp.Diff([]string{
		"events_20260301_event_id_key → none",
		"events_20260301_pkey → events_pkey",
		"events_20260301_project_id_fingerprint_received_at_idx → events_fingerprint_idx",
	}, indexes); diff != "" {
		t.Errorf("indexes of a partition and what they belong to (-want +got):\n%s", diff)
	}

	const id = "00000000-0000-0000-0000-000000000009"
	exec(t, conn, event, "2026-03-01T00:00:00Z", id)
	if _, err := conn.Exec(t.Context(), event, "2026-03-01T12:00:00Z", id); err == nil {
		t.Error("one event id was stored twice on one day")
	}
}

func TestPartitions_FollowUTCWhateverTheSession(t *testing.T) {
	t.Parallel()
	conn := pgtest.New(t).Conn(t, pgtest.Store)
	exec(t, conn, "set timezone = 'Asia/Tokyo'")
	exec(t, conn, "set datestyle = 'SQL, DMY'")
	exec(t, conn, "select mesher.create_event_partitions(date '2026-03-02', date '2026-03-02')")
	for _, at := range []string{"2026-03-02T00:00:00Z", "2026-03-02T23:59:59.999999Z"} {
		exec(t, conn, event, at, "00000000-0000-0000-0000-00000000000"+at[12:13])
	}
	if got := rows[int64](t, conn, "select count(*) from only mesher.events_20260302")[0]; got != 2 {
		t.Errorf("rows in the day = %d, want 2", got)
	}
}

func TestPartitions_AreMadeWithoutBlocking(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	conn, other := db.Conn(t, pgtest.Store), db.Conn(t, pgtest.Store)
	exec(t, conn, "select mesher.create_event_partitions('2026-03-01', '2026-03-01')")

	exec(t, conn, "begin")
	exec(t, conn, "select mesher.create_event_partitions('2026-03-02', '2026-03-04')")
	modes := rows[string](t, other, `select distinct mode from pg_locks
		where relation in ('mesher.events'::regclass, 'mesher.events_20260301'::regclass) order by 1`)
	for _, mode := range modes {
		switch mode {
		case "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock":
		default:
			t.Errorf("a lock of mode %s is held on events: writers wait for it", mode)
		}
	}
	exec(t, other, "set lock_timeout = '100ms'")
	exec(t, other, event, "2026-03-01T01:00:00Z", "00000000-0000-0000-0000-000000000001")
	rows[int64](t, other, "select count(*) from mesher.events")
	exec(t, conn, "commit")
}

func TestPartitions_AreMadeOnceByManyCallers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t, pgtest.Store)
	var wg sync.WaitGroup
	made := make([]int, 4)
	for i := range made {
		wg.Go(func() {
			err := pool.QueryRow(t.Context(), "select mesher.create_event_partitions('2026-03-01', '2026-04-30')").Scan(&made[i])
			if err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if sum := made[0] + made[1] + made[2] + made[3]; sum != 61 {
		t.Errorf("created in all = %v, want 61 by one of them", made)
	}
}

func TestPartitions_FinishesOneThatIsHalfMade(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	db.Exec(t, "set role mesher_owner; create table mesher.events_20260305 (like mesher.events including all)",
		"grant select on mesher.events_20260305 to public")
	conn := db.Conn(t, pgtest.Store)
	if got := rows[int32](t, conn, "select mesher.create_event_partitions('2026-03-05', '2026-03-05')")[0]; got != 1 {
		t.Errorf("created = %d, want 1", got)
	}
	exec(t, conn, event, "2026-03-05T01:00:00Z", "00000000-0000-0000-0000-000000000001")
	if got := rows[bool](t, conn, "select has_table_privilege('mesher_app', 'mesher.events_20260305', 'select')")[0]; got {
		t.Error("a privilege that was granted by hand is still there")
	}
}

func TestPartitions_RefusesSenselessCalls(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	store := db.Conn(t, pgtest.Store)
	for _, args := range []string{"null, '2026-03-01'", "'2026-03-01', null", "'2026-03-01', '2056-03-01'"} {
		if _, err := store.Exec(t.Context(), "select mesher.create_event_partitions("+args+")"); err == nil {
			t.Errorf("create_event_partitions(%s) succeeded", args)
		}
	}
	if _, err := db.Conn(t, pgtest.App).Exec(t.Context(), "select mesher.create_event_partitions('2026-03-01', '2026-03-01')"); err == nil {
		t.Error("mesher_app may create partitions")
	}
}
