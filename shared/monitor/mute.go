package monitor

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Mute is a time in which a monitor is looked at and raises no alert: once, from Since until Until, or each week, on Days
// from From until To. A window whose To is not after its From ends on the day after.
type Mute struct {
	Since    time.Time `json:"since,omitzero" doc:"once: from then on; missing: at once"`
	Until    time.Time `json:"until,omitzero" doc:"once: until then"`
	Days     []string  `json:"days,omitempty" nullable:"false" maxItems:"7" doc:"each week on these days, on which the window begins: mon, tue, wed, thu, fri, sat, sun" example:"[\"sat\",\"sun\"]"`
	From     string    `json:"from,omitempty" doc:"when it begins, as 22:00" example:"22:00"`
	To       string    `json:"to,omitempty" doc:"when it ends, as 06:00; not after from: on the next day" example:"06:00"`
	Timezone string    `json:"timezone,omitempty" doc:"in which days and times are; missing: UTC" example:"Europe/Berlin"`
}

// weekdays are the names of days, as time.Weekday numbers them.
var weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// checkMute refuses windows that mean nothing.
func checkMute(windows []Mute) error {
	if len(windows) > mutesMost {
		return invalid("mute", "%d windows; at most %d are allowed", len(windows), mutesMost)
	}
	for i, w := range windows {
		if err := w.check(); err != nil {
			return at(err, "mute[%d]", i)
		}
	}
	return nil
}

func (w Mute) check() error {
	weekly := len(w.Days) > 0 || w.From != "" || w.To != "" || w.Timezone != ""
	once := !w.Since.IsZero() || !w.Until.IsZero()
	switch {
	case weekly && once:
		return invalid("", "is both once (since, until) and weekly (days, from, to); make two windows of it")
	case weekly:
		return w.checkWeekly()
	case w.Until.IsZero():
		return invalid("until", "is missing: give until, or days, from and to; to stop looking at all, disable the monitor")
	case !plainTime(w.Since) || !plainTime(w.Until):
		return invalid("until", "is not between the years 2000 and 9999")
	case !w.Since.IsZero() && !w.Until.After(w.Since):
		return invalid("until", "is not after since")
	}
	return nil
}

func plainTime(t time.Time) bool { return t.IsZero() || t.Year() >= 2000 && t.Year() <= 9999 }

func (w Mute) checkWeekly() error {
	if len(w.Days) == 0 {
		return invalid("days", "is empty: name the days, of %s", strings.Join(weekdays[:], ", "))
	}
	for i, d := range w.Days {
		if !slices.Contains(weekdays[:], d) {
			return invalid("days", "%q is none of %s", clip(d), strings.Join(weekdays[:], ", "))
		}
		if slices.Contains(w.Days[:i], d) {
			return invalid("days", "%s stands there twice", d)
		}
	}
	for name, text := range map[string]string{"from": w.From, "to": w.To} {
		if _, err := clockTime(text); err != nil {
			return invalid(name, "is not a time of day such as 06:30")
		}
	}
	if _, err := zone(w.Timezone); err != nil {
		return invalid("timezone", "there is no time zone %q; use a name such as Europe/Berlin", clip(w.Timezone))
	}
	return nil
}

var errClock = errors.New("not a time of day")

// clockTime returns how long after midnight a time of day is.
func clockTime(text string) (time.Duration, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, errClock
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// Muted reports whether one of the windows is open.
func Muted(windows []Mute, at time.Time) bool {
	return slices.ContainsFunc(windows, func(w Mute) bool { return w.open(at) })
}

func (w Mute) open(at time.Time) bool {
	if len(w.Days) == 0 {
		return !at.Before(w.Since) && at.Before(w.Until)
	}
	where, err := zone(w.Timezone)
	if err != nil {
		return false // it was checked
	}
	at = at.In(where)
	// A window that is open began today or yesterday.
	for back := range 2 {
		y, m, d := at.AddDate(0, 0, -back).Date()
		noon := time.Date(y, m, d, 12, 0, 0, 0, where)
		if !slices.Contains(w.Days, weekdays[noon.Weekday()]) {
			continue
		}
		begin, end := w.on(y, m, d, where)
		if !at.Before(begin) && at.Before(end) {
			return true
		}
	}
	return false
}

// on returns the window that begins on a day. Times of day are those of the clock on the wall, also where it is put forward
// or back within the window.
func (w Mute) on(y int, m time.Month, d int, where *time.Location) (begin, end time.Time) {
	from, _ := clockTime(w.From) // was checked
	to, _ := clockTime(w.To)
	wall := func(d int, after time.Duration) time.Time {
		return time.Date(y, m, d, int(after/time.Hour), int(after%time.Hour/time.Minute), 0, 0, where)
	}
	begin = wall(d, from)
	if to <= from {
		return begin, wall(d+1, to)
	}
	return begin, wall(d, to)
}
