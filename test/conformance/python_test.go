//go:build conformance

package conformance

import (
	"os"
	"testing"
)

func TestSentryPython(t *testing.T) {
	t.Parallel()
	python := os.Getenv("CONFORMANCE_PYTHON")
	if _, err := os.Stat(python); err != nil {
		missing(t, "there is no Python with sentry-sdk: make conformance says why")
	}
	checkDriven(t, run(t, "python", python, "driver.py"), "event", "attachment", "transaction")
}
