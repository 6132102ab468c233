package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// by returns an event of a user.
func by(fingerprint uuid.UUID, user string, received time.Time) event.Event {
	e := plain(fingerprint, received, "{}")
	e.UserID = user
	return e
}

func (b *bundle) userCount(t testing.TB, fingerprint uuid.UUID) int {
	t.Helper()
	return b.number(t, `select i.user_count from mesher.issues i
		join mesher.issue_fingerprints f on f.issue_id = i.id where f.fingerprint = $1`, fingerprint)
}

func TestFunction_CountsUsersOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, one, two := b.project(t), uuid.New(), uuid.New()
	fs := b.functions(t, 2)
	address := plain(one, noon, "{}")
	address.UserInfo = []byte(`{"ip_address":"203.0.113.7","email":"a@example.com"}`)
	nobody := plain(one, noon, "{}")
	nobody.UserInfo = []byte(`{"email":"a@example.com"}`)
	m := pack(project, by(one, "a", noon), by(one, "b", noon), by(one, "a", noon.Add(time.Hour)), address, nobody, by(two, "a", noon))
	inParallel(4, func(i int) { acked(t, fs[i%2], m) })
	acked(t, fs[1], pack(project, by(one, "b", noon.Add(2*time.Hour)), by(one, "c", noon)))
	acked(t, fs[0], pack(project, by(one, "b", noon)))
	if got := b.userCount(t, one); got != 4 {
		t.Errorf("users = %d, want 4", got)
	}
	if got := b.userCount(t, two); got != 1 {
		t.Errorf("users of another issue = %d, want 1", got)
	}
	seen := func(user string) (at string) {
		e := by(one, user, noon)
		err := b.admin.QueryRow(t.Context(), `select to_char(seen_hour at time zone 'utc', 'HH24:MI') from mesher.issue_users
			where fingerprint = $1 and user_hash = $2`, one, userHash(project, &e)).Scan(&at)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	if a, b := seen("a"), seen("b"); a != "13:00" || b != "14:00" {
		t.Errorf("last seen %s and %s, want 13:00 and 14:00", a, b)
	}
	b.stored(t, project, 9)
}

// A user of one fingerprint is not new to the issue when another one of it brings them, in whatever batch.
func TestFunction_CountsUsersOfMergedFingerprintsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, one, two := b.project(t), uuid.New(), uuid.New()
	fs := b.functions(t, 2)
	acked(t, fs[0], pack(project, by(one, "a", noon)))
	b.exec(t, `insert into mesher.issue_fingerprints (project_id, fingerprint, issue_id, grouping_version)
		select project_id, $1, issue_id, 1 from mesher.issue_fingerprints where fingerprint = $2`, two, one)
	inParallel(2, func(i int) {
		acked(t, fs[i], pack(project, by(two, "a", noon), by(two, "b", noon), by(one, "b", noon), by(one, "c", noon)))
	})
	acked(t, fs[0], pack(project, by(two, "c", noon), by(two, "d", noon)))
	if got := b.userCount(t, one); got != 4 {
		t.Errorf("users = %d, want 4", got)
	}
	b.stored(t, project, 11)
}

// Instances that know nothing of each other write the same tags and users at the same time.
func TestFunction_CountsUsersAndTagsOfTwoWriters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	fs := b.functions(t, 4)
	stop := b.terminate(t, 20*time.Millisecond)
	const rounds, size = 10, 60
	inParallel(len(fs), func(f int) {
		for i := range rounds {
			events := samples(t, project, size*i, size)
			for j := range events { // the same tags and users in all of them
				events[j].ID, events[j].EventID = event.NewID(noon), uuid.New()
			}
			insist(t, fs[f], pack(project, events...))
		}
	})
	stop()
	b.stored(t, project, len(fs)*rounds*size)
}

// Whoever deletes an issue takes its users and tags with it. The next event opens a new one, and an instance that
// remembers those of the old one writes them again.
func TestFunction_WritesAnewWhatWasDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, fingerprint := b.project(t), uuid.New()
	f := b.function(t)
	acked(t, f, pack(project, by(fingerprint, "a", noon), plain(fingerprint, noon, `{"k":"v"}`)))
	b.exec(t, "delete from mesher.issues where project_id = $1", project)
	b.exec(t, "delete from mesher.issue_tags where project_id = $1", project)
	b.exec(t, "delete from mesher.issue_users where project_id = $1", project)
	acked(t, f, pack(project, by(fingerprint, "a", noon), plain(fingerprint, noon, `{"k":"v"}`)))
	if got := b.userCount(t, fingerprint); got != 1 {
		t.Errorf("users = %d, want 1", got)
	}
	if got := len(b.tagsOf(t, fingerprint)); got != 3 {
		t.Errorf("tags = %d, want 3", got)
	}
}

func TestFunction_KeepsSoManyUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, full, roomy := b.project(t), uuid.New(), uuid.New()
	f := b.function(t)
	acked(t, f, pack(project, by(full, "a", noon), by(roomy, "a", noon)))
	b.exec(t, "update mesher.issues set user_count = $1", usersMost)
	b.exec(t, "insert into mesher.issue_users select $1, $2, gen_random_uuid(), $3 from generate_series(2, $4)",
		project, full, noon, usersMost)
	for i := range 3 {
		user := fmt.Sprintf("new %d", i)
		acked(t, f, pack(project, by(full, user, noon), by(roomy, user, noon)))
	}
	if got := b.userCount(t, full); got != usersMost {
		t.Errorf("users of a full fingerprint = %d, want %d", got, usersMost)
	}
	if got := b.userCount(t, roomy); got != usersMost+3 {
		t.Errorf("users of one whose users were forgotten = %d, want %d", got, usersMost+3)
	}
	// They are counted once an hour.
	if full, known := f.writer.memory.crowd(full, hourOf(noon)); !full || !known {
		t.Error("the fingerprint is not known to be full")
	}
	b.exec(t, "delete from mesher.issue_users where fingerprint = $1", full)
	acked(t, f, pack(project, by(full, "b", noon)))
	if got := b.userCount(t, full); got != usersMost {
		t.Errorf("users within the hour = %d, want %d", got, usersMost)
	}
	acked(t, f, pack(project, by(full, "b", noon.Add(time.Hour))))
	if got := b.userCount(t, full); got != usersMost+1 {
		t.Errorf("users in the next hour = %d, want %d", got, usersMost+1)
	}
}
