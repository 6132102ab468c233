package sentry

import (
	"math"
	"strconv"
	"time"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// millis is the number from which epoch seconds must really be milliseconds, as the native format has it.
const millis = 1e11

// micros is the form in which a time is written.
const micros = "2006-01-02T15:04:05.000000Z07:00"

// forms are the forms of text that SDKs send as a timestamp; a fraction is read whether or not a form has one.
var forms = [...]string{
	"2006-01-02T15:04:05Z07:00", // nearly all
	"2006-01-02T15:04:05",       // raven: UTC
	"2006-01-02T15:04:05Z0700",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05Z0700",
	"2006-01-02 15:04:05 Z0700",
	"2006-01-02 15:04:05",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
}

// timestamp writes when the event happened: what was sent, or when it was received if that cannot be read.
func (c *Converter) timestamp(raw []byte, received time.Time) {
	at := received
	if raw != nil {
		if rawjson.KindOf(raw) == rawjson.Number {
			seconds, err := strconv.ParseFloat(string(raw), 64)
			if err == nil && math.Abs(seconds) < millis && storable(seconds) {
				c.field("timestamp", raw)
				return
			}
		}
		if sent, ok := parseTime(rawjson.Unquote(raw)); ok {
			at = sent
		} else {
			c.move("timestamp", raw)
		}
	}
	c.dst = append(appendKey(c.dst, "timestamp"), '"')
	c.dst = append(at.UTC().AppendFormat(c.dst, micros), '"')
}

// parseTime reads RFC 3339 in the variants that SDKs send, or seconds or milliseconds since the epoch.
func parseTime(text string) (time.Time, bool) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if math.Abs(seconds) >= millis {
			seconds /= 1000
		}
		if !storable(seconds) { // nor is anything but a number
			return time.Time{}, false
		}
		return time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC(), true
	}
	for _, form := range forms {
		if at, err := time.Parse(form, text); err == nil {
			at = at.UTC()
			return at, at.Year() >= 1 && at.Year() <= 9999
		}
	}
	return time.Time{}, false
}

// storable reports whether seconds since the epoch lie within the years 1 to 9999.
func storable(seconds float64) bool {
	return seconds >= -62135596800 && seconds < 253402300799
}
