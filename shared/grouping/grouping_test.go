package grouping_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
)

// project is the project of these tests.
var project = uuid.MustParse("019c13ec-0000-7000-8000-000000000001")

// decode returns the event with the given members besides the required ones.
func decode(t *testing.T, members string) event.Event {
	t.Helper()
	raw := `{"level":"error","timestamp":1769860799,` + members + `}`
	e, err := event.Decode([]byte(raw), event.DefaultLimits(), time.Unix(1769860800, 0))
	if err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return e
}

// thrown returns an exception with the given type, value and frames "module function", in-app if they begin
// with "app". Lines are set by line.
func thrown(kind, value string, line int, frames ...string) string {
	var list []string
	for i, f := range frames {
		module, function, _ := strings.Cut(f, " ")
		list = append(list, fmt.Sprintf(`{"module":%q,"function":%q,"lineno":%d,"in_app":%v}`,
			module, function, line+i, strings.HasPrefix(module, "app")))
	}
	return fmt.Sprintf(`{"type":%q,"value":%q,"stacktrace":{"frames":[%s]}}`, kind, value, strings.Join(list, ","))
}

func TestEventsThatBelongTogether(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, a, b string }{
		{"messages that differ in numbers", `"message":"order 12 failed"`, `"message":"order 345 failed"`},
		{"messages that differ in ids and quotes", `"message":"no 'a' in 9b2e7c1a-0000-4000-8000-00000000000a"`, `"message":"no 'b' in 9b2e7c1a-0000-4000-8000-00000000000b"`},
		{"lines and values differ", `"exception":` + thrown("E", "a", 1, "app.a f", "app.b g"), `"exception":` + thrown("E", "b", 70, "app.a f", "app.b g")},
		{"frames outside the application differ", `"exception":` + thrown("E", "a", 1, "lib x", "app.a f"), `"exception":` + thrown("E", "a", 1, "lib y", "lib z", "app.a f")},
		{"recursion of different depth", `"exception":` + thrown("E", "a", 1, "app.a f", "app.a f", "app.b g"), `"exception":` + thrown("E", "a", 1, "app.a f", "app.a f", "app.a f", "app.a f", "app.b g")},
		{"mutual recursion of different depth", `"exception":` + thrown("E", "a", 1, "app.a f", "app.a g", "app.a f", "app.a g"), `"exception":` + thrown("E", "a", 1, "app.a f", "app.a g")},
		{"anonymous functions are numbered anew", `"exception":` + thrown("E", "a", 1, "app.a run.func1"), `"exception":` + thrown("E", "a", 1, "app.a run.func2")},
		{"no frames, values differ in numbers", `"exception":{"type":"E","value":"row 1"}`, `"exception":{"type":"E","value":"row 2"}`},
		{"message text plays no part beside an exception", `"message":"a","exception":{"type":"E","value":"v"}`, `"message":"b","exception":{"type":"E","value":"v"}`},
		{"the client says so", `"message":"a","fingerprint":["x"]`, `"message":"b","fingerprint":["x"]`},
		{"the default and its placeholder", `"message":"a"`, `"message":"a","fingerprint":["{{ default }}"]`},
		{"both spellings of the placeholder", `"message":"a","fingerprint":["{{default}}","x"]`, `"message":"a","fingerprint":["{{ default }}","x"]`},
		{"builds in different folders", `"exception":{"type":"E","stacktrace":[{"abs_path":"/b1/app/m.go","function":"f"}]}`, `"exception":{"type":"E","stacktrace":[{"abs_path":"/b2/app/m.go","function":"f"}]}`},
		{"bundles with different hashes", `"exception":{"type":"E","stacktrace":[{"filename":"main.3f2c9a51.js","function":"f"}]}`, `"exception":{"type":"E","stacktrace":[{"filename":"main.0a1b2c3d.js?x","function":"f"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := decode(t, tt.a), decode(t, tt.b)
			if x, y := grouping.Explain(project, &a, nil), grouping.Explain(project, &b, nil); x.Fingerprint != y.Fingerprint {
				t.Errorf("apart:\n%s %q\n%s %q", x.Reason, texts(x), y.Reason, texts(y))
			}
		})
	}
}

func TestEventsThatDoNotBelongTogether(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, a, b string }{
		{"different messages", `"message":"disk full"`, `"message":"disk slow"`},
		{"a message and a value", `"message":"m"`, `"exception":{"value":"m"}`},
		{"different types", `"exception":{"type":"A","value":"v"}`, `"exception":{"type":"B","value":"v"}`},
		{"different values without frames", `"exception":{"type":"A","value":"v"}`, `"exception":{"type":"A","value":"w"}`},
		{"different functions", `"exception":` + thrown("E", "a", 1, "app.a f"), `"exception":` + thrown("E", "a", 1, "app.a g")},
		{"different modules", `"exception":` + thrown("E", "a", 1, "app.a f"), `"exception":` + thrown("E", "a", 1, "app.b f")},
		{"different causes", `"exception":[{"type":"A"},` + thrown("E", "a", 1, "app.a f") + `]`, `"exception":[{"type":"B"},` + thrown("E", "a", 1, "app.a f") + `]`},
		{"nothing in-app, different frames", `"exception":` + thrown("E", "a", 1, "lib f"), `"exception":` + thrown("E", "a", 1, "lib g")},
		{"client's parts differ", `"message":"a","fingerprint":["x"]`, `"message":"a","fingerprint":["y"]`},
		{"client's parts and the default", `"message":"a","fingerprint":["a"]`, `"message":"a"`},
		{"default with a part, different messages", `"message":"a","fingerprint":["{{ default }}","x"]`, `"message":"b","fingerprint":["{{ default }}","x"]`},
		{"parts cut differently", `"message":"a","fingerprint":["x","yz"]`, `"message":"a","fingerprint":["xy","z"]`},
		{"messages logged by one helper", `"message":"a","exception":{"value":"a","stacktrace":[{"function":"log"}]}`, `"message":"b","exception":{"value":"b","stacktrace":[{"function":"log"}]}`},
		{"unnamed functions on different lines of code", `"exception":{"type":"E","stacktrace":[{"filename":"a.js","function":"?","context_line":"  f()"}]}`, `"exception":{"type":"E","stacktrace":[{"filename":"a.js","function":"?","context_line":"  g()"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := decode(t, tt.a), decode(t, tt.b)
			if x, y := grouping.Explain(project, &a, nil), grouping.Explain(project, &b, nil); x.Fingerprint == y.Fingerprint {
				t.Errorf("together:\n%s %q\n%s %q", x.Reason, texts(x), y.Reason, texts(y))
			}
		})
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	chain := `"exception":[{"type":"KeyError","value":"'card'"},` +
		thrown("app.PayError", "no card\nsecond line", 1, "wsgi serve", "app.pay charge", "lib call") + `],"transaction":"/pay"`
	tests := []struct {
		name, in       string
		reason         grouping.Reason
		title, culprit string
		parts          []string
	}{
		{
			"in-app frames", chain, grouping.Frames, "app.PayError: no card", "charge in app.pay",
			[]string{"KeyError", "app.PayError", "app.pay charge"},
		},
		{
			"no in-app frames", `"exception":` + thrown("E", "v", 1, "lib a", "lib b"), grouping.Exception, "E: v", "b in lib",
			[]string{"E", "v", "b"},
		},
		{
			"no frames", `"exception":{"type":"E","value":"row 7, code 7"},"transaction":"/pay"`, grouping.Exception, "E: row 7, code 7", "/pay",
			[]string{"E", "row <num>, code 7"},
		},
		{"a message", "\"message\":\"\\n  line 1 \\nline 2\"", grouping.Message, "line 1", "", []string{"line <num> line <num>"}},
		{"a type alone", `"exception":{"type":"E"}`, grouping.Exception, "E", "", []string{"E", ""}},
		{
			"a custom fingerprint", chain + `,"fingerprint":["pay","{{ default }}"]`, grouping.Custom, "app.PayError: no card", "charge in app.pay",
			[]string{"pay", "KeyError", "app.PayError", "app.pay charge"},
		},
		{"frames without a function", `"exception":{"type":"E","stacktrace":[{"filename":"a.js"}]}`, grouping.Exception, "E", "a.js", []string{"E", "", "a.js"}},
		{"frames that say nothing", `"exception":{"type":"E","value":"v","stacktrace":[{"lineno":3}]}`, grouping.Exception, "E: v", "", []string{"E", "v"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := decode(t, tt.in)
			got := grouping.Explain(project, &e, nil)
			if got.Reason != tt.reason || got.Title != tt.title || got.Culprit != tt.culprit || !slices.Equal(texts(got), tt.parts) {
				t.Errorf("got %s, %q, %q, %q\nwant %s, %q, %q, %q", got.Reason, got.Title, got.Culprit, texts(got),
					tt.reason, tt.title, tt.culprit, tt.parts)
			}
			if e.Fingerprint != uuid.Nil || e.Title != "" {
				t.Error("Explain changed the event")
			}
			grouping.Group(project, &e)
			if e.Fingerprint != got.Fingerprint || e.Title != got.Title || e.Culprit != got.Culprit {
				t.Errorf("Group set %s, %q, %q; Explain says %s, %q, %q", e.Fingerprint, e.Title, e.Culprit, got.Fingerprint, got.Title, got.Culprit)
			}
		})
	}
}

// TestFingerprintIsStable guards what is stored: a change of these rules needs a new Version.
func TestFingerprintIsStable(t *testing.T) {
	t.Parallel()
	e := decode(t, `"exception":`+thrown("E", "v", 1, "app.a f", "app.b g"))
	grouping.Group(project, &e)
	if got := e.Fingerprint; got.Version() != 8 || got.Variant() != uuid.RFC4122 || got.String() != stable {
		t.Errorf("fingerprint %s, want %s", got, stable)
	}
	other := e
	if grouping.Group(uuid.New(), &other); other.Fingerprint == e.Fingerprint {
		t.Error("two projects share a fingerprint")
	}
}

// stable is the fingerprint of that event in version 1.
const stable = "e2a303b7-0984-8641-8bce-c80a552594e9"

func TestTitleFits(t *testing.T) {
	t.Parallel()
	e := decode(t, `"message":"`+strings.Repeat("ö", 300)+`"`)
	grouping.Group(project, &e)
	if n := utf8.RuneCountInString(e.Title); n != 200 {
		t.Errorf("title of %d characters", n)
	}
	empty := event.Event{}
	if grouping.Group(project, &empty); empty.Title != "(no message)" {
		t.Errorf("title %q", empty.Title)
	}
}
