package ingest

import (
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

// subject is what an instance knows of a project, a key or an organization that has limits.
type subject struct {
	project      bool
	organization uuid.UUID // of a project
	read         time.Time // when what all instances did was read last; zero: never
	wanted       bool      // it is to be read, though nothing was counted
	part         float64   // this instance's part of what is left, above 0 to 1

	// Of the minute.
	minute   int64 // since 1970
	limit    int64 // 0: none
	accepted int64 // by this instance, counting what is being published
	most     int64 // what accepted may become
	left     int64 // of the limit, when most was made a part of it

	// Of the month.
	month    int // since the year 0
	budgeted bool
	known    int64 // accepted by all instances, as far as reported
	held     int64 // accepted by this instance and not part of known
	fresh    int64 // the part of held that came after known was read

	// How much this instance is sent.
	offered int64 // events since then
	since   time.Time
	demand  float64 // events a second
}

// clockBack is by how many minutes a clock was surely set back.
const clockBack = 60

func minuteOf(at time.Time) int64 { return at.Unix() / 60 }

func monthOf(at time.Time) int {
	year, month, _ := at.UTC().Date()
	return year*12 + int(month) - 1
}

// portion returns a part of n, rounded up: the last event is somebody's, too.
func portion(part float64, n int64) int64 {
	if part >= 1 || n <= 0 {
		return max(n, 0)
	}
	return int64(math.Ceil(part * float64(n)))
}

// roll begins a new minute and month when it is time, and takes over another limit.
func (s *subject) roll(at time.Time, limit int64) {
	// A request is of the minute in which it began. One whose body came slowly is counted in a later one, and must not bring
	// its own back; a clock that was set back does.
	if minute := minuteOf(at); minute > s.minute || minute < s.minute-clockBack {
		s.minute, s.limit, s.accepted = minute, limit, 0
		s.most, s.left = portion(s.part, limit), limit
		if month := monthOf(at); month != s.month {
			s.month, s.known, s.held, s.fresh = month, 0, 0, 0
		}
	}
	if limit != s.limit {
		more := max(limit-s.limit, 0)
		s.limit, s.left, s.most = limit, s.left+more, min(s.most+portion(s.part, more), limit)
	}
}

func (s *subject) take(n int64) {
	s.accepted += n
	s.held += n
	s.fresh += n
}

func (s *subject) release(n int64, at time.Time) {
	if minuteOf(at) == s.minute {
		s.accepted = max(s.accepted-n, 0)
	}
	if monthOf(at) == s.month {
		s.held = max(s.held-n, 0)
		s.fresh = max(s.fresh-n, 0)
	}
}

func (s *subject) leftOfMinute() int64 { return max(s.most-s.accepted, 0) }

func (s *subject) leftOfMonth(budget int64) int64 {
	return max(portion(s.part, s.unused(budget))-s.fresh, 0)
}

// unused returns what was left of a budget at the last report.
func (s *subject) unused(budget int64) int64 { return max(budget-s.known-(s.held-s.fresh), 0) }

// wait returns how long it takes until more is accepted: until the next report when others hold what is left, else until
// the minute or the month ends. Nobody is told to wait longer than for an hour, since budgets can be raised.
func (s *subject) wait(b bound, why reason, at time.Time) time.Duration {
	left, end := s.left, at.Truncate(time.Minute).Add(time.Minute)
	if why == overQuota {
		year, month, _ := at.UTC().Date()
		left, end = s.unused(b.budget), time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
	}
	most := time.Hour
	if portion(s.part, left) < left {
		most = reportEvery
	}
	return min(end.Sub(at), most)
}

// claim returns what the instance asks for with a report.
func (s *subject) claim(id uuid.UUID, at time.Time) tenant.Claim {
	s.roll(at, s.limit)
	if took := at.Sub(s.since).Seconds(); took > 0 {
		now := float64(s.offered) / took
		if s.demand > 0 {
			now = (now + s.demand) / 2
		}
		s.demand, s.offered, s.since = now, 0, at
	}
	return tenant.Claim{Subject: id, Limit: s.limit, Accepted: s.accepted, Demand: s.demand}
}

// shared takes the share that a report asked for at a time.
func (s *subject) shared(share tenant.Share, at time.Time) {
	s.part, s.read = share.Part, at
	if minuteOf(at) == s.minute && s.limit > 0 {
		s.most, s.left = min(share.Most, s.limit), share.Room
	}
}

// counted takes how much of the month's budget all have used, of which reported was this instance's since the last time.
func (s *subject) counted(month int, all, reported int64) {
	if month == s.month {
		s.known, s.held, s.fresh = all, max(s.held-reported, 0), 0
	}
}
