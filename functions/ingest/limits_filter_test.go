package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

func TestIngest_Sampling(t *testing.T) {
	t.Parallel()
	l := startLimits(t, "sample_rate = 0.5")
	const n = 200
	var body strings.Builder
	var ids []uuid.UUID
	for range n {
		ids = append(ids, uuid.New())
		fmt.Fprintf(&body, `{"event_id":%q,"message":"x","level":"error","timestamp":1}`+"\n", ids[len(ids)-1])
	}
	fates := map[uuid.UUID]int{}
	for range 2 {
		for _, e := range l.published(func() {
			a := l.post(body.String())
			if a.Status != http.StatusAccepted || len(a.Accepted) != n {
				t.Fatalf("%d with %d accepted", a.Status, len(a.Accepted))
			}
			for i, accepted := range a.Accepted {
				if accepted.EventID != ids[i] {
					t.Fatalf("event %d is answered in another order", i)
				}
			}
		}) {
			fates[e.EventID]++
		}
	}
	if len(fates) < n/4 || len(fates) > n*3/4 {
		t.Errorf("%d of %d events are kept", len(fates), n)
	}
	for id, times := range fates {
		if times != 2 {
			t.Errorf("%s was kept %d times of 2", id, times)
		}
	}
	kept := int64(2 * len(fates))
	l.wantCounted(t, tenant.Usage{Accepted: kept, Filtered: 2*n - kept})
}

func TestIngest_DiscardedIssues(t *testing.T) {
	t.Parallel()
	l := startLimits(t, "")
	other := l.newProjectWith("other", "rate_limit = 1")
	for _, e := range l.published(func() { l.post(good) }) {
		l.db.Exec(t, fmt.Sprintf(`insert into mesher.issues (project_id, id, title, level, status, first_seen, last_seen, active_hour)
			select id, gen_random_uuid(), 'x', 'error', 'discarded', now(), now(), now() from mesher.projects where id = '%s'`, l.project.ID),
			fmt.Sprintf(`insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
			select project_id, '%s', id, 1 from mesher.issues`, e.Fingerprint))
	}
	l.keys.now = func() time.Time { return time.Now().Add(keyFresh) }
	published := l.published(func() {
		if a := l.post(good + "\n" + batchOf(1, "nothing alike happened")); a.Status != http.StatusAccepted || len(a.Accepted) != 2 {
			t.Errorf("%d with %d accepted", a.Status, len(a.Accepted))
		}
		if a := l.post(good); a.Status != http.StatusAccepted || len(a.Accepted) != 1 {
			t.Errorf("%d with %d accepted", a.Status, len(a.Accepted))
		}
	})
	if len(published) != 1 || published[0].Message != "nothing alike happened" {
		t.Errorf("%d events were published", len(published))
	}
	l.key = other
	if len(l.published(func() { l.post(good) })) != 1 {
		t.Error("another project's event was left out")
	}
	l.wantCounted(t, tenant.Usage{Accepted: 3, Filtered: 2})
}

func TestSampled(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{1e-9, 0.1, 0.5, 0.999, 1} {
		kept, sequential := 0, 0
		const n = 100_000
		for i := range n {
			a := &tenant.Access{SampleRate: rate}
			id := uuid.New()
			if sampled(a, id) {
				kept++
			}
			again := id
			if sampled(a, id) != sampled(a, again) {
				t.Fatal("an event fares otherwise the second time")
			}
			id = uuid.UUID{6: byte(i >> 16), 7: byte(i >> 8), 15: byte(i)}
			if sampled(a, id) {
				sequential++
			}
		}
		for what, got := range map[string]int{"random": kept, "sequential": sequential} {
			if share := float64(got) / n; share < rate-0.01 || share > rate+0.01 {
				t.Errorf("%g of %s ids are kept, want %g", share, what, rate)
			}
		}
	}
}
