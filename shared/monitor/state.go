package monitor

import (
	"strings"
	"time"
)

// State is how a monitor stands.
//
// Each look is an outcome, healthy, degraded or down (which is a failure), and is judged together with the last ones:
//
//	from                        to         when
//	unknown, healthy, degraded  down       the outcome is down, and so were Failures of the last Of outcomes
//	unknown, healthy            degraded   else: the outcome is not healthy, and Failures of the last Of were not
//	unknown                     healthy    the outcome is healthy
//	degraded                    healthy    the last Recoveries outcomes were healthy
//	down                        healthy    the last Recoveries outcomes were healthy
//	down                        degraded   the last Recoveries outcomes were not down, and one was degraded
//
// Otherwise the status stays. When a monitor gets better, what it was before is forgotten: to be worse again takes Failures new
// outcomes.
type State struct {
	Status  Status
	Since   time.Time
	Recent  string // the last outcomes, the newest last: h, d and x
	Alerted Status // what alert rules were told last
}

// Rules is how looks are judged.
type Rules struct{ Failures, Of, Recoveries int }

// letter is how an outcome is kept.
func letter(s Status) byte {
	switch s {
	case Healthy:
		return 'h'
	case Degraded:
		return 'd'
	case Unknown, Down:
	}
	return 'x'
}

// After returns the state after one more outcome, at a time.
func (s State) After(r Rules, outcome Status, at time.Time) State {
	recent := s.Recent + string(letter(outcome))
	s.Recent = recent[max(0, len(recent)-countMost):]
	if next := s.next(r); next != s.Status {
		if severity(next) < severity(s.Status) {
			s.Recent = s.Recent[max(0, len(s.Recent)-r.Recoveries):]
		}
		s.Status, s.Since = next, at
	}
	return s
}

func (s State) next(r Rules) Status {
	window := s.Recent[max(0, len(s.Recent)-r.Of):]
	last := window[len(window)-1]
	failed := strings.Count(window, "x")
	switch s.Status {
	case Down:
		return s.recovered(r)
	case Unknown, Healthy, Degraded:
	}
	switch {
	case last == 'x' && failed >= r.Failures:
		return Down
	case s.Status == Degraded:
		if s.inARow("h") >= r.Recoveries {
			return Healthy
		}
	case last == 'h' && s.Status == Unknown:
		return Healthy
	case last != 'h' && failed+strings.Count(window, "d") >= r.Failures:
		return Degraded
	}
	return s.Status
}

// recovered returns what a monitor is that was down.
func (s State) recovered(r Rules) Status {
	switch {
	case s.inARow("h") >= r.Recoveries:
		return Healthy
	case s.inARow("hd") >= r.Recoveries:
		return Degraded
	}
	return Down
}

// inARow returns how many of the last outcomes are among some.
func (s State) inARow(of string) int { return len(s.Recent) - len(strings.TrimRight(s.Recent, of)) }

// severity orders statuses by how bad they are.
func severity(s Status) int {
	switch s {
	case Degraded:
		return 1
	case Down:
		return 2
	case Unknown, Healthy:
	}
	return 0
}

// Tell reports whether alert rules are to be told of the status now, and notes that they were. While a monitor is muted they
// are told only that nothing is wrong any more, which raises nothing; what else there is to tell waits until it is not.
func (s *State) Tell(muted bool) bool {
	if muted && severity(s.Status) > 0 {
		return false
	}
	told := s.Alerted
	s.Alerted = s.Status
	return severity(told) != severity(s.Status)
}
