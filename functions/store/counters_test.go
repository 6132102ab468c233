package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// at returns an event of a fingerprint and level, received at the given time.
func at(t testing.TB, project, fingerprint uuid.UUID, i int, level event.Level, received time.Time) event.Event {
	t.Helper()
	e := sample(t, project, i, received)
	e.Fingerprint, e.Level, e.Title, e.Culprit = fingerprint, level, "title "+string(level), "culprit"
	return e
}

// issue is what is counted about an issue.
type issueRow struct {
	Title, Level, Status            string
	Events                          int
	FirstSeen, LastSeen, ActiveHour string
}

func (b *bundle) issues(t testing.TB, project uuid.UUID) []issueRow {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), `
		select title, level, status, event_count, to_char(first_seen at time zone 'utc', 'HH24:MI:SS'),
			to_char(last_seen at time zone 'utc', 'HH24:MI:SS'), to_char(active_hour at time zone 'utc', 'HH24:MI:SS')
		from mesher.issues where project_id = $1 order by event_count desc`, project)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []issueRow
	for rows.Next() {
		var i issueRow
		if err := rows.Scan(&i.Title, &i.Level, &i.Status, &i.Events, &i.FirstSeen, &i.LastSeen, &i.ActiveHour); err != nil {
			t.Fatal(err)
		}
		all = append(all, i)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFunction_CountsInWhateverOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, fingerprint := b.project(t), uuid.New()
	f := b.function(t)
	e := func(i int, level event.Level, received time.Time) event.Event {
		return at(t, project, fingerprint, i, level, received)
	}
	for _, step := range []struct {
		name   string
		events []event.Event
		want   issueRow
	}{
		{
			"opens the issue with the newest event's level",
			[]event.Event{e(1, event.Warning, noon.Add(time.Minute)), e(2, event.Error, noon.Add(2*time.Minute)), e(3, event.Info, noon)},
			issueRow{"title warning", "error", "unresolved", 3, "12:00:00", "12:02:00", "12:00:00"},
		},
		{
			"older events change what was seen first only",
			[]event.Event{e(4, event.Fatal, noon.Add(-2*time.Hour))},
			issueRow{"title warning", "error", "unresolved", 4, "10:00:00", "12:02:00", "12:00:00"},
		},
		{
			"newer events change level, time and hour",
			[]event.Event{e(5, event.Debug, noon.Add(time.Hour)), e(6, event.Fatal, noon.Add(time.Second))},
			issueRow{"title warning", "debug", "unresolved", 6, "10:00:00", "13:00:00", "13:00:00"},
		},
		{
			"duplicates change nothing",
			[]event.Event{e(1, event.Fatal, noon.Add(3*time.Hour))},
			issueRow{"title warning", "debug", "unresolved", 6, "10:00:00", "13:00:00", "13:00:00"},
		},
	} {
		acked(t, f, pack(project, step.events...))
		if diff := cmp.Diff([]issueRow{step.want}, b.issues(t, project)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", step.name, diff)
		}
	}
	b.stored(t, project, 6)
}

// Merging binds fingerprints of several issues to one; events of all of them count there from then on.
func TestFunction_CountsMergedFingerprintsTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, one, two := b.project(t), uuid.New(), uuid.New()
	f := b.function(t)
	acked(t, f, pack(project, at(t, project, one, 1, event.Error, noon), at(t, project, two, 2, event.Info, noon)))
	b.db.Exec(t, `
		update mesher.issue_fingerprints set issue_id = (select issue_id from mesher.issue_fingerprints where fingerprint = '`+one.String()+`');
		update mesher.issues set event_count = 2, user_count = 2, status = 'resolved'
			where id = (select issue_id from mesher.issue_fingerprints where fingerprint = '`+one.String()+`');
		delete from mesher.issues where id not in (select issue_id from mesher.issue_fingerprints)`)
	acked(t, f, pack(project,
		at(t, project, one, 3, event.Error, noon.Add(time.Second)), at(t, project, two, 4, event.Fatal, noon.Add(3*time.Second)),
		at(t, project, one, 5, event.Info, noon.Add(2*time.Second)), at(t, project, uuid.New(), 6, event.Debug, noon)))
	want := []issueRow{
		{"title error", "fatal", "resolved", 5, "12:00:00", "12:00:03", "12:00:00"},
		{"title debug", "debug", "unresolved", 1, "12:00:00", "12:00:00", "12:00:00"},
	}
	if diff := cmp.Diff(want, b.issues(t, project)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	b.stored(t, project, 6)
}

// An update that touches an indexed column would cost several times as much.
func TestFunction_UpdatesCountersInPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	f := b.function(t)
	const rounds = 20
	store := func(from int) {
		for i := range rounds {
			acked(t, f, pack(project, samples(t, project, from+50*i, 50)...))
		}
		f.pool.Reset() // a backend reports its statistics at the latest when it ends
	}
	updates := func(table string, atLeast int) (all, inPlace int) {
		eventually(t, "the statistics of "+table+" arrive", func() bool {
			err := b.admin.QueryRow(t.Context(), `
				select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables
				where schemaname = 'mesher' and relname = $1`, table).Scan(&all, &inPlace)
			if err != nil {
				t.Fatal(err)
			}
			return all >= atLeast
		})
		return all, inPlace
	}
	tables := []string{"issues", "issue_hourly_counts"}
	before := map[string][2]int{}
	store(0) // until the pages have room for a second version of each row
	for _, table := range tables {
		all, inPlace := updates(table, 50*(rounds-1))
		before[table] = [2]int{all, inPlace}
	}
	store(50 * rounds)
	for _, table := range tables {
		all, inPlace := updates(table, before[table][0]+50*rounds)
		all, inPlace = all-before[table][0], inPlace-before[table][1]
		// Nearly all are, unless something holds up the clearing of old versions for a moment.
		if inPlace < all/2 {
			t.Errorf("%s: %d of %d updates are in place, want most", table, inPlace, all)
		}
	}
	b.stored(t, project, 2*50*rounds)
}

func TestTally(t *testing.T) {
	t.Parallel()
	a, z := uuid.UUID{0: 1}, uuid.UUID{0: 2}
	got, err := tally([]row{
		{fingerprint: z, receivedAt: noon, level: event.Error, title: "z", release: "2"},
		{fingerprint: a, receivedAt: noon.Add(time.Hour), level: event.Info, title: "a"},
		{fingerprint: z, receivedAt: noon.Add(-time.Millisecond), level: event.Fatal, release: "1"},
		{fingerprint: z, receivedAt: noon, level: event.Debug},
		{fingerprint: z, receivedAt: noon, level: event.Debug},
	}, look{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.issues {
		if got.issues[i].IssueID.Version() != 7 {
			t.Errorf("issue id %s is of version %d, want 7", got.issues[i].IssueID, got.issues[i].IssueID.Version())
		}
		got.issues[i].IssueID = uuid.Nil
	}
	at := hourOf(noon)
	want := sums{
		issues: []issueCount{
			{
				Fingerprint: a, Events: 1, First: noon.Add(time.Hour), Last: noon.Add(time.Hour),
				ActiveHour: noon.Add(time.Hour), Level: event.Info, Title: "a",
			},
			{
				Fingerprint: z, Events: 4, First: noon.Add(-time.Millisecond), Last: noon, ActiveHour: noon,
				Level: event.Debug, Title: "z", LastRelease: "2", released: noon,
			},
		},
		hours:  []hourCount{{a, at + 1, 1}, {z, at - 1, 1}, {z, at, 3}},
		levels: []levelCount{{at - 1, 3, 1}, {at, 1, 2}, {at, 2, 1}, {at + 1, 4, 1}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sums{}, issueCount{}, opening{}, hourCount{}, levelCount{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
