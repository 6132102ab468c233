package tenant_test

import (
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestParseSpan(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "24h": 24 * time.Hour, "30m": 30 * time.Minute, "0m": 0, "0d": 0,
		"1d12h": 36 * time.Hour, "1d1h1m": 25*time.Hour + time.Minute, "90000m": 90000 * time.Minute, "3650d": 3650 * 24 * time.Hour,
	} {
		if got, err := tenant.ParseSpan(in); err != nil || got != want {
			t.Errorf("ParseSpan(%q) = %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "90", "d", "-1d", "+1d", "1h1d", "1.5h", "90D", "1s", "1w", " 1d", "1d\n", "3651d", "3650d1m", "999999999d",
		"999999999h", "999999999m", "9999999999999999999d", "１d",
	} {
		if got, err := tenant.ParseSpan(in); !fault.Is(err, fault.Invalid) || got != 0 {
			t.Errorf("ParseSpan(%q) = %s, %v; want it refused", in, got, err)
		}
	}
}
