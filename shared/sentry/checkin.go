package sentry

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// checkInBytes is the most that the payload of a check-in may have, and checkInDepth how deeply it may be nested.
const (
	checkInBytes = 32 << 10
	checkInDepth = 20
)

// usualEnvironment is that of a check-in which names none.
const usualEnvironment = "production"

// environmentMost is the most characters of an environment that are kept.
const environmentMost = 64

// cronMost and zoneMost are the most bytes of a cron expression and of a time zone's name: what is longer is none, and would
// be kept with each check-in.
const (
	cronMost = 256
	zoneMost = 64
)

// CheckIn is what a job said of its run.
type CheckIn struct {
	ID          uuid.UUID // of the run; uuid.Nil: that which is under way
	Slug        string    // of the monitor, as the SDK calls it; not empty
	Status      string    // in_progress, ok or error
	Duration    time.Duration
	Environment string
	Config      *MonitorConfig // nil: the SDK does not describe the monitor
}

// MonitorConfig is how an SDK describes a monitor. What it does not say, and what makes no sense, is zero.
type MonitorConfig struct {
	Cron       string // either Cron or Interval is its schedule
	Interval   time.Duration
	Timezone   string
	Margin     time.Duration // how late it may be
	MaxRuntime time.Duration
	Failures   int // in a row, after which it is down
	Recoveries int // in a row, after which it is well again
}

// ReadCheckIn reads the payload of an item of type check_in. Only what has no monitor or no status is refused, as a
// fault.Invalid; what else is odd is left out.
func ReadCheckIn(payload []byte) (CheckIn, error) {
	clean, _, _, err := rawjson.Clean(nil, payload, checkInDepth, checkInBytes)
	if err != nil || rawjson.KindOf(clean) != rawjson.ObjectKind {
		return CheckIn{}, fault.New(fault.Invalid, "a check-in must be a JSON object of at most %d bytes", checkInBytes)
	}
	c := CheckIn{Environment: usualEnvironment}
	for key, value := range rawjson.Object(clean) {
		switch string(key) {
		case "check_in_id":
			c.ID, _ = parseID(value)
		case "monitor_slug":
			c.Slug = text(value)
		case "status":
			c.Status = text(value)
		case "duration":
			c.Duration = span(value, time.Second)
		case "environment":
			if name := text(value); name != "" {
				c.Environment = firstRunes(name, environmentMost)
			}
		case "monitor_config":
			c.Config = monitorConfig(value)
		}
	}
	switch {
	case c.Slug == "":
		return CheckIn{}, fault.New(fault.Invalid, "a check-in must have a monitor_slug")
	case c.Status != "in_progress" && c.Status != "ok" && c.Status != "error":
		return CheckIn{}, fault.New(fault.Invalid, "the status of a check-in must be in_progress, ok or error")
	}
	return c, nil
}

// monitorConfig reads a description; nil when it has no schedule.
func monitorConfig(raw []byte) *MonitorConfig {
	if rawjson.KindOf(raw) != rawjson.ObjectKind {
		return nil
	}
	var c MonitorConfig
	for key, value := range rawjson.Object(raw) {
		switch string(key) {
		case "schedule":
			c.Cron, c.Interval = jobSchedule(value)
		case "timezone":
			c.Timezone = text(value)
		case "checkin_margin":
			c.Margin = span(value, time.Minute)
		case "max_runtime":
			c.MaxRuntime = span(value, time.Minute)
		case "failure_issue_threshold":
			c.Failures = int(span(value, 1))
		case "recovery_threshold":
			c.Recoveries = int(span(value, 1))
		}
	}
	if len(c.Cron) > cronMost || len(c.Timezone) > zoneMost {
		return nil
	}
	if c.Cron == "" {
		c.Timezone = ""
		if c.Interval == 0 {
			return nil
		}
	}
	return &c
}

const day = 24 * time.Hour

// units are those of an interval. Months and years are as long as most are.
var units = map[string]time.Duration{
	"minute": time.Minute, "hour": time.Hour, "day": day, "week": 7 * day, "month": 30 * day, "year": 365 * day,
}

func jobSchedule(raw []byte) (cron string, interval time.Duration) {
	if rawjson.KindOf(raw) != rawjson.ObjectKind {
		return "", 0
	}
	var kind, unit string
	var value []byte
	for key, v := range rawjson.Object(raw) {
		switch string(key) {
		case "type":
			kind = text(v)
		case "unit":
			unit = text(v)
		case "value":
			value = v
		}
	}
	switch kind {
	case "crontab":
		return text(value), 0
	case "interval":
		return "", span(value, units[unit])
	}
	return "", 0
}

// text returns a JSON string, "" for anything else.
func text(raw []byte) string {
	if rawjson.KindOf(raw) != rawjson.String {
		return ""
	}
	return strings.TrimSpace(rawjson.Unquote(raw))
}

// span returns so many of a unit, 0 for what is no number above 0 or more than ten years.
func span(raw []byte, unit time.Duration) time.Duration {
	var n float64
	if rawjson.KindOf(raw) != rawjson.Number || json.Unmarshal(raw, &n) != nil {
		return 0
	}
	d := n * float64(unit)
	if !(d > 0) || d > float64(3650*day) {
		return 0
	}
	return time.Duration(math.Round(d))
}

func firstRunes(s string, most int) string {
	for i := range s {
		if most--; most < 0 {
			return s[:i]
		}
	}
	return s
}
