package ingest

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	// subjectsMost bounds the projects, keys and organizations whose limits are watched. One that is forgotten begins anew.
	subjectsMost = 10_000
	// shareFresh is how long an instance relies on what it read of the others: as long as they count on it, see
	// tenant.ReportUsage.
	shareFresh = 15 * time.Second
)

// limits holds projects, keys and organizations to their limits, without asking the database: each report of usage gives
// the instance a share of what is left, and until the next one it takes no more than that.
//
// All instances together accept at most the limit of a minute, and one event more for each instance; besides, an instance
// that has never read a project's state takes the project to be its own until its next report, 5 s at most. Of a monthly
// budget they accept at most what is left, and what an instance is sent between two reports of another. While the database is
// away every instance keeps to its last share: of each minute's limit, and of what was left of the month.
type limits struct {
	mu       sync.Mutex
	subjects map[uuid.UUID]*subject
}

func newLimits() *limits { return &limits{subjects: make(map[uuid.UUID]*subject)} }

// scope is whose limit it is, as X-Sentry-Rate-Limits calls it.
type scope string

const (
	ofOrganization scope = "organization"
	ofProject      scope = "project"
	ofKey          scope = "key"
)

// bound is the limits of one of those that a request counts for. 0: there is none.
type bound struct {
	scope  scope
	id     uuid.UUID
	rate   int64 // events a minute
	budget int64 // events a month
	used   int64 // of the budget when the key was looked up
}

func (b bound) none() bool { return b.rate == 0 && b.budget == 0 }

// boundsOf returns what holds for a request, the limits that take longest to end first.
func boundsOf(a *tenant.Access) [3]bound {
	return [...]bound{
		{ofOrganization, a.OrganizationID, 0, a.OrganizationBudget, a.Used.Organization},
		{ofProject, a.ProjectID, a.RateLimit, a.MonthlyBudget, a.Used.Project},
		{ofKey, a.KeyID, a.KeyRateLimit, 0, 0},
	}
}

// limited reports whether any limit holds for a request.
func limited(a *tenant.Access) bool {
	return a.OrganizationBudget > 0 || a.RateLimit > 0 || a.MonthlyBudget > 0 || a.KeyRateLimit > 0
}

// admit counts n events against the limits and returns how many of them may be accepted, and why no more. Offered is how
// many events the client sent for which that was to be decided, n and those that were refused at once.
func (l *limits) admit(a *tenant.Access, n, offered int, at time.Time) (int, *refusal) {
	if !limited(a) {
		return n, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	bounds := boundsOf(a)
	most, why := l.room(a, &bounds, int64(n), at)
	for _, b := range bounds {
		if s := l.subjects[b.id]; s != nil && !b.none() {
			s.take(most)
			s.offered += int64(offered)
		}
	}
	return int(most), why
}

// check returns why nothing of a request can be accepted, or nil.
func (l *limits) check(a *tenant.Access, at time.Time) *refusal {
	if !limited(a) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	bounds := boundsOf(a)
	_, why := l.room(a, &bounds, 1, at)
	return why
}

// room returns how many of n events the limits leave room for, and which of them leaves the least.
func (l *limits) room(a *tenant.Access, bounds *[3]bound, n int64, at time.Time) (most int64, why *refusal) {
	most = n
	var (
		least    bound
		reason   reason
		resource *subject
	)
	for _, b := range bounds {
		if b.none() {
			continue
		}
		s := l.subject(a, b, at)
		if b.budget > 0 {
			if left := s.leftOfMonth(b.budget); left < most {
				most, least, reason, resource = left, b, overQuota, s
			}
		}
		if b.rate > 0 {
			if left := s.leftOfMinute(); left < most {
				most, least, reason, resource = left, b, rateLimited, s
			}
		}
	}
	if resource == nil {
		return most, nil
	}
	return most, newRefusal(least, reason, resource.wait(least, reason, at))
}

// release gives back what was admitted and then not published.
func (l *limits) release(a *tenant.Access, n int, at time.Time) {
	if n == 0 || !limited(a) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range boundsOf(a) {
		if s := l.subjects[b.id]; s != nil && !b.none() {
			s.release(int64(n), at)
		}
	}
}

// watch has the limits of a request's project read with the next report, and reports whether they have to be now, because
// nothing that is known of them holds any more.
func (l *limits) watch(a *tenant.Access, at time.Time) (unread bool) {
	if !limited(a) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range boundsOf(a) {
		if b.none() {
			continue
		}
		if s := l.subject(a, b, at); at.Sub(s.read) > shareFresh {
			s.wanted, unread = true, true
		}
	}
	return unread
}

// subject returns what is known of the one whose limits b are, in the minute that at is in.
func (l *limits) subject(a *tenant.Access, b bound, at time.Time) *subject {
	s := l.subjects[b.id]
	if s == nil {
		if len(l.subjects) >= subjectsMost {
			l.forget(at)
		}
		s = &subject{part: 1, since: at}
		l.subjects[b.id] = s
	}
	s.roll(at, b.rate)
	if b.scope == ofProject {
		s.project, s.organization = true, a.OrganizationID
	}
	if b.budget > 0 && !s.budgeted {
		s.budgeted = true
		if monthOf(a.Used.Month) == s.month {
			s.known = b.used
		}
	}
	return s
}

// forget removes a subject, rather one that was not seen in this minute.
func (l *limits) forget(at time.Time) {
	var chosen uuid.UUID
	seen := 0
	for id, s := range l.subjects {
		chosen = id
		if seen++; seen == 16 || s.minute < minuteOf(at) && s.held == 0 {
			break
		}
	}
	delete(l.subjects, chosen)
}
