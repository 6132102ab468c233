package fault_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	codes := map[string]bool{}
	for kind := fault.Internal; kind <= fault.NotConfigured; kind++ {
		if kind.String() == "" || codes[kind.String()] || kind.Status() < 400 || kind.Status() > 599 {
			t.Errorf("kind %d: code %q, status %d", kind, kind, kind.Status())
		}
		codes[kind.String()] = true
		// What is our fault is delivered again, and an operator hears of it.
		if ours := kind.Status() >= 500; ours == kind.Ack() && kind != fault.Limited || ours && kind.Level() < slog.LevelWarn {
			t.Errorf("%s: status %d, ack %v, level %s", kind, kind.Status(), kind.Ack(), kind.Level())
		}
	}
	if fault.Limited.Ack() {
		t.Error("what is over a limit now is not later")
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	inner := fault.New(fault.NotFound, "no project %d", 7)
	for _, tt := range []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"an error of a kind", inner, fault.NotFound},
		{"wrapped in text", fmt.Errorf("look up: %w", inner), fault.NotFound},
		{"wrapped in another kind, the outermost counts", fault.Wrap(inner, fault.Unavailable, "away"), fault.Unavailable},
		{"joined", errors.Join(io.EOF, inner), fault.NotFound},
		{"no kind", io.EOF, fault.Internal},
		{"nil", nil, fault.Internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := fault.KindOf(tt.err); got != tt.want {
				t.Errorf("KindOf = %s, want %s", got, tt.want)
			}
			if got := fault.Is(tt.err, tt.want); got != (tt.err != nil) {
				t.Errorf("Is = %v", got)
			}
		})
	}
}

func TestAfter_LeavesTheOriginalAlone(t *testing.T) {
	t.Parallel()
	e := fault.Wrap(io.EOF, fault.Limited, "slow down")
	later := e.After(time.Minute)
	if e.RetryAfter != 0 || later.RetryAfter != time.Minute || !errors.Is(later, io.EOF) || later.Detail != "slow down" {
		t.Errorf("e = %#v, later = %#v", e, later)
	}
}

func TestNamed_LeavesTheOriginalAlone(t *testing.T) {
	t.Parallel()
	e := fault.Wrap(io.EOF, fault.Conflict, "taken").After(time.Second)
	named := e.Named("slug_taken")
	if e.Code != "" || named.Code != "slug_taken" || named.RetryAfter != time.Second || named.Kind != fault.Conflict || !errors.Is(named, io.EOF) {
		t.Errorf("e = %#v, named = %#v", e, named)
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	named := fault.New(fault.Conflict, "taken").Named("slug_taken")
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"an error with a code of its own", named, "slug_taken"},
		{"one without has its kind's", fault.New(fault.Conflict, "taken"), "conflict"},
		{"wrapped in text", fmt.Errorf("create: %w", named), "slug_taken"},
		{"wrapped in another kind, the outermost counts", fault.Wrap(named, fault.Unavailable, "away"), "unavailable"},
		{"a code around a kind", fault.Wrap(io.EOF, fault.Invalid, "bad").Named("weak"), "weak"},
		{"no kind", io.EOF, "internal"},
		{"nil", nil, "internal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := fault.CodeOf(tt.err); got != tt.want {
				t.Errorf("CodeOf = %q, want %q", got, tt.want)
			}
		})
	}
}

func ExampleWrap() {
	err := fault.Wrap(io.ErrUnexpectedEOF, fault.Invalid, "the body was cut off")
	fmt.Println(err)
	fmt.Println(fault.KindOf(err), fault.KindOf(err).Status(), fault.KindOf(err).Ack())
	// Output:
	// the body was cut off: unexpected EOF
	// invalid 400 true
}
