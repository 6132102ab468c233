package issue_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/postgres"
)

// TestList_WhileIssuesMove reads lists to their end while events arrive in between, late ones too.
func TestList_WhileIssuesMove(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, by := range []issue.Sort{issue.ByLastSeen, issue.ByFirstSeen, issue.ByEvents, issue.ByUsers} {
		for _, status := range []issue.Status{issue.Unresolved, issue.AnyStatus} {
			for seed := range uint64(2) {
				m := &mover{fixture: f, rand: rand.New(rand.NewPCG(seed, 1)), project: f.newProject(t, strings.ReplaceAll(fmt.Sprint(by, status, seed), "_", "-")).ID}
				m.walk(t, by, status)
			}
		}
	}
}

// mover has a project's issues change.
type mover struct {
	*fixture
	rand    *rand.Rand
	project uuid.UUID
	names   []string
	changed map[uuid.UUID]bool
}

const walked = 30

func (m *mover) walk(t *testing.T, by issue.Sort, status issue.Status) {
	t.Helper()
	m.changed = map[uuid.UUID]bool{}
	at := map[uuid.UUID]bool{}
	for n := range walked {
		m.names = append(m.names, fmt.Sprint("issue ", n))
		at[m.event(t, m.names[n])] = true
	}
	clear(m.changed)
	m.noteYoung(t)
	returned := map[uuid.UUID]int{}
	var last *issue.Issue
	inOrder := true
	for r := (issue.Request{Sort: by, Limit: 1 + m.rand.IntN(7)}); ; {
		p, err := issue.List(t.Context(), m.app, m.project, issue.Filter{Status: status}, r)
		must(t, err)
		if len(p.Issues) > r.Limit || len(p.Issues) < r.Limit && p.Next != "" {
			t.Fatalf("a page of %d issues when %d were asked for", len(p.Issues), r.Limit)
		}
		for _, i := range p.Issues {
			returned[i.ID]++
			if returned[i.ID] > 1 && !m.changed[i.ID] {
				t.Errorf("by %s: an issue is returned again that did not change", by)
			}
			inOrder = inOrder && (last == nil || compare(by, *last, i) <= 0 || m.changed[i.ID])
			last = &i
		}
		if r.Cursor = p.Next; p.Next == "" {
			break
		}
		for range m.rand.IntN(6) {
			m.move(t)
		}
	}
	for id := range at {
		if returned[id] == 0 {
			t.Errorf("by %s, %s: an issue that was there all the while was left out", by, status)
		}
	}
	if !inOrder {
		t.Errorf("by %s: issues that did not change are not in order", by)
	}
}

// noteYoung takes issues for changed that were written after a transaction began which still runs, such as one of another
// test.
func (m *mover) noteYoung(t *testing.T) {
	t.Helper()
	rows, err := m.admin.Query(t.Context(), `
		select id from mesher.issues where project_id = $1::uuid
			and xmin::text::bigint >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint`, m.project)
	must(t, err)
	young, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	must(t, err)
	for _, id := range young {
		m.changed[id] = true
	}
}

// compare says which of two issues comes first.
func compare(by issue.Sort, a, b issue.Issue) int {
	switch by {
	case issue.ByFirstSeen:
		return b.FirstSeen.Compare(a.FirstSeen)
	case issue.ByEvents:
		return cmp.Compare(b.EventCount, a.EventCount)
	case issue.ByUsers:
		return cmp.Compare(b.UserCount, a.UserCount)
	}
	return b.LastSeen.Compare(a.LastSeen)
}

// event stores an event that was received some time in the last day.
func (m *mover) event(t *testing.T, name string) uuid.UUID {
	t.Helper()
	id := m.record(t, m.project, occurrence{
		fingerprint: fingerprint(name), message: name, at: m.now.Add(-time.Duration(m.rand.Int64N(int64(24 * time.Hour)))).Truncate(time.Microsecond),
		user: fmt.Sprint(m.rand.IntN(50)),
	})
	m.changed[id] = true
	return id
}

// move changes one issue: most often by an event, of a new issue too, and now and then as unmerging does.
func (m *mover) move(t *testing.T) {
	t.Helper()
	switch m.rand.IntN(8) {
	case 0:
		m.event(t, fmt.Sprint("new ", m.rand.Int()))
	case 1:
		id := m.event(t, m.names[m.rand.IntN(len(m.names))])
		must(t, m.tx(t, func(tx postgres.Tx) error {
			_, err := tx.Exec(t.Context(), `update mesher.issues set first_seen = last_seen, event_count = 1, user_count = 1,
				updated_at = clock_timestamp() where project_id = $1::uuid and id = $2::uuid`, m.project, id)
			return err
		}))
	default:
		m.event(t, m.names[m.rand.IntN(len(m.names))])
	}
}

// TestList_WhileTransactionsRun begins to read while an event is being stored whose transaction began before, and ended a
// part of it before others began and ended.
func TestList_WhileTransactionsRun(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for n := range 6 {
		f.record(t, f.project.ID, occurrence{fingerprint: fingerprint(fmt.Sprint(n)), message: fmt.Sprint(n), at: f.now.Add(-time.Duration(n) * time.Minute)})
	}
	tx, err := f.store.Begin(t.Context())
	must(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = storeOne(t.Context(), tx, f.project.ID, occurrence{fingerprint: fingerprint("5"), at: f.now.Add(-time.Second)})
	must(t, err)
	f.record(t, f.newProject(t, "other").ID, occurrence{fingerprint: fingerprint("x"), at: f.now})
	r := issue.Request{Limit: 4}
	p, err := issue.List(t.Context(), f.app, f.project.ID, issue.Filter{}, r)
	must(t, err)
	must(t, tx.Commit(t.Context()))
	q, err := issue.List(t.Context(), f.app, f.project.ID, issue.Filter{}, issue.Request{Limit: 100, Cursor: p.Next})
	must(t, err)
	got := map[string]bool{}
	for _, i := range append(p.Issues, q.Issues...) {
		got[i.Title] = true
	}
	if len(got) != 6 || q.Next != "" {
		t.Errorf("the issues %v came, want 6", got)
	}
}
