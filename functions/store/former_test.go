package store

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
)

// once returns an event of a user whose fingerprint was former in the version of grouping before.
func once(former, fingerprint uuid.UUID, user string, received time.Time) event.Event {
	e := by(fingerprint, user, received)
	e.Former, e.Title, e.Level = former, "title", event.Error
	return e
}

// issueOf returns the issue of a fingerprint, or uuid.Nil.
func (b *bundle) issueOf(t testing.TB, project, fingerprint uuid.UUID) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	err := b.admin.QueryRow(t.Context(), `select coalesce((select issue_id from mesher.issue_fingerprints
		where project_id = $1 and fingerprint = $2), $3)`, project, fingerprint, uuid.Nil).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// together fails the test unless the fingerprints belong to one issue, and the project has so many issues.
func (b *bundle) together(t testing.TB, project uuid.UUID, issues int, fingerprints ...uuid.UUID) {
	t.Helper()
	want := b.issueOf(t, project, fingerprints[0])
	for i, f := range fingerprints {
		if got := b.issueOf(t, project, f); got != want || got == uuid.Nil {
			t.Errorf("fingerprint %d belongs to %s, the first to %s", i, got, want)
		}
	}
	if got := b.number(t, "select count(*) from mesher.issues where project_id = $1", project); got != issues {
		t.Errorf("issues = %d, want %d", got, issues)
	}
}

// eachWay runs f for batches that are stored together and for those that are stored row by row. There, spoil returns
// events with one more, which the database refuses.
func eachWay(t *testing.T, f func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event)) {
	t.Helper()
	for _, name := range []string{"together", "row by row"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			project := b.project(t)
			if name == "together" {
				f(t, b, project, func(events ...event.Event) []event.Event { return events })
				return
			}
			b.refuseMarked(t, "events", whenMarked, "22P02")
			f(t, b, project, func(events ...event.Event) []event.Event {
				return append(events, marked(t, project, 1, func(int) bool { return true })...)
			})
		})
	}
}

func TestFunction_KeepsIssuesOverVersionsOfGrouping(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event) {
		former, latter := uuid.New(), uuid.New()
		fs := b.functions(t, 2)
		acked(t, fs[0], pack(project, by(former, "a", noon), by(former, "b", noon.Add(time.Minute))))
		b.exec(t, "update mesher.issue_fingerprints set grouping_version = 0")
		m := pack(project, spoil(
			once(former, latter, "b", noon.Add(time.Hour)), once(former, latter, "c", noon.Add(time.Second)),
			once(former, latter, "c", noon.Add(2*time.Second)))...)
		inParallel(4, func(i int) { acked(t, fs[i%2], m) })
		b.together(t, project, 1, former, latter)
		if got := b.userCount(t, former); got != 3 {
			t.Errorf("users = %d, want 3", got)
		}
		want := []issueRow{{Title: "", Level: "error", Status: "unresolved", Events: 5, FirstSeen: "12:00:00", LastSeen: "13:00:00", ActiveHour: "13:00:00"}}
		got := b.issues(t, project)
		for i := range got {
			got[i].Title = "" // of the event that opened it
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("issues (-want +got)\n%s", diff)
		}
		for f, version := range map[uuid.UUID]int{former: 0, latter: grouping.Version} {
			if got := b.number(t, "select grouping_version from mesher.issue_fingerprints where fingerprint = $1", f); got != version {
				t.Errorf("version of a fingerprint = %d, want %d", got, version)
			}
		}
		if n := b.number(t, "select count(*) from mesher.issue_tags where fingerprint = $1", latter); n == 0 {
			t.Error("no tag of the new fingerprint is written")
		}
		// Instances of the former version are still at work, and a fingerprint keeps its issue whatever the former is.
		acked(t, fs[0], pack(project, spoil(by(former, "d", noon), once(uuid.New(), latter, "e", noon))...))
		b.together(t, project, 1, former, latter)
		b.stored(t, project, 7)
	})
}

// A fingerprint that has an issue stays with it, also if the former one belongs to another.
func TestFunction_LeavesFingerprintsThatHaveAnIssue(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event) {
		one, two, latter := uuid.New(), uuid.New(), uuid.New()
		f := b.function(t)
		acked(t, f, pack(project, by(one, "a", noon), by(two, "a", noon)))
		acked(t, f, pack(project, spoil(once(one, latter, "a", noon), once(two, latter, "b", noon))...))
		b.together(t, project, 2, one, latter)
		b.edit(t, two, "status = 'discarded'")
		acked(t, f, pack(project, spoil(once(two, latter, "c", noon))...))
		b.together(t, project, 2, one, latter)
		b.stored(t, project, 5)
	})
}

// Both versions bring one new issue in one batch, in whatever order.
func TestFunction_OpensOneIssueForBothVersionsOfGrouping(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event) {
		fs := b.functions(t, 2)
		former, latter, finer, other := uuid.New(), uuid.New(), uuid.New(), uuid.New()
		m := pack(project, spoil(
			once(former, latter, "a", noon), once(former, finer, "b", noon.Add(time.Hour)), by(former, "a", noon.Add(time.Second)),
			once(former, latter, "c", noon), once(uuid.New(), other, "a", noon), by(former, "d", noon))...)
		inParallel(4, func(i int) { acked(t, fs[i%2], m) })
		b.together(t, project, 2, former, latter, finer)
		if got := b.userCount(t, former); got != 4 {
			t.Errorf("users = %d, want 4", got)
		}
		b.stored(t, project, 6)
	})
}

// The event of the former version that was to open the issue is refused.
func TestFunction_OpensAnIssueWhenTheFormerOneIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, former, latter := b.project(t), uuid.New(), uuid.New()
	b.refuseMarked(t, "events", whenMarked, "22P02")
	bad, good := by(former, "a", noon), once(former, latter, "b", noon)
	bad.Message, good.Message = "refused", "kept"
	acked(t, b.function(t), pack(project, bad, good, once(former, latter, "c", noon)))
	b.together(t, project, 1, latter)
	if n := b.number(t, "select count(*) from mesher.issues where message = 'kept'"); n != 1 {
		t.Error("the issue is not opened with its first event")
	}
	b.stored(t, project, 2)
}

func TestFunction_DiscardsOverVersionsOfGrouping(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event) {
		former, latter, third := uuid.New(), uuid.New(), uuid.New()
		f := b.function(t)
		acked(t, f, pack(project, by(former, "a", noon)))
		b.edit(t, former, "status = 'discarded'")
		acked(t, f, pack(project, once(former, latter, "a", noon), once(former, latter, "b", noon))) // and nothing else
		b.together(t, project, 1, former, latter)
		m := pack(project, spoil(once(former, latter, "c", noon), once(latter, third, "a", noon), by(uuid.New(), "a", noon))...)
		acked(t, f, m)
		b.together(t, project, 2, former, latter, third)
		if got := b.usage(t, project, "filtered"); got != 4 {
			t.Errorf("filtered = %d, want 4", got)
		}
		acked(t, f, m)
		if filtered, duplicates := b.usage(t, project, "filtered"), b.usage(t, project, "duplicates"); filtered != 6 || duplicates != 1 {
			t.Errorf("after a redelivery: filtered = %d, duplicates = %d; want 6 and 1", filtered, duplicates)
		}
		b.stored(t, project, 2)
	})
}

func TestFunction_ReopensOverVersionsOfGrouping(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, set, status, back string
		want                    []activity
	}{
		{"resolved", "status = 'resolved', resolved_at = '2026-03-10 12:00:00+00'", "unresolved", "12:00:02 2", []activity{{"regressed", "2", "", ""}}},
		{"ignored for so many events", "status = 'ignored', ignored_events = 3", "unresolved", " ", []activity{{"unignored", "", "", "events"}}},
		{"ignored for more events", "status = 'ignored', ignored_events = 4", "ignored", " ", nil},
		{"ignored for good", "status = 'ignored'", "ignored", " ", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachWay(t, func(t *testing.T, b *bundle, project uuid.UUID, spoil func(...event.Event) []event.Event) {
				former, latter := uuid.New(), uuid.New()
				fs := b.functions(t, 2)
				acked(t, fs[0], pack(project, by(former, "a", noon)))
				b.edit(t, former, tt.set)
				events := []event.Event{once(former, latter, "a", noon.Add(time.Second)), once(former, latter, "a", noon.Add(2*time.Second))}
				for i := range events {
					events[i].Release = "2"
				}
				slices.Reverse(events) // so that row by row, the first one's activity is that of the newest
				m := pack(project, spoil(events...)...)
				inParallel(4, func(i int) { acked(t, fs[i%2], m) })
				status, back, all := b.state(t, latter)
				for i := range all {
					all[i].Event = ""
				}
				if status != tt.status || back != tt.back {
					t.Errorf("status %q, back %q; want %q, %q", status, back, tt.status, tt.back)
				}
				if diff := cmp.Diff(tt.want, all); diff != "" {
					t.Errorf("activity (-want +got)\n%s", diff)
				}
				b.together(t, project, 1, former, latter)
				b.stored(t, project, 3)
			})
		})
	}
}

// Connections break while both versions bring the same issues.
func TestFunction_KeepsIssuesWhileConnectionsBreak(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	fs := b.functions(t, 2)
	known := make([]uuid.UUID, 5)
	first := make([]event.Event, len(known))
	for i := range known {
		known[i] = uuid.New()
		first[i] = by(known[i], "a", noon)
	}
	acked(t, fs[0], pack(project, first...))
	stop := b.terminate(t, 10*time.Millisecond)
	latter := func(i int) uuid.UUID { return uuid.NewSHA1(known[i], nil) }
	inParallel(8, func(n int) {
		var events []event.Event
		for i := range known {
			events = append(events, once(known[i], latter(i), "b", noon.Add(time.Duration(n)*time.Second)), by(known[i], "c", noon))
		}
		m := pack(project, events...)
		insist(t, fs[n%2], m)
		insist(t, fs[(n+1)%2], m)
	})
	stop()
	for i := range known {
		b.together(t, project, len(known), known[i], latter(i))
	}
	b.stored(t, project, len(known)*17)
}
