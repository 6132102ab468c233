// Package schedule is the one table of what runs when: the local scheduler, the cloud's and Terraform follow it.
package schedule

import "time"

// Job is one entry: Cloud Scheduler posts to its function whenever cron says so, in UTC.
type Job struct {
	Name     string        // of the job, in lower case; the function's name in the same
	Function string        // the entry point that is called
	Cron     string        // minute, hour, day of month, month, day of week
	Period   time.Duration // the longest time between two runs; a job that has not run for twice as long is late
	Deadline time.Duration // how long a run may take until the scheduler gives it up; the function stops well before
	Retries  int           // how often a run that failed is tried again before the next one; 0 where that comes soon anyway
	Doc      string
}

// Jobs returns the table.
func Jobs() []Job {
	return []Job{
		{"partitions", "Partitions", "10 */6 * * *", 6 * time.Hour, 5 * time.Minute, 3, "keeps the partitions of the coming days ready"},
		{"retention", "Retention", "40 * * * *", time.Hour, 10 * time.Minute, 3, "removes what is older than it is to be kept"},
		{"probe", "Probe", "* * * * *", time.Minute, 2 * time.Minute, 0, "looks at the services that are due"},
		{"alerts", "Alerts", "* * * * *", time.Minute, 2 * time.Minute, 0, "evaluates alert rules over time, and sweeps the outbox"},
	}
}

// Find returns the job called name.
func Find(name string) (Job, bool) {
	for _, j := range Jobs() {
		if j.Name == name {
			return j, true
		}
	}
	return Job{}, false
}
