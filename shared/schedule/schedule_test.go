package schedule_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/mesherhq/mesher/shared/schedule"
)

func TestJobs(t *testing.T) {
	t.Parallel()
	five := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	seen := map[string]bool{}
	for _, j := range schedule.Jobs() {
		if seen[j.Name] {
			t.Errorf("%s is there twice", j.Name)
		}
		seen[j.Name] = true
		if !regexp.MustCompile(`^[a-z][a-z-]*$`).MatchString(j.Name) || strings.ToLower(j.Function) != j.Name || j.Doc == "" {
			t.Errorf("%s calls %s: a job is called as its function, in lower case, and says what it does", j.Name, j.Function)
		}
		// What Cloud Scheduler allows for HTTP targets.
		if j.Deadline < 15*time.Second || j.Deadline > 30*time.Minute {
			t.Errorf("%s has a deadline of %s; it must be 15 s to 30 minutes", j.Name, j.Deadline)
		}
		if j.Retries < 0 || j.Retries > 5 {
			t.Errorf("%s is tried again %d times; it must be 0 to 5", j.Name, j.Retries)
		}
		s, err := five.Parse(j.Cron)
		if err != nil {
			t.Errorf("%s: %v", j.Name, err)
			continue
		}
		if got := longest(s); got != j.Period {
			t.Errorf("%s runs every %s at the longest, and its period is %s", j.Name, got, j.Period)
		}
		if found, ok := schedule.Find(j.Name); !ok || found != j {
			t.Errorf("%s is found as %+v, %t", j.Name, found, ok)
		}
	}
	if len(seen) == 0 {
		t.Error("there are no jobs")
	}
	if _, ok := schedule.Find("nonsense"); ok {
		t.Error("a job is found that there is none of")
	}
}

// longest returns the longest time between two runs in thirteen months, of which February has 29 days.
func longest(s cron.Schedule) time.Duration {
	from := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	var most time.Duration
	for at := s.Next(from); at.Before(from.AddDate(1, 1, 0)); {
		next := s.Next(at)
		most = max(most, next.Sub(at))
		at = next
	}
	return most
}
