package partitions

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/postgres"
)

// BenchmarkFunction is a run that finds everything in order, by how many days of history there are and how many events the
// last of them holds. The time grows with the days alone.
func BenchmarkFunction(b *testing.B) {
	for _, size := range []struct{ days, events int }{{30, 0}, {365, 0}, {365, 100_000}} {
		b.Run(fmt.Sprintf("days=%d/events=%d", size.days, size.events), func(b *testing.B) {
			f := setup(b)
			f.run(b, "", http.StatusOK)
			f.history(b, size.days)
			f.db.Exec(b, fmt.Sprintf(`
				insert into mesher.events (project_id, id, event_id, fingerprint, occurred_at, level, message, tags, extra, received_at)
				select '00000000-0000-0000-0000-000000000001', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 'error',
					repeat('m', 1000), '{}', '{}', '2026-03-10'::date + n * interval '0.5 second' from generate_series(1, %d) n`, size.events))
			for b.Loop() {
				f.run(b, "", http.StatusOK)
			}
		})
	}
}

// history makes the partitions of so many days before.
func (b *bundle) history(t testing.TB, days int) {
	t.Helper()
	const atOnce = 100
	for n := 0; n < days; n += atOnce {
		last := noon.Add(-time.Duration(n) * 24 * time.Hour)
		first := last.AddDate(0, 0, -min(atOnce, days-n)+1)
		if _, err := postgres.EnsurePartitions(t.Context(), b.pool, first, last); err != nil {
			t.Fatal(err)
		}
	}
}
