package event

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// millis is the number from which epoch seconds must really be milliseconds: as seconds it is the year 5138,
// as milliseconds it is 1973.
const millis = 1e11

// time reads the timestamp, which is there, and notes a clock that cannot be right.
func (d *Decoder) time(e *Event) error {
	at, err := parseTimestamp(d.sent.timestamp)
	if err != nil {
		return err
	}
	e.OccurredAt = at
	if skew := at.Sub(e.ReceivedAt); skew > d.limits.Ahead || skew < -d.limits.Age {
		d.notes.skew = skew
	}
	return nil
}

// parseTimestamp reads RFC 3339 text or epoch seconds, the latter as a number or as a string.
func parseTimestamp(raw []byte) (time.Time, error) {
	switch rawjson.KindOf(raw) {
	case rawjson.Number:
		return parseEpoch(string(raw))
	case rawjson.String:
		text := rawjson.Unquote(raw)
		if at, ok := parseDate(text); ok {
			return at, nil
		}
		if isDecimal(text) {
			return parseEpoch(text)
		}
		shown, _ := Trim(text, 100)
		return time.Time{}, fault.New(fault.Invalid, "timestamp must be RFC 3339 such as 2026-01-31T12:00:00Z, or epoch seconds, not %q", shown)
	}
	return time.Time{}, mustBe("timestamp", "RFC 3339 text or epoch seconds", raw)
}

// isDecimal reports whether s is a number as JSON has it, without exponent.
func isDecimal(s string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	return isDigits(whole) && (len(whole) == 1 || whole[0] != '0') && (!point || isDigits(fraction))
}

// parseEpoch reads epoch seconds, whose text has the syntax of a JSON number.
func parseEpoch(text string) (time.Time, error) {
	seconds, err := strconv.ParseFloat(text, 64)
	shown, _ := Trim(text, 30)
	switch size := math.Abs(seconds); {
	case err != nil || size >= 1000*millis:
		return time.Time{}, fault.New(fault.Invalid, "timestamp must be epoch seconds such as 1769860800, not %s", shown)
	case size >= millis:
		return time.Time{}, fault.New(fault.Invalid, "timestamp must be epoch seconds, and %s looks like milliseconds: divide it by 1000", shown)
	}
	// A float of today's seconds is exact to a quarter of a microsecond.
	at := time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC()
	if !storable(at) {
		return time.Time{}, fault.New(fault.Invalid, "timestamp %s is not within the years 1 to 9999", shown)
	}
	return at, nil
}

// storable reports whether every consumer can represent t; JSON text ends with the year 9999.
func storable(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// parseDate reads RFC 3339 text, leniently: a space may stand for the T, the fraction may have any length, a
// zone may lack its colon, and no zone means UTC. The result has whole microseconds.
func parseDate(s string) (time.Time, bool) {
	if len(s) < len("2006-01-02T15:04:05") || s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' ||
		s[10]|0x20 != 't' && s[10] != ' ' {
		return time.Time{}, false
	}
	year, month, day := number(s[0:4]), number(s[5:7]), number(s[8:10])
	hour, minute, second := number(s[11:13]), number(s[14:16]), number(s[17:19])
	if min(year, hour, minute, second) < 0 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	rest, micros := s[19:], 0
	if rest != "" && (rest[0] == '.' || rest[0] == ',') {
		digits := 1
		for unit := 100_000; digits < len(rest) && rest[digits]-'0' <= 9; digits++ {
			micros += int(rest[digits]-'0') * unit
			unit /= 10
		}
		if digits == 1 {
			return time.Time{}, false
		}
		rest = rest[digits:]
	}
	offset, ok := parseZone(rest)
	at := time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, time.UTC)
	if !ok || at.Day() != day { // the 31st of a shorter month became the 1st
		return time.Time{}, false
	}
	at = at.Add(-offset)
	return at, storable(at)
}

// parseZone reads nothing, Z, or an offset such as +02:00, +0200 or +02.
func parseZone(s string) (time.Duration, bool) {
	if s == "" || s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) == 6 && s[3] == ':' {
		s = s[:3] + s[4:]
	}
	if s[0] != '+' && s[0] != '-' || len(s) != 3 && len(s) != 5 {
		return 0, false
	}
	hours, minutes := number(s[1:3]), 0
	if len(s) == 5 {
		minutes = number(s[3:5])
	}
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// isDigits reports whether s is one digit or more, and nothing else.
func isDigits(s string) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return s != ""
}

// number returns the value of a text of digits, or -1.
func number(s string) int {
	n := 0
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}
