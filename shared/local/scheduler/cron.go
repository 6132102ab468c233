package scheduler

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// when is the times of a job.
type when struct{ schedule cron.Schedule }

// parseWhen reads a cron expression of five fields, in a time zone of the tz database; empty or utc: UTC.
func parseWhen(expression, zone string) (when, error) {
	location, err := parseZone(zone)
	if err != nil {
		return when{}, err
	}
	// The parser knows more than the service: a zone in front of the fields, and names such as @daily.
	if strings.ContainsAny(expression, "=@") {
		return when{}, invalid("the schedule %.100q is not five fields: minute, hour, day of month, month, day of week", expression)
	}
	schedule, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(expression)
	if err != nil {
		return when{}, invalid("the schedule %.100q is no cron expression: %v", expression, err)
	}
	if fields, ok := schedule.(*cron.SpecSchedule); ok {
		fields.Location = location
	}
	w := when{schedule}
	if w.after(time.Now()).IsZero() {
		return when{}, invalid("the schedule %.100q has no time within five years", expression)
	}
	return w, nil
}

func parseZone(zone string) (*time.Location, error) {
	if zone == "" || strings.EqualFold(zone, "utc") {
		return time.UTC, nil
	}
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, invalid("the time zone %.100q is not one of the tz database", zone)
	}
	return location, nil
}

// after returns the first time after t.
func (w when) after(t time.Time) time.Time {
	next := w.schedule.Next(t)
	if next.IsZero() {
		return next
	}
	return next.UTC()
}

// latest returns the last time that is neither before from, which is one itself, nor after until.
func (w when) latest(from, until time.Time) time.Time {
	at := from
	// Close to the end first: after a month there are tens of thousands of minutes in between.
	for back := time.Minute; until.Sub(from) > back; back *= 60 {
		if near := w.after(until.Add(-back)); !near.IsZero() && !near.After(until) {
			at = near
			break
		}
	}
	for {
		next := w.after(at)
		if next.IsZero() || next.After(until) {
			return at
		}
		at = next
	}
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}
