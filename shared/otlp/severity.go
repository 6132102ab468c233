package otlp

import (
	"strings"

	"github.com/mesherhq/mesher/shared/event"
)

// The least severity numbers of the levels.
const (
	SeverityTrace   = 1
	SeverityDebug   = 5
	SeverityInfo    = 9
	SeverityWarning = 13
	SeverityError   = 17
	SeverityFatal   = 21
	severityMost    = 24
)

// levelOf returns the level of a severity number.
func levelOf(severity int) event.Level {
	switch {
	case severity >= SeverityFatal:
		return event.Fatal
	case severity >= SeverityError:
		return event.Error
	case severity >= SeverityWarning:
		return event.Warning
	case severity >= SeverityInfo:
		return event.Info
	}
	return event.Debug
}

// severityOf returns the least severity number of a severity's name, or 0. Records that lack the number may have
// the name that their logging library uses, perhaps with an addition such as in "ERROR+4".
func severityOf(text string) int {
	end := strings.IndexFunc(text, func(r rune) bool { return r|0x20 < 'a' || r|0x20 > 'z' })
	if end >= 0 {
		text = text[:end]
	}
	switch strings.ToLower(text) {
	case "trace", "verbose", "finest", "finer":
		return SeverityTrace
	case "debug", "fine":
		return SeverityDebug
	case "info", "information", "notice":
		return SeverityInfo
	case "warn", "warning":
		return SeverityWarning
	case "error", "err", "severe":
		return SeverityError
	case "fatal", "critical", "crit", "alert", "emergency", "emerg", "panic":
		return SeverityFatal
	}
	return 0
}
