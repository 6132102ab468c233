package scrub_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/scrub"
)

// everything are rules that use all there is.
func everything() scrub.Rules {
	return scrub.Rules{
		Defaults: true, Emails: true, IPs: true, SafeKeys: []string{"safe*"}, ExtraKeys: []string{"*plate"},
		ExtraPatterns: []string{`cust-\d+`, `\bF`, `.\]`}, Remove: []string{"extra.*.gone", "request.cookies", "tags.a"},
	}
}

// scrubTwice scrubs e and fails unless the result is clean and scrubbing it again changes nothing.
func scrubTwice(t testing.TB, rules scrub.Rules, e *event.Event) string {
	t.Helper()
	scrubber(t, rules).Scrub(e)
	line := e.AppendLine(nil)
	clean, _, replaced, err := rawjson.Clean(nil, line, 200, 1<<30)
	if err != nil || replaced != 0 || !bytes.Equal(clean, line) {
		t.Fatalf("not clean (%v): %s", err, line)
	}
	again := *e
	scrubber(t, rules).Scrub(&again)
	if twice := again.AppendLine(nil); !bytes.Equal(line, twice) {
		t.Fatalf("scrubbing again makes\n%s\nof\n%s", twice, line)
	}
	return string(line)
}

func FuzzText(f *testing.F) {
	for _, text := range texts {
		f.Add(strings.NewReplacer("«", "", "»", "").Replace(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, rules := range []scrub.Rules{scrub.DefaultRules(), everything()} {
			quoted := rawjson.AppendString(nil, text)
			frame := `[{"type":"E","stacktrace":{"frames":[{"filename":` + string(quoted) + `,"context_line":` + string(quoted) + `}]}}]`
			e := event.Event{
				Level: event.Error, Message: rawjson.Unquote(quoted), Extra: []byte(`{"a":` + string(quoted) + `}`), Exception: []byte(frame),
			}
			scrubTwice(t, rules, &e)
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"a":{"gone":1,"b":[["token","x"],[["gone",2]]]},"safe1":{"pwd":1},"plate":[1],"cookies":{"name":"pin","value":3}}`))
	f.Add([]byte(`{"value":"x","name":"token","a":"[{\"val\":1,\"key\":\"pin\"}]"}`))
	f.Add([]byte(`[{"pwd":{}},{"gone":[]},["x"],"a=b",1e5,null]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		value, n, _, err := rawjson.Clean(nil, raw, 50, 1<<20)
		if err != nil || n != len(raw) {
			return
		}
		list, object := []byte("["+string(value)+"]"), []byte(`{"a":`+string(value)+`}`)
		e := event.Event{
			Level: event.Error, Extra: object, Exception: list, Threads: list, Breadcrumbs: list, UserInfo: object, Contexts: object,
			Request: object, SDK: object, ClientFingerprint: list, Meta: object,
		}
		scrubTwice(t, everything(), &e)
	})
}

// planted are secrets as texts hold them; %s stands for what must not be left.
var planted = []struct{ text, secret string }{
	{"password=%s", "Zq7secretZq"},
	{`{"token":"%s"}`, "Zq7secretZq"},
	{"https://u:%s@host/p", "Zq7secretZq"},
	{"/p?a=1&api_key=%s#x", "Zq7secretZq"},
	{"Authorization: Bearer %s", "Zq7secretZqZq7secretZq"},
	{"Bearer %s", "Zq7secretZqZq7secretZq"},
	{"%s", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"},
	{"%s", "AKIAIOSFODNN7EXAMPLE"},
	{"%s", "mshr_0123456789abcdefghijABCDEFGHIJ012345"},
	{"%s", "ghp_0123456789abcdefghijABCDEFGHIJ012345"},
	{"%s", "4111 1111 1111 1111"},
	{"%s", "5555555555554444"},
	{"%s", "123-45-6789"},
	{"-----BEGIN RSA PRIVATE KEY-----\n%s\n-----END RSA PRIVATE KEY-----", "Zq7secretZq"},
}

// places are where a text can stand in an event, as members of it. The last ones hold what is secret by its key.
var places = []string{
	`"transaction":%s`, `"logger":%s`, `"server_name":%s`, `"tags":{"a":%s}`, `"tags":[["a",%s]]`, `"user":{"id":%s}`, `"user":{"data":[%s]}`,
	`"contexts":{"c":{"d":%s}}`, `"request":{"url":%s}`, `"request":{"query_string":%s}`, `"request":{"data":{"x":[{"y":%s}]}}`,
	`"request":{"headers":[["Referer",%s]]}`, `"breadcrumbs":[{"message":%s}]`, `"breadcrumbs":{"values":[{"data":{"u":%s}}]}`,
	`"threads":[{"stacktrace":{"frames":[{"vars":{"v":%s}}]}}]`, `"sdk":{"x":%s}`, `"fingerprint":["a",%s]`, `"extra":{"x":{"y":%s}}`, `"own":%s`,
	`"exception":{"type":"E","value":%s}`, `"exception":[{"type":"E","value":%s},{"type":"F","value":"x"}]`,
	`"exception":{"type":"E","mechanism":{"data":{"x":%s}}}`, `"exception":{"type":"E","stacktrace":[{"vars":{"v":{"w":%s}}}]}`,
	`"extra":{"password":%s}`, `"request":{"cookies":[["a",%s]]}`, `"request":{"headers":{"Authorization":%s}}`, `"contexts":{"x":{"auth":{"y":%s}}}`,
}

func TestScrub_FindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 6000 {
		plant, place := planted[rng.IntN(len(planted))], places[rng.IntN(len(places))]
		text := fmt.Sprintf(plant.text, plant.secret)
		around := []string{"", "failed: ", "größe ", "x\n", "(", `a "b" `, "1 ", "[Filtered] "}
		text = around[rng.IntN(len(around))] + text
		if rng.IntN(2) == 0 {
			text += []string{" next", "\nnext", ", next", "; next"}[rng.IntN(4)]
		}
		for range rng.IntN(3) { // JSON within JSON
			text = `{"k":` + string(rawjson.AppendString(nil, text)) + `}`
		}
		raw := eventtest.Realistic(rng, i)
		raw = append(raw[:len(raw)-1], ',')
		raw = append(fmt.Appendf(raw, place, rawjson.AppendString(nil, text)), '}')
		e, err := event.Decode(raw, event.DefaultLimits(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if line := scrubTwice(t, scrub.DefaultRules(), &e); strings.Contains(line, plant.secret) {
			t.Fatalf("%q is left of %q in %s", plant.secret, text, line)
		}
	}
}

func TestScrub_LeavesInnocentEventsAlone(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	s := scrubber(t, scrub.DefaultRules())
	for i := range 5000 {
		e, err := event.Decode(eventtest.Realistic(rng, i), event.DefaultLimits(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		before := string(e.AppendLine(nil))
		if s.Scrub(&e); string(e.AppendLine(nil)) != before {
			t.Fatalf("became %s, before %s", e.AppendLine(nil), before)
		}
	}
}
