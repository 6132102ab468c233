package issue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
)

// TestMerge_WhileEventsArrive merges and splits issues back and forth. However it comes about, every event is counted once,
// every user of an issue once, and an issue was seen when its events were.
func TestMerge_WhileEventsArrive(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const prints, writers, each = 6, 3, 25
	name := func(n int) uuid.UUID { return fingerprint(fmt.Sprint("together ", n%prints)) }
	for n := range prints {
		f.record(t, f.project.ID, occurrence{fingerprint: name(n), at: f.now.Add(-time.Hour)})
	}
	issueOf := func(n int) uuid.UUID {
		return uuid.MustParse(f.text(t, "select issue_id from mesher.issue_fingerprints where project_id = $1::uuid and fingerprint = $2::uuid", f.project.ID, name(n)))
	}
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			for n := range each {
				o := occurrence{fingerprint: name(n*(w+1) + w), at: f.now.Add(-time.Duration((n*7+w*13)%50) * time.Minute), user: fmt.Sprint(n % 7)}
				if _, err := storeOne(context.WithoutCancel(t.Context()), f.store, f.project.ID, o); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n := range 12 {
		if a, b := issueOf(n), issueOf(n+1); a != b {
			_, err := f.merge(t, uuid.Nil, a, b)
			must(t, err)
		}
		if n%3 == 2 {
			_, err := f.unmerge(t, issueOf(n), name(n))
			if !fault.Is(err, fault.Conflict) {
				must(t, err)
			}
		}
	}
	work.Wait()
	if s := f.text(t, "select sum(event_count) from mesher.issues"); s != fmt.Sprint(prints+writers*each) {
		t.Errorf("%s events are counted, want %d", s, prints+writers*each)
	}
	if s := f.text(t, `
		with truth as (
			select f.issue_id, count(*) as events, count(distinct e.user_id) as users, min(e.received_at) as first, max(e.received_at) as last
			from mesher.events e join mesher.issue_fingerprints f using (project_id, fingerprint) group by 1)
		select string_agg(format('%s events %s users %s-%s, counted %s %s %s-%s', t.events, t.users, t.first, t.last, i.event_count, i.user_count,
			i.first_seen, i.last_seen), E'\n')
		from truth t join mesher.issues i on i.id = t.issue_id
		where (t.events, t.users, t.first, t.last, date_trunc('hour', t.last)) is distinct from (i.event_count, i.user_count, i.first_seen, i.last_seen, i.active_hour)`); s != "" {
		t.Errorf("miscounted:\n%s", s)
	}
	if s := f.text(t, "select count(*) from mesher.issues i where merged_into is null and not exists (select from mesher.issue_fingerprints f where f.issue_id = i.id)"); s != "0" {
		t.Errorf("%s issues have no fingerprints and were not merged", s)
	}
}
