package mesher

import (
	"slices"
	"testing"

	"github.com/mesherhq/mesher/shared/schedule"
)

// TestSchedule holds the table of entry points and that of jobs to each other: a function that no job calls never runs, and a
// job whose function there is none of calls nobody.
func TestSchedule(t *testing.T) {
	t.Parallel()
	var scheduled []string
	for _, f := range Functions() {
		if f.Trigger == Schedule {
			scheduled = append(scheduled, f.Name)
		}
	}
	var called []string
	for _, j := range schedule.Jobs() {
		called = append(called, j.Function)
		if !slices.Contains(scheduled, j.Function) {
			t.Errorf("the job %s calls %s, which is no scheduled function of mesher.go", j.Name, j.Function)
		}
	}
	for _, name := range scheduled {
		if !slices.Contains(called, name) {
			t.Errorf("%s is called by the schedule, but no job of shared/schedule calls it", name)
		}
	}
}
