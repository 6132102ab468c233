package ingest

import (
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

// ask adds to a report what the limits want to know: of everybody whose events came since the last one.
func (l *limits) ask(report *tenant.UsageReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, s := range l.subjects {
		switch {
		case s.idle(report.At):
			delete(l.subjects, id)
			continue
		case s.offered == 0 && s.held == 0 && !s.wanted:
			continue // an instance that says nothing is not counted on by the others
		}
		s.wanted = false
		report.Claims = append(report.Claims, s.claim(id, report.At))
		if s.project {
			report.Budgets = append(report.Budgets, id)
		}
	}
}

// idleFor is how long a subject is remembered of which nothing came.
const idleFor = 10 * time.Minute

// idle reports whether nothing came for long. What it knows is read again when something does.
func (s *subject) idle(at time.Time) bool {
	return s.offered == 0 && s.held == 0 && !s.wanted && minuteOf(at)-s.minute > int64(idleFor/time.Minute)
}

// learn takes the answer to a report.
func (l *limits) learn(report tenant.UsageReport, state tenant.UsageState) {
	reported := acceptedThisMonth(report)
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, share := range state.Shares {
		if s := l.subjects[id]; s != nil {
			s.shared(share, report.At)
		}
	}
	type total struct{ all, reported int64 }
	organizations := map[uuid.UUID]total{}
	for id, used := range state.Months {
		s := l.subjects[id]
		if s == nil {
			continue
		}
		s.counted(monthOf(used.Month), used.Project, reported[id])
		organizations[s.organization] = total{used.Organization, organizations[s.organization].reported + reported[id]}
	}
	for id, sum := range organizations {
		if s := l.subjects[id]; s != nil {
			s.counted(monthOf(report.At), sum.all, sum.reported)
		}
	}
}

// acceptedThisMonth returns how many events a report says were accepted, by project, in the month that it is of.
func acceptedThisMonth(report tenant.UsageReport) map[uuid.UUID]int64 {
	out := map[uuid.UUID]int64{}
	for _, m := range report.Minutes {
		if monthOf(m.At) == monthOf(report.At) {
			out[m.Project] += m.Accepted
		}
	}
	return out
}
