package tenant

import (
	"regexp"
	"strconv"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

const (
	day      = 24 * time.Hour
	spanMost = 3650 * day
)

var spanForm = regexp.MustCompile(`^(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?$`)

// ParseSpan reads a length of time in days, hours and minutes, such as 90d, 24h, 1d12h or 30m.
func ParseSpan(s string) (time.Duration, error) {
	parts := spanForm.FindStringSubmatch(s)
	if parts == nil || s == "" {
		return 0, fault.New(fault.Invalid, "%q is no length of time; write days, hours and minutes as in 90d, 24h, 1d12h or 30m", s)
	}
	var sum time.Duration
	for i, unit := range []time.Duration{day, time.Hour, time.Minute} {
		n, _ := strconv.ParseInt("0"+parts[i+1], 10, 64) // digits only
		if time.Duration(n) > spanMost/unit {
			return 0, errLongSpan()
		}
		sum += time.Duration(n) * unit
	}
	if sum > spanMost {
		return 0, errLongSpan()
	}
	return sum, nil
}

func errLongSpan() error {
	return fault.New(fault.Invalid, "a length of time may be %d days at most", spanMost/day)
}
