package stack_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/stack"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// shown returns a trace in a form for people: a line for each exception and each frame, in native order.
func shown(t *stack.Trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", t.Platform)
	if t.Partial {
		b.WriteString("partial\n")
	}
	for _, e := range t.Exceptions {
		fmt.Fprintf(&b, "%q %q %s\n", e.Type, e.Value, e.Link)
		for _, f := range e.Frames {
			fmt.Fprintf(&b, "  %-7s %q %q %q%q:%d:%d %q\n",
				[...]string{"-", "app", "library"}[f.Origin], f.Module, f.Function, f.Filename, f.AbsPath, f.Line, f.Column, f.ContextLine)
		}
	}
	return b.String()
}

// TestGolden parses testdata/*.txt, most of which programs printed.
func TestGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			trace, ok := stack.Parse(string(text))
			if !ok {
				t.Fatal("not a stack trace")
			}
			checkEvent(t, &trace)
			got := shown(&trace)
			golden := strings.TrimSuffix(input, ".txt") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v; run the test with -update", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// checkEvent fails unless an event takes the chain exactly as it was written.
func checkEvent(t *testing.T, trace *stack.Trace) {
	t.Helper()
	chain := stack.AppendChain(nil, trace.Exceptions)
	raw := append(append([]byte(`{"level":"error","timestamp":1,"exception":`), chain...), '}')
	limits := event.DefaultLimits()
	limits.EventBytes = 64 << 20
	e, err := event.Decode(raw, limits, time.Unix(1, 0))
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if !bytes.Equal(e.Exception, chain) || !json.Valid(chain) {
		t.Fatalf("the event has\n%s\nnot\n%s", e.Exception, chain)
	}
}

func TestChain(t *testing.T) {
	t.Parallel()
	trace, _ := stack.Parse("E: \x00 \xff\n    at f (/srv/a.js:3:7)\nCaused by: FError\n    at node:fs:1:2")
	want := `[{"type":"FError","mechanism":{"type":"chained","source":"cause"},"stacktrace":{"frames":[` +
		`{"filename":"node:fs","lineno":1,"colno":2,"in_app":false}]}},` +
		`{"type":"E","value":"` + "\ufffd \ufffd" + `","stacktrace":{"frames":[{"function":"f","abs_path":"/srv/a.js","lineno":3,"colno":7,"in_app":true}]}}]`
	if diff := cmp.Diff(want, string(stack.AppendChain(nil, trace.Exceptions))); diff != "" {
		t.Error(diff)
	}
	if got, want := string(stack.AppendChain(nil, []stack.Exception{{}})), `[{"type":"Error"}]`; got != want {
		t.Errorf("a nameless exception is %s, want %s", got, want)
	}
}

func TestNoTrace(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\n\n", "disk full", "meet me at noon (or later)", "mail ada@acme.test:25", "see RFC 3339: section 5",
		"panic: at the disco", "goroutine 1 [running]:\n", "Traceback (most recent call last):\n", "#1 in the charts", "1: one\n2: two",
		"\x1b[31m\x1b[", "at ", "at (", "at )(", "File \"", "File \"x\", line ", "@", "x@:1:1", ":in '", "()", "(a) b: c",
	} {
		if trace, ok := stack.Parse(text); ok {
			t.Errorf("%q is taken for %s", text, shown(&trace))
		}
	}
}

func TestNewFrame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		platform, function, file string
		want                     stack.Frame
	}{
		{"go", "acme.dev/shop/cart.(*Cart[...]).Pay", "/src/cart.go", stack.Frame{
			Module: "acme.dev/shop/cart", Function: "(*Cart[...]).Pay", AbsPath: "/src/cart.go", Origin: stack.App,
		}},
		{"java", "com.acme.Shop.pay", "Shop.java", stack.Frame{Module: "com.acme.Shop", Function: "pay", Filename: "Shop.java"}},
		{"python", "pay", `C:\shop\venv\Lib\site-packages\x.py`, stack.Frame{
			Function: "pay", AbsPath: `C:\shop\venv\Lib\site-packages\x.py`, Origin: stack.Library,
		}},
		{"", "pay", "cart", stack.Frame{Function: "pay", Filename: "cart"}},
	} {
		tt.want.Line = 3
		if diff := cmp.Diff(tt.want, stack.NewFrame(tt.platform, tt.function, tt.file, 3, 0)); diff != "" {
			t.Errorf("%s %s: %s", tt.platform, tt.function, diff)
		}
	}
}
