package issue_test

import (
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
)

func TestErase_GoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.open(t, f.project.ID, "a")
	for d := range 4 {
		at := f.now.AddDate(0, 0, -d)
		f.send(t, f.project.ID, sent{print: "a", at: at, user: "7", email: "Anna@example.com"}, sent{print: "a", at: at, user: "8"},
			sent{print: "a", at: at, email: "anna@Example.com"})
	}
	_, err := f.admin.Exec(t.Context(), `
		insert into mesher.issue_users (project_id, fingerprint, user_hash, seen_hour)
		select $1::uuid, $2::uuid, h, now() from unnest(array[$3::uuid, $4::uuid]) h`,
		f.project.ID, fingerprint("a"), issue.UserHash(f.project.ID, "7"), issue.UserHash(f.project.ID, "8"))
	must(t, err)
	var events, days int64
	var before time.Time
	for range 10 {
		out, err := issue.Erase(t.Context(), f.app, f.project.ID, issue.Subject{Email: "anna@example.com"}, before, 0)
		must(t, err)
		events += out.Events
		days += int64(out.DaysDone)
		if out.Done {
			break
		}
		if out.DaysDone != 1 || out.DaysLeft != 4-int(days) {
			t.Fatalf("%+v", out)
		}
		before, err = time.Parse(time.DateOnly, out.ContinueBefore)
		must(t, err)
	}
	if events != 8 || days != 4 {
		t.Errorf("%d events of %d days", events, days)
	}
	if left := f.text(t, "select string_agg(coalesce(user_id, 'none'), ' ') from mesher.events"); left != "8 8 8 8" {
		t.Errorf("left are events of %s", left)
	}
	if left := f.text(t, "select string_agg(user_hash::text, ' ') from mesher.issue_users"); left != issue.UserHash(f.project.ID, "8").String() {
		t.Errorf("left are traces of %s", left)
	}
	_, err = issue.Erase(t.Context(), f.app, f.project.ID, issue.Subject{}, time.Time{}, 0)
	wants(t, "of nobody", err, fault.Invalid, "")
}
