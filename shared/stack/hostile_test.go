package stack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/stack"
)

// hostile are texts that are as bad as they can be, most of them far above the limit.
func hostile() map[string]string {
	many := func(s string) string { return strings.Repeat(s, 2*stack.MaxText/len(s)) }
	return map[string]string{
		"one long line":         "Error: x\n    at f (/" + many("a") + ".js:1:1)\n    at g (/b.js:1:1)",
		"a line without end":    many("x"),
		"only newlines":         many("\n"),
		"only escapes":          many("\x1b["),
		"deep causes":           "A: a\n\tat a.B.c(D.java:1)\n" + many("Caused by: X: y\n\tat a.B.c(D.java:1)\n"),
		"deep suppressed":       "A: a\n\tat a.B.c(D.java:1)\n" + many("\tSuppressed: X: y\n\t\tat a.B.c(D.java:1)\n"),
		"deep inner exceptions": many(" ---> X: y\n") + "   at A.B.C(D e)\n" + many("   --- End of inner exception stack trace ---\n"),
		"deep contexts": many("Traceback (most recent call last):\n  File \"a\", line 1, in f\nE: x\n\n" +
			"During handling of the above exception, another exception occurred:\n\n"),
		"deep groups":    many("| ") + "\n" + many("  +-+---------------- 1 ----------------\n    | File \"a\", line 1, in f\n    | E: x\n"),
		"many panics":    many("panic: x [recovered]\n\t") + "\n\ngoroutine 1 [running]:\nmain.f()\n\t/a.go:1 +0x1\n",
		"a long panic":   "panic: x\n" + many("y\n") + "goroutine 1 [running]:\nmain.f()\n\t/a.go:1 +0x1\n",
		"many calls":     "goroutine 1 [running]:\n" + many("main.f()\n\t/a.go:1 +0x1\n"),
		"many nexts":     many("E: x in /a.php:1\nStack trace:\n#0 {main}\n\nNext "),
		"many backtrace": "thread 'm' panicked at 'x', a.rs:1:1\n" + many("   1: f\n        at /a.rs:1:1\n"),
		"many causes":    "Error: x\nCaused by:\n" + many("   y\n") + "Stack backtrace:\n   0: f\n      at a.rs:1:1",
		"many headings":  many("a.rb:1:in 'f': x (E)\n"),
		"many gecko":     many("f@https://a.test/b.js:1:2\n"),
		"many elixir":    "** (E) x\n" + many("    (a 1.0) lib/a.ex:1: A.b/1\n"),
		"brackets":       "at " + many("(") + many(")") + "\n" + many("at (a:1:1)\n"),
		"colons":         many(":1") + "\n\tat a.B.c(D.java:1)",
		"a cut letter":   many("\u00e4") + "\n\tat a.B.c(D.java:1)",
	}
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkBounds(t, text)
		})
	}
}

// checkBounds fails unless what text parses to is within limits, and accepted by an event.
func checkBounds(t *testing.T, text string) {
	t.Helper()
	trace, ok := stack.Parse(text)
	if !ok {
		if len(trace.Exceptions) > 0 {
			t.Fatal("exceptions although there are none")
		}
		return
	}
	if trace.Platform == "" || len(trace.Exceptions) == 0 || len(trace.Exceptions) > stack.MaxExceptions {
		t.Fatalf("%q with %d exceptions", trace.Platform, len(trace.Exceptions))
	}
	size := 0
	for _, e := range trace.Exceptions {
		size += len(e.Type) + len(e.Value)
		if len(e.Frames) > stack.MaxFrames {
			t.Fatalf("%d frames", len(e.Frames))
		}
		for _, f := range e.Frames {
			size += len(f.Module) + len(f.Function) + len(f.AbsPath) + len(f.Filename) + len(f.ContextLine)
		}
	}
	if most := 2*min(len(text), stack.MaxText) + 1000; size > most { // a PHP frame may repeat the place of a heading
		t.Fatalf("%d bytes of text became %d", len(text), size)
	}
	if len(text) > stack.MaxText && !trace.Partial {
		t.Fatal("the trace does not say that it is a part")
	}
	checkEvent(t, &trace)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("Error: x\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "    at f%d (/a.js:%d:1)\n", i, i+1)
	}
	trace, ok := stack.Parse(text.String())
	frames := trace.Exceptions[0].Frames
	if !ok || !trace.Partial || len(frames) != stack.MaxFrames || frames[0].Function != "f999" || frames[len(frames)-1].Function != "f0" {
		t.Errorf("%d frames, from %q to %q", len(frames), frames[0].Function, frames[len(frames)-1].Function)
	}
	text.Reset()
	for i := range 80 {
		fmt.Fprintf(&text, "E%d: x\n\tat a.B.c(D.java:1)\nCaused by: ", i)
	}
	trace, ok = stack.Parse(text.String())
	if n := len(trace.Exceptions); !ok || n != stack.MaxExceptions || trace.Exceptions[n-1].Type != "E0" || trace.Exceptions[0].Type != "E79" {
		t.Errorf("%d exceptions: %v", n, trace.Exceptions)
	}
}

func FuzzParse(f *testing.F) {
	inputs, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, input := range inputs {
		text, err := os.ReadFile(input)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(checkBounds)
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"go_otel", "node_cause", "python_chain", "java_spring", "dotnet_inner"} {
		b.Run(name, func(b *testing.B) {
			text, err := os.ReadFile("testdata/" + name + ".txt")
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := stack.Parse(string(text)); !ok {
					b.Fatal("not a trace")
				}
			}
		})
	}
}

// BenchmarkHostile shows that time is linear: each text is over the limit.
func BenchmarkHostile(b *testing.B) {
	for name, text := range hostile() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(stack.MaxText)
			for b.Loop() {
				stack.Parse(text)
			}
		})
	}
}
