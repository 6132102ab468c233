package store

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/pgtest"
)

// The look for stored event ids must cost the same in a partition that the server has no statistics of, which is
// each day's for its first minutes, as in any other. Reading all of the project's rows takes a hundred times as
// long after one minute of full load.
func TestBeginSQL_LooksUpEachEventID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	b.db.Exec(t, "alter table mesher.events_20260310 set (autovacuum_enabled = false)")
	f := b.function(t)
	conn := b.db.Conn(t, pgtest.Store)
	looked := samples(t, project, 100_000, 100)
	rows := make([]row, len(looked))
	for i := range looked {
		rows[i] = row{eventID: looked[i].EventID, receivedAt: noon}
	}
	_, lookup, _ := strings.Cut(beginSQL(project, rows, newMemory()), "; select k.id")
	lookup, _, _ = strings.Cut(lookup, ";")
	for stored := range 4 {
		acked(t, f, pack(project, samples(t, project, 500*stored, 500)...))
		results, err := conn.PgConn().Exec(t.Context(), "explain (analyze, costs off, timing off) select k.id"+lookup).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for _, line := range results[0].Rows {
			plan.Write(append(line[0], '\n'))
		}
		if text := plan.String(); strings.Contains(text, "Removed by Filter") || !strings.Contains(text, "event_id = k.id") {
			t.Fatalf("after %d events, the plan reads rows that it throws away:\n%s", 500*(stored+1), text)
		}
		if strings.Contains(plan.String(), "events_20260308") {
			t.Errorf("the plan reads partitions of other days:\n%s", plan.String())
		}
	}
}

func TestTupleReader(t *testing.T) {
	t.Parallel()
	rows := []row{{tuple: []byte("one")}, {tuple: bytes.Repeat([]byte("two"), 100)}, {tuple: []byte("3")}}
	want := []byte(CopyHeader)
	for _, r := range rows {
		want = append(want, r.tuple...)
	}
	want = append(want, CopyTrailer...)
	if err := iotest.TestReader(&tupleReader{next: CopyHeader, rows: rows}, want); err != nil {
		t.Error(err)
	}
	for _, size := range []int{1, 2, 7, 1000} {
		var got bytes.Buffer
		_, err := io.CopyBuffer(struct{ io.Writer }{&got}, &tupleReader{next: CopyHeader, rows: rows}, make([]byte, size))
		if err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("read %d bytes at a time: %q, %v; want %q", size, got.Bytes(), err, want)
		}
	}
}

func TestLockKey(t *testing.T) {
	t.Parallel()
	seen := make(map[int64]bool)
	for range 1000 {
		seen[lockKey(uuid.Must(uuid.NewV7()))] = true
	}
	if len(seen) != 1000 {
		t.Errorf("locks of 1000 projects = %d, want each its own", len(seen))
	}
}
