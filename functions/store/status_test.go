package store

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// activity is what is written about a change of an issue's status.
type activity struct{ Action, Release, Event, Reason string }

// state returns an issue's status, when and in which release it came back, and what was written about that.
func (b *bundle) state(t testing.TB, fingerprint uuid.UUID) (status, back string, all []activity) {
	t.Helper()
	err := b.admin.QueryRow(t.Context(), `
		select i.status, coalesce(to_char(i.regressed_at at time zone 'utc', 'HH24:MI:SS'), '') || ' ' || coalesce(i.regressed_release, '')
		from mesher.issues i join mesher.issue_fingerprints f on f.issue_id = i.id where f.fingerprint = $1`,
		fingerprint).Scan(&status, &back)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := b.admin.Query(t.Context(), `
		select a.action, coalesce(a.details ->> 'release', ''), coalesce(a.details ->> 'event_id', ''),
			coalesce(a.details ->> 'reason', '')
		from mesher.issue_activity a join mesher.issue_fingerprints f on f.issue_id = a.issue_id
		where f.fingerprint = $1 and a.actor_id is null order by a.created_at`, fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var a activity
		if err := rows.Scan(&a.Action, &a.Release, &a.Event, &a.Reason); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return status, back, all
}

// edit changes the issue of a fingerprint as a person does.
func (b *bundle) edit(t testing.TB, fingerprint uuid.UUID, set string) {
	t.Helper()
	b.exec(t, "update mesher.issues set "+set+` where id = (
		select issue_id from mesher.issue_fingerprints where fingerprint = $1)`, fingerprint)
}

// Every way in which an event ends a status, or does not; in one batch and row by row.
func TestFunction_ReopensIssues(t *testing.T) {
	t.Parallel()
	resolved := fmt.Sprintf("status = 'resolved', resolved_at = '%s'", noon.Format(time.RFC3339))
	for _, tt := range []struct {
		name, set string
		known     string        // a release that was seen an hour before noon
		after     time.Duration // noon, when the event comes
		release   string
		status    string
		back      string
		action    string // "" for none
		reason    string
	}{
		{"resolved, an event after it", resolved, "", time.Second, "2", "unresolved", "12:00:01 2", "regressed", ""},
		{"resolved, one without a release", resolved, "", time.Second, "", "unresolved", "12:00:01 ", "regressed", ""},
		{"resolved, a late one", resolved, "", -time.Second, "2", "resolved", " ", "", ""},
		{"resolved, one of that very moment", resolved, "", 0, "2", "resolved", " ", "", ""},
		{"resolved without a time", "status = 'resolved'", "", time.Second, "2", "resolved", " ", "", ""},
		{"for the next release, a new one", resolved + ", resolved_next = true", "1", time.Second, "2", "unresolved", "12:00:01 2", "regressed", ""},
		{"for the next release, an old one", resolved + ", resolved_next = true", "1", time.Second, "1", "resolved", " ", "", ""},
		{"for the next release, none", resolved + ", resolved_next = true", "1", time.Second, "", "resolved", " ", "", ""},
		{"for the next release, a late event of a new one", resolved + ", resolved_next = true", "1", -time.Second, "2", "resolved", " ", "", ""},
		{"ignored for good", "status = 'ignored'", "", time.Second, "2", "ignored", " ", "", ""},
		{"ignored until later", "status = 'ignored', ignored_until = '2100-01-01'", "", time.Second, "2", "ignored", " ", "", ""},
		{"ignored until before", "status = 'ignored', ignored_until = '2026-03-10 12:00:01+00'", "", time.Second, "2", "unresolved", " ", "unignored", "time"},
		{"ignored for more events", "status = 'ignored', ignored_events = 3", "", time.Second, "2", "ignored", " ", "", ""},
		{"ignored for so many events", "status = 'ignored', ignored_events = 2, ignored_until = '2100-01-01'", "", time.Second, "2", "unresolved", " ", "unignored", "events"},
		{"unresolved", "status = 'unresolved', " + fmt.Sprintf("resolved_at = '%s'", noon.Format(time.RFC3339)), "", time.Second, "2", "unresolved", " ", "", ""},
	} {
		for _, each := range []bool{false, true} {
			name := tt.name
			if each {
				name += ", row by row"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				project, fingerprint := b.project(t), uuid.New()
				fs := b.functions(t, 2)
				first := at(t, project, fingerprint, 1, event.Error, noon.Add(-time.Hour))
				first.Release = tt.known
				acked(t, fs[0], pack(project, first))
				b.edit(t, fingerprint, tt.set)
				e := at(t, project, fingerprint, 2, event.Error, noon.Add(tt.after))
				e.Release = tt.release
				events := []event.Event{e}
				if each {
					b.refuseMarked(t, "events", whenMarked, "22P02")
					bad := at(t, project, fingerprint, 3, event.Error, noon.Add(time.Minute))
					bad.Message, bad.Release = "refused", "99"
					events = append(events, bad)
				}
				m := pack(project, events...)
				inParallel(4, func(i int) { acked(t, fs[i%2], m) })
				var want []activity
				switch tt.action {
				case "regressed":
					want = []activity{{tt.action, tt.release, e.EventID.String(), ""}}
				case "unignored":
					want = []activity{{tt.action, "", "", tt.reason}}
				}
				status, back, all := b.state(t, fingerprint)
				if status != tt.status || back != tt.back {
					t.Errorf("status %q, back %q; want %q, %q", status, back, tt.status, tt.back)
				}
				if diff := cmp.Diff(want, all); diff != "" {
					t.Errorf("activity (-want +got)\n%s", diff)
				}
				b.stored(t, project, 2)
				// Redelivered, after a person has resolved it again: nothing new came.
				b.edit(t, fingerprint, "status = 'resolved', resolved_at = '2026-03-10 11:00:00+00', resolved_next = false")
				acked(t, fs[1], m)
				if status, _, again := b.state(t, fingerprint); status != "resolved" || len(again) != len(want) {
					t.Errorf("after a redelivery: status %q, %d activities; want resolved, %d", status, len(again), len(want))
				}
			})
		}
	}
}

// Of a batch that ends a status, the newest event that does it is named, and merged fingerprints are one issue.
func TestFunction_ReopensAMergedIssueOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, one, two := b.project(t), uuid.New(), uuid.New()
	f := b.function(t)
	old := at(t, project, one, 1, event.Error, noon.Add(-time.Hour))
	old.Release = "old"
	acked(t, f, pack(project, old))
	b.exec(t, `insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
		select project_id, $1, issue_id, 1 from mesher.issue_fingerprints where fingerprint = $2`, two, one)
	b.edit(t, one, "status = 'resolved', resolved_next = true, resolved_at = '2026-03-10 12:00:00+00'")
	events := make([]event.Event, 6)
	for i, release := range []string{"new", "new", "newer", "old", "old", ""} {
		fingerprint := one
		if i%2 == 0 {
			fingerprint = two
		}
		events[i] = at(t, project, fingerprint, 10+i, event.Error, noon.Add(time.Duration(i+1)*time.Second))
		events[i].Release = release
	}
	acked(t, f, pack(project, events...))
	status, back, all := b.state(t, one)
	if status != "unresolved" || back != "12:00:03 newer" {
		t.Errorf("status %q, back %q; want unresolved, 12:00:03 newer", status, back)
	}
	if diff := cmp.Diff([]activity{{"regressed", "newer", events[2].EventID.String(), ""}}, all); diff != "" {
		t.Errorf("activity (-want +got)\n%s", diff)
	}
	b.stored(t, project, 7)
}

// A batch that is not committed reopens nothing, and one that is tried again does so once.
func TestFunction_ReopensOnceWhileConnectionsBreak(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	fs := b.functions(t, 2)
	first := samples(t, project, 0, 50)
	acked(t, fs[0], pack(project, first...))
	b.exec(t, "update mesher.issues set status = 'resolved', resolved_at = $1", noon)
	stop := b.terminate(t, 10*time.Millisecond)
	inParallel(8, func(i int) {
		events := samples(t, project, 50*(i+1), 50)
		for j := range events {
			events[j].ReceivedAt = noon.Add(time.Second)
			events[j].ID = event.NewID(events[j].ReceivedAt)
		}
		m := pack(project, events...)
		insist(t, fs[i%2], m)
		insist(t, fs[(i+1)%2], m)
	})
	stop()
	issues := b.number(t, "select count(*) from mesher.issues where project_id = $1", project)
	if n := b.number(t, "select count(*) from mesher.issues where status = 'unresolved' and regressed_at > $1", noon); n != issues {
		t.Errorf("reopened = %d, want all %d", n, issues)
	}
	if n := b.number(t, "select count(*) from mesher.issue_activity where action = 'regressed'"); n != issues {
		t.Errorf("activities = %d, want %d", n, issues)
	}
	b.stored(t, project, 450)
}

func TestFunction_LetsEventsOfDiscardedIssuesGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, unwanted, wanted := b.project(t), uuid.New(), uuid.New()
	f := b.function(t)
	acked(t, f, pack(project, at(t, project, unwanted, 1, event.Error, noon), at(t, project, wanted, 2, event.Error, noon)))
	b.edit(t, unwanted, "status = 'discarded', ignored_until = '2020-01-01', resolved_at = '2020-01-01'")
	bad := at(t, project, wanted, 9, event.Error, noon)
	bad.Message = "refused"
	b.refuseMarked(t, "events", whenMarked, "22P02")
	m := pack(project,
		at(t, project, unwanted, 3, event.Error, noon.Add(time.Second)), at(t, project, wanted, 4, event.Error, noon.Add(time.Second)),
		at(t, project, unwanted, 5, event.Fatal, noon.Add(time.Second)), at(t, project, uuid.New(), 6, event.Error, noon))
	acked(t, f, m)
	acked(t, f, pack(project, at(t, project, unwanted, 7, event.Error, noon)))
	acked(t, f, pack(project, at(t, project, unwanted, 8, event.Error, noon), bad))
	b.stored(t, project, 4)
	if got := b.usage(t, project, "filtered"); got != 4 {
		t.Errorf("filtered = %d, want 4", got)
	}
	status, _, all := b.state(t, unwanted)
	if status != "discarded" || len(all) != 0 {
		t.Errorf("status = %q, activities %v; want discarded and none", status, all)
	}
	acked(t, f, m)
	b.stored(t, project, 4)
	if filtered, duplicates := b.usage(t, project, "filtered"), b.usage(t, project, "duplicates"); filtered != 6 || duplicates != 2 {
		t.Errorf("after a redelivery: filtered = %d, duplicates = %d; want 6 and 2", filtered, duplicates)
	}
}

// An issue is opened with what its first event says.
func TestFunction_OpensAnIssueWithItsFirstEvent(t *testing.T) {
	t.Parallel()
	for _, each := range []bool{false, true} {
		b := setup(t)
		project, fingerprint := b.project(t), uuid.New()
		f := b.function(t)
		full, last := at(t, project, fingerprint, 1, event.Error, noon), at(t, project, fingerprint, 2, event.Error, noon.Add(time.Minute))
		full.ExceptionType, full.ExceptionValue, full.Message, full.Platform, full.Release = "T'", `v\"`, "m<>", "p", "1"
		last.ExceptionType, last.Message, last.Release = "other", "other", "2"
		none := event.Event{
			ID: event.NewID(noon), EventID: uuid.New(), Fingerprint: uuid.New(), ReceivedAt: noon, OccurredAt: noon,
			Level: event.Debug, Tags: []byte("{}"), Extra: []byte("{}"),
		}
		events := []event.Event{full, last, none}
		if each {
			b.refuseMarked(t, "events", whenMarked, "22P02")
			events = append(events, marked(t, project, 1, func(int) bool { return true })...)
		}
		acked(t, f, pack(project, events...))
		read := func(fingerprint uuid.UUID) (got []string) {
			err := b.admin.QueryRow(t.Context(), `
				select array[i.exception_type, i.exception_value, i.message, i.platform, i.first_release, i.last_release]
				from (select coalesce(exception_type, '-') as exception_type, coalesce(exception_value, '-') as exception_value,
					coalesce(message, '-') as message, coalesce(platform, '-') as platform,
					coalesce(first_release, '-') as first_release, coalesce(last_release, '-') as last_release, id
					from mesher.issues) i join mesher.issue_fingerprints f on f.issue_id = i.id where f.fingerprint = $1`,
				fingerprint).Scan(&got)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if diff := cmp.Diff([]string{"T'", `v\"`, "m<>", "p", "1", "2"}, read(fingerprint)); diff != "" {
			t.Errorf("a full event (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(slices.Repeat([]string{"-"}, 6), read(none.Fingerprint)); diff != "" {
			t.Errorf("an empty event (-want +got)\n%s", diff)
		}
		// Older events leave the newest release alone, and so do those without one.
		older, unnamed := at(t, project, fingerprint, 3, event.Error, noon.Add(time.Second)), at(t, project, fingerprint, 4, event.Error, noon.Add(time.Hour))
		older.Release, unnamed.Release = "0", ""
		acked(t, f, pack(project, older))
		acked(t, f, pack(project, unnamed))
		if got := read(fingerprint); got[4] != "1" || got[5] != "2" {
			t.Errorf("releases = %v, want 1 and 2", got[4:])
		}
		b.stored(t, project, 5)
	}
}

// A release is known since the first event of the batch that brings it, whoever brings it later.
func TestFunction_WritesReleasesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, other := b.project(t), b.project(t)
	fs := b.functions(t, 2)
	batch := func(project uuid.UUID, i int, at ...time.Duration) []event.Event {
		var events []event.Event
		for n, d := range at {
			e := sample(t, project, i+n, noon.Add(d))
			e.Release = "r"
			events = append(events, e)
		}
		return events
	}
	acked(t, fs[0], pack(project, batch(project, 0, 3*time.Second, time.Second, 2*time.Second)...))
	acked(t, fs[0], pack(project, batch(project, 10, 0)...))
	acked(t, fs[1], pack(project, batch(project, 20, 0)...))
	acked(t, fs[0], pack(other, batch(other, 30, time.Minute)...))
	for p, want := range map[uuid.UUID]time.Time{project: noon.Add(time.Second), other: noon.Add(time.Minute)} {
		var got time.Time
		err := b.admin.QueryRow(t.Context(), "select first_seen from mesher.releases where project_id = $1", p).Scan(&got)
		if err != nil || !got.Equal(want) {
			t.Errorf("first seen %s, %v; want %s", got, err, want)
		}
	}
	b.stored(t, project, 5)
	b.stored(t, other, 1)
}

// Retention goes by the last day of a release, which moves forward only, whichever instance stores the event.
func TestFunction_NotesTheLastDayOfReleases(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	fs := b.functions(t, 2)
	for i, step := range []struct {
		f    *Function
		at   time.Duration
		want string
	}{
		{fs[0], 0, "2026-03-10"},
		{fs[1], -day, "2026-03-10"},
		{fs[0], time.Hour, "2026-03-10"},
		{fs[1], 12 * time.Hour, "2026-03-11"},
		{fs[0], 2 * time.Hour, "2026-03-11"},
		{fs[1], 13 * time.Hour, "2026-03-11"},
	} {
		e := sample(t, project, i, noon.Add(step.at))
		e.Release = "r"
		acked(t, step.f, pack(project, e))
		var got string
		err := b.admin.QueryRow(t.Context(), "select seen_day::text from mesher.releases where project_id = $1", project).Scan(&got)
		if err != nil || got != step.want {
			t.Errorf("after event %d: seen %s, %v; want %s", i, got, err, step.want)
		}
	}
}

// Whatever fails after the issues are counted, nothing is remembered that is not committed.
func TestFunction_RemembersOnlyWhatIsCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	f := b.function(t)
	m := pack(project, samples(t, project, 0, 10)...)
	b.refuseMarked(t, "usage", "true", "40001")
	if w := deliver(f, m); w.Code != http.StatusServiceUnavailable {
		t.Fatalf("answer = %d, want 503", w.Code)
	}
	if n := f.writer.memory.tags.len() + f.writer.memory.users.len() + f.writer.memory.releases.len(); n != 0 {
		t.Errorf("%d things are remembered, want none", n)
	}
	if _, err := b.admin.Exec(context.Background(), "drop function mesher.refuse() cascade"); err != nil {
		t.Fatal(err)
	}
	acked(t, f, m)
	b.stored(t, project, 10)
	if n := f.writer.memory.tags.len(); n != b.number(t, "select count(*) from mesher.issue_tags") {
		t.Errorf("%d values are remembered, others are written", n)
	}
}
