package monitor

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Settle is how long after its deadline a heartbeat is judged: what was received in time has been written by then.
const Settle = 15 * time.Second

// early is how long before its time a run counts as that run: clocks differ.
const early = time.Minute

// CheckInStatus is what a job says of its run.
type CheckInStatus string

// The statuses of check-ins.
const (
	Began CheckInStatus = "in_progress"
	Ok    CheckInStatus = "ok"
	Error CheckInStatus = "error"
)

// signal is a check-in as it is judged.
type signal struct {
	At       time.Time
	ID       uuid.UUID // uuid.Nil: of the run that is under way
	Status   CheckInStatus
	Duration time.Duration
	Ended    bool // of one that began: its end came before it
}

// verdict is what was found of a job at a time.
type verdict struct {
	At   time.Time
	Look Look
}

// Codes of the looks at a heartbeat, besides CodeOK, and CodeTimeout of a run that began and did not end in time.
const (
	codeError  = "error"  // the job said that it failed
	codeMissed = "missed" // it did not run in time
)

// schedule returns when the heartbeat's job is to run.
func (m *Monitor) schedule() (schedule, error) { return m.Config.Heartbeat.schedule(m.IntervalS) }

func (m *Monitor) grace() time.Duration {
	return time.Duration(m.Config.Heartbeat.GraceS) * time.Second
}

// expect waits for the next run after a time.
func (m *Monitor) expect(after time.Time) error {
	s, err := m.schedule()
	if err != nil {
		return err
	}
	if m.ExpectedAt = s.next(after); m.ExpectedAt.IsZero() {
		return invalid("config.heartbeat.cron", "names a day that never comes")
	}
	m.DueAt = m.deadline()
	return nil
}

// deadline returns when the heartbeat is to be judged next.
func (m *Monitor) deadline() time.Time {
	at := m.ExpectedAt.Add(m.grace())
	if !m.runningUntil.IsZero() && m.runningUntil.Before(at) {
		at = m.runningUntil
	}
	return at.Add(Settle)
}

func (m *Monitor) endRun() {
	m.RunningSince, m.runningID, m.runningUntil = time.Time{}, uuid.Nil, time.Time{}
}

// judge takes what a job said, in the order in which it came, and returns what that and its silence mean until a time. Each
// run that is expected is judged once, whether it was looked at in time or much later; of those that were missed in a row at
// most countMost are returned, the last ones.
func (m *Monitor) judge(signals []signal, until time.Time) ([]verdict, error) {
	s, err := m.schedule()
	if err != nil {
		return nil, err
	}
	var found []verdict
	for _, c := range signals {
		found = append(found, m.lapse(s, c.At)...)
		if v, ok := m.hear(s, c); ok {
			found = append(found, v)
		}
	}
	found = append(found, m.lapse(s, until)...)
	m.DueAt = m.deadline()
	return found, nil
}

// lapse returns what was to happen before a time and did not.
func (m *Monitor) lapse(s schedule, until time.Time) []verdict {
	var found []verdict
	missed := 0
	for {
		late := m.ExpectedAt.Add(m.grace())
		if !m.runningUntil.IsZero() && m.runningUntil.Before(until) && !late.Before(m.runningUntil) {
			found = append(found, verdict{m.runningUntil, Look{Status: Down, Details: Details{
				Code: CodeTimeout, Error: fmt.Sprintf("it began at %s and did not end within %s", shown(m.RunningSince),
					time.Duration(m.Config.Heartbeat.MaxRuntimeS)*time.Second),
			}}})
			m.endRun()
			continue
		}
		if !late.Before(until) {
			break
		}
		missed++
		found = append(found, verdict{late, Look{Status: Down, Details: Details{
			Code: codeMissed, Error: fmt.Sprintf("it was to run at %s and had not by %s", shown(m.ExpectedAt), shown(late)),
		}}})
		if len(found) > 2*countMost {
			found = append(found[:0], found[countMost:]...)
		}
		if m.ExpectedAt = s.next(m.ExpectedAt); m.ExpectedAt.IsZero() {
			m.ExpectedAt = until.AddDate(1, 0, 0) // never: it was checked that there is another
		}
	}
	if len(found) > countMost {
		found = found[len(found)-countMost:]
	}
	if missed > len(found) && len(found) > 0 {
		found[0].Look.Details.Facts = map[string]any{"missed_before": missed - len(found)}
	}
	return found
}

func shown(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// hear takes one thing that a job said. The beginning of a run means nothing by itself but that it came.
func (m *Monitor) hear(s schedule, c signal) (verdict, bool) {
	if c.Status == Began {
		if c.Ended {
			return verdict{}, false
		}
		m.arrive(s, c.At)
		m.RunningSince, m.runningID, m.runningUntil = c.At, c.ID, time.Time{}
		if most := m.Config.Heartbeat.MaxRuntimeS; most > 0 {
			m.runningUntil = c.At.Add(time.Duration(most) * time.Second)
		}
		return verdict{}, false
	}
	if !m.RunningSince.IsZero() && (c.ID == m.runningID || c.ID == uuid.Nil || m.runningID == uuid.Nil) {
		if c.Duration == 0 {
			c.Duration = max(0, c.At.Sub(m.RunningSince))
		}
		m.endRun()
	} else {
		m.arrive(s, c.At)
	}
	v := verdict{c.At, Look{Status: Healthy, Latency: c.Duration, Details: Details{Code: CodeOK}}}
	if c.Status == Error {
		v.Look.Status = Down
		v.Look.Details = Details{Code: codeError, Error: "the job said that it failed"}
	}
	return v, true
}

// arrive notes that a run came, and waits for the next one. One that comes long before its time is none that was expected.
func (m *Monitor) arrive(s schedule, t time.Time) {
	next := s.next(m.ExpectedAt)
	switch {
	case s.cron == nil:
		m.ExpectedAt = s.next(t)
	case !t.Before(m.ExpectedAt):
		m.ExpectedAt = s.next(t)
	case m.ExpectedAt.Sub(t) <= min(early, next.Sub(m.ExpectedAt)/2):
		m.ExpectedAt = next
	}
}
