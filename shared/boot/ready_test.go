package boot_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
)

// The log says once since when an instance works, and which version it is.
func TestLazy_SaysWhenItIsReady(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := &function{serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }}
	fails := true
	l := boot.New("Test", func(context.Context, env.Lookup, *slog.Logger) (boot.Handler, error) {
		if fails {
			return nil, errors.New("not yet")
		}
		return f, nil
	}, env.Map(nil), slog.New(slog.NewTextHandler(&log, nil)))
	do(l, http.MethodGet, "/")
	if strings.Contains(log.String(), "function is ready") {
		t.Errorf("a function that cannot be built is ready:\n%s", log.String())
	}
	fails = false
	for range 3 {
		do(l, http.MethodGet, "/")
	}
	if n := strings.Count(log.String(), `level=INFO msg="function is ready" function=Test version=`); n != 1 {
		t.Errorf("it is said %d times that the function is ready:\n%s", n, log.String())
	}
}
