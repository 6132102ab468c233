package scrub_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/scrub"
)

// decode returns the event of a message, level and time, and these members.
func decode(t testing.TB, members string) event.Event {
	t.Helper()
	raw := `{"message":"m","level":"error","timestamp":1,` + members + `}`
	e, err := event.Decode([]byte(raw), event.DefaultLimits(), time.Now())
	if err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return e
}

func TestScrub_PartsOfAnEvent(t *testing.T) {
	t.Parallel()
	const card, other = "4111111111111111", `"password":"x"`
	s := scrubber(t, scrub.DefaultRules())
	for _, tt := range []struct{ in, gone string }{
		{`"message":"card ` + card + `"`, card},
		{`"transaction":"/a?token=abcdef"`, "abcdef"},
		{`"server_name":"h password=abcdef"`, "abcdef"},
		{`"logger":"h password=abcdef"`, "abcdef"},
		{`"tags":{"token":"abcdef"}`, "abcdef"},
		{`"tags":{"url":"http://a:abcdef@h"}`, "abcdef"},
		{`"user":{"id":"password=abcdef"}`, "abcdef"},
		{`"user":{"data":{"passport":"` + card + `"}}`, card},
		{`"contexts":{"app":{"auth":"abcdef"}}`, "abcdef"},
		{`"request":{"url":"https://h/?token=abcdef"}`, "abcdef"},
		{`"request":{"query_string":"token=abcdef&x=1"}`, "abcdef"},
		{`"request":{"query_string":[["token","abcdef"],["x","1"]]}`, "abcdef"},
		{`"request":{"headers":{"authorization":"abcdef"}}`, "abcdef"},
		{`"request":{"headers":[["X-Mesher-Key","abcdef"]]}`, "abcdef"},
		{`"request":{"cookies":"a=abcdef"}`, "abcdef"},
		{`"request":{"env":{"HTTP_COOKIE":"abcdef"}}`, "abcdef"},
		{`"request":{"data":"user=1&password=abcdef"}`, "abcdef"},
		{`"request":{"data":"{\"password\":\"abcdef\"}"}`, "abcdef"},
		{`"request":{"data":{"card":"4111 1111 1111 1111"}}`, "1111"},
		{`"breadcrumbs":[{"message":"Bearer abcdef0123456789","data":{` + other + `}}]`, "abcdef"},
		{`"threads":[{"stacktrace":{"frames":[{"vars":{"pwd":"abcdef"}}]}}]`, "abcdef"},
		{`"sdk":{"settings":{"api_key":"abcdef"}}`, "abcdef"},
		{`"fingerprint":["a","token=abcdef"]`, "abcdef"},
		{`"order":{"client_secret":"abcdef"}`, "abcdef"},
		{`"exception":{"type":"E","value":"pwd=abcdef"}`, "abcdef"},
		{`"exception":{"type":"E","value":"v","mechanism":{"data":{"token":"abcdef"}}}`, "abcdef"},
		{`"exception":{"type":"E","stacktrace":{"frames":[{"vars":{"self":"<A token='abcdef'>"}}]}}`, "abcdef"},
		{`"exception":{"type":"E","stacktrace":{"frames":[{"context_line":"password = \"abcdef\""}]}}`, "abcdef"},
		{`"exception":{"type":"E","stacktrace":{"frames":[{"pre_context":["","k='AKIAIOSFODNN7EXAMPLE'"]}]}}`, "AKIA"},
		{`"exception":{"type":"E","stacktrace":{"frames":[{"abs_path":"https://u:abcdef@h/a.js?v=1"}]}}`, "abcdef"},
		{`"exception":{"type":"E","stacktrace":{"frames":[{"filename":"/a.js?token=abcdef&v=1"}]}}`, "abcdef"},
	} {
		e := decode(t, tt.in)
		s.Scrub(&e)
		line := string(e.AppendLine(nil))
		if strings.Contains(line, tt.gone) || !strings.Contains(line, scrub.Filtered) || !strings.Contains(line, `"scrubbed"`) {
			t.Errorf("%s became %s", tt.in, line)
		}
		if err := rawjson.Check([]byte(line), 100); err != nil {
			t.Errorf("%v in %s", err, line)
		}
	}
}

func TestScrub_LeavesGroupsAlone(t *testing.T) {
	t.Parallel()
	e := decode(t, `"trace_id":"41111111111111114111111111111111","event_id":"41111111111141118111111111111111",`+
		`"release":"app@4111111111111111","environment":"password=x","platform":"go","user":{"id":"4111111111111111"},`+
		`"contexts":{"trace":{"trace_id":"4111111111111111","span_id":"4111111111111111"}},"tags":{"order_id":"4111111111111111"},`+
		`"exception":[{"type":"token: 4111111111111111","module":"auth.secret=x","stacktrace":{"frames":[{"function":"password=x4111111111111111",`+
		`"module":"token=abc","filename":"secrets/password=1.go","abs_path":"/home/secret/token:abc123.go","lineno":4111111111111111,`+
		`"context_line":"password = os.environ[KEY1]; token=get_token1()"}]}}],"number":4111111111111111,"at":1795305014123`)
	before := string(e.AppendLine(nil))
	scrubber(t, scrub.Rules{Defaults: true, Emails: true, IPs: true, ExtraKeys: []string{"function", "stacktrace", "type"}}).Scrub(&e)
	if after := string(e.AppendLine(nil)); after != before {
		t.Errorf("became\n%s\n%s", after, before)
	}
}

func TestScrub_ExceptionValue(t *testing.T) {
	t.Parallel()
	s := scrubber(t, scrub.DefaultRules())
	e := decode(t, `"exception":[{"type":"A","value":"x"},{"type":"B","value":"pwd=a\nnext"}]`)
	if s.Scrub(&e); e.ExceptionValue != "pwd=[Filtered]\nnext" {
		t.Errorf("value %q", e.ExceptionValue)
	}
	long := strings.Repeat("é", event.DefaultLimits().ExceptionValue-10) + " eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc"
	e = decode(t, `"exception":[{"type":"A","value":"`+long+`"}]`)
	if s.Scrub(&e); !strings.HasSuffix(e.ExceptionValue, "é [Filtered") {
		t.Errorf("the value ends in %q", e.ExceptionValue[len(e.ExceptionValue)-20:])
	}
}

func TestScrub_RulesOfAProject(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		rules    scrub.Rules
		in, want string // of extra
	}{
		{"a safe key", scrub.Rules{Defaults: true, SafeKeys: []string{"Session"}}, `{"session":{"token":"x"},"token":"session=x"}`, `{"session":{"token":"x"},"token":"[Filtered]"}`},
		{"a safe key in a text", scrub.Rules{Defaults: true, SafeKeys: []string{"token"}}, `{"a":"token=x&pwd=y"}`, `{"a":"token=x&pwd=[Filtered]"}`},
		{"a safe key with a star", scrub.Rules{Defaults: true, SafeKeys: []string{"public_*"}}, `{"public_token":"x","my_public_token":"y"}`, `{"public_token":"x","my_public_token":"[Filtered]"}`},
		{"a safe pair", scrub.Rules{Defaults: true, SafeKeys: []string{"token"}}, `{"h":[["token","pwd=x"]]}`, `{"h":[["token","pwd=x"]]}`},
		{
			"extra keys",
			scrub.Rules{ExtraKeys: []string{"*plate", "vin*", "*mid*", "One"}},
			`{"licencePlate":1,"plates":1,"VIN2":1,"amidst":1,"one":1,"ones":1,"pwd":1}`,
			`{"licencePlate":"[Filtered]","plates":1,"VIN2":"[Filtered]","amidst":"[Filtered]","one":"[Filtered]","ones":1,"pwd":1}`,
		},
		{"an extra key in a text", scrub.Rules{ExtraKeys: []string{"vin"}}, `{"a":"vin=x&pwd=y"}`, `{"a":"vin=[Filtered]&pwd=y"}`},
		{
			"patterns",
			scrub.Rules{ExtraPatterns: []string{`cust-\d+`, `(?i)acme`}},
			`{"a":"cust-12 of ACME","b":["xcust-1"],"c":"b"}`,
			`{"a":"[Filtered] of [Filtered]","b":["x[Filtered]"],"c":"b"}`,
		},
		{
			"a pattern that matches what is filtered",
			scrub.Rules{Defaults: true, ExtraPatterns: []string{`[A-Za-z]+`}},
			`{"a":"pwd=1 x","b":"[Filtered]"}`,
			`{"a":"[Filtered]=[Filtered] [Filtered]","b":"[Filtered]"}`,
		},
		{"a path", scrub.Rules{Remove: []string{"extra.a.b"}}, `{"a":{"b":1,"c":2},"b":3}`, `{"a":{"c":2},"b":3}`},
		{"the first of members", scrub.Rules{Remove: []string{"extra.a"}}, `{"a":1,"b":2,"c":3}`, `{"b":2,"c":3}`},
		{"the last of members", scrub.Rules{Remove: []string{"extra.c"}}, `{"a":1,"b":2,"c":3}`, `{"a":1,"b":2}`},
		{"several members", scrub.Rules{Remove: []string{"extra.a", "extra.b", "extra.d", "extra.e"}}, `{"a":1,"b":2,"c":3,"d":4,"e":5}`, `{"c":3}`},
		{"all members", scrub.Rules{Remove: []string{"extra.*"}}, `{"a":1,"b":[2]}`, `{}`},
		{"the whole", scrub.Rules{Remove: []string{"extra"}}, `{"a":1,"b":[2]}`, `{}`},
		{"any key", scrub.Rules{Remove: []string{"extra.*.t"}}, `{"a":{"t":1},"b":{"c":{"t":2}},"t":3}`, `{"a":{},"b":{"c":{"t":2}},"t":3}`},
		{"through arrays", scrub.Rules{Remove: []string{"extra.a.t"}}, `{"a":[{"t":1,"u":2},[{"t":3}]]}`, `{"a":[{"u":2},[{}]]}`},
		{"elements", scrub.Rules{Remove: []string{"extra.a.*", "extra.b.*.t"}}, `{"a":[1,2],"b":[{"t":1},{"u":{"t":2}}]}`, `{"a":[],"b":[{},{"u":{"t":2}}]}`},
		{"pairs", scrub.Rules{Remove: []string{"extra.h.x-foo"}}, `{"h":[["A","1"],["X-Foo","2"],["B","3"]]}`, `{"h":[["A","1"],["B","3"]]}`},
		{"a key with dots", scrub.Rules{Remove: []string{"extra.a.b.c"}}, `{"a.b":{"c":1},"a":{"b.c":2},"a.b.c":3,"a.bc":4}`, `{"a.b":{},"a":{},"a.bc":4}`},
		{"a path and a key", scrub.Rules{Defaults: true, Remove: []string{"extra.a"}}, `{"pwd":"x","a":1,"pin":2}`, `{"pwd":"[Filtered]","pin":"[Filtered]"}`},
		{"nothing", scrub.Rules{}, `{"pwd":"x"}`, `{"pwd":"x"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := event.Event{Extra: []byte(tt.in)}
			s := scrubber(t, tt.rules)
			s.Scrub(&e)
			if got := string(e.Extra); got != tt.want {
				t.Errorf("%s became\n%s, want\n%s", tt.in, got, tt.want)
			}
			e.Meta = nil
			if s.Scrub(&e); string(e.Extra) != tt.want || e.Meta != nil {
				t.Errorf("again, it became %s", e.Extra)
			}
		})
	}
}

func TestScrub_RemovedColumns(t *testing.T) {
	t.Parallel()
	e := decode(t, `"user":{"id":7,"email":"x"},"transaction":"/a","server_name":"h","request":{"cookies":{}},"exception":[{"type":"E","value":"v"}]`)
	e.Meta = nil
	s := scrubber(t, scrub.Rules{Remove: []string{"user.id", "transaction", "Server_Name", "request", "exception.*.value"}})
	if s.Scrub(&e); e.UserID+e.Transaction+e.ServerName+e.ExceptionValue != "" || e.Request != nil || string(e.UserInfo) != `{"email":"x"}` {
		t.Errorf("left %q %q %q %q %s %s", e.UserID, e.Transaction, e.ServerName, e.ExceptionValue, e.Request, e.UserInfo)
	}
	const want = `{"scrubbed":[{"path":"exception.*.value","rule":"remove"},{"path":"user.id","rule":"remove"},{"path":"request","rule":"remove"},` +
		`{"path":"transaction","rule":"remove"},{"path":"Server_Name","rule":"remove"}]}`
	if string(e.Meta) != want {
		t.Errorf("meta %s", e.Meta)
	}
}

func TestScrub_Meta(t *testing.T) {
	t.Parallel()
	s := scrubber(t, scrub.DefaultRules())
	e := decode(t, `"request":{"headers":[["Authorization","x"]],"data":{"a":["","pwd=x pwd=y 4111111111111111"]}}`)
	e.Meta = []byte(`{"replaced":3}`)
	s.Scrub(&e)
	const want = `{"replaced":3,"scrubbed":[{"path":"request.headers.Authorization","rule":"key"},` +
		`{"path":"request.data.a.1","rule":"pair"},{"path":"request.data.a.1","rule":"card"}]}`
	if string(e.Meta) != want {
		t.Errorf("meta %s", e.Meta)
	}
	e.Meta, e.Request = []byte(want), nil
	e.Extra = []byte(`{"a":{` + strings.Repeat(`"pin":1,"x":{"pin":2},`, 40) + `"` + strings.Repeat("é", 200) + `":"pwd=x"}}`)
	s.Scrub(&e)
	if got := string(e.Meta); strings.Count(got, `"path"`) > 50 || !strings.HasPrefix(got, want[:len(want)-2]) || rawjson.Check(e.Meta, 10) != nil {
		t.Errorf("meta %s", got)
	}
}

func TestScrub_NeverGrowsMuch(t *testing.T) {
	t.Parallel()
	for _, shape := range shapes(900_000) {
		e, err := event.Decode([]byte(shape.raw), event.DefaultLimits(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		before := e.LineSize()
		scrubber(t, scrub.Rules{Defaults: true, Emails: true, IPs: true}).Scrub(&e)
		if after := e.LineSize(); after > before+before/8+80<<10 {
			t.Errorf("%s: %d bytes became %d", shape.name, before, after)
		}
		if err := rawjson.Check(e.AppendLine(nil), 100); err != nil {
			t.Errorf("%s: %v", shape.name, err)
		}
	}
}

// TestScrub_DoesNotAllocate is not parallel: allocations of other tests would count.
func TestScrub_DoesNotAllocate(t *testing.T) {
	e := decode(t, `"request":{"headers":{"Authorization":"x"},"url":"/?token=x"},"user":{"id":"7"}`)
	s := scrubber(t, scrub.DefaultRules())
	if allocs := testing.AllocsPerRun(100, func() {
		c := e
		s.Scrub(&c)
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
