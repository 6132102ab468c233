package scrub_test

import (
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

// realistic returns some realistic events as text and their size.
func realistic(b *testing.B) (raws [64][]byte, size int64) {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range raws {
		raws[i] = eventtest.Realistic(rng, i)
		size += int64(len(raws[i]))
	}
	return raws, size / int64(len(raws))
}

// BenchmarkDecode is the yardstick.
func BenchmarkDecode(b *testing.B) {
	raws, size := realistic(b)
	d, now := event.NewDecoder(event.DefaultLimits()), time.Now()
	var e event.Event
	b.SetBytes(size)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := d.Decode(raws[i%len(raws)], now, &e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScrub scrubs events that hold nothing secret.
func BenchmarkScrub(b *testing.B) {
	raws, size := realistic(b)
	for _, rules := range []struct {
		name string
		scrub.Rules
	}{
		{"nothing to scrub", scrub.DefaultRules()},
		{"addresses as well", scrub.Rules{Defaults: true, Emails: true, IPs: true}},
		{"keys and paths of the project", scrub.Rules{
			Defaults: true, SafeKeys: []string{"region"}, ExtraKeys: []string{"*_plate", "vin"}, Remove: []string{"request.cookies", "extra.*.note"},
		}},
		{"a pattern of the project", scrub.Rules{Defaults: true, ExtraPatterns: []string{`cust-[0-9]{6}`}}},
	} {
		b.Run(rules.name, func(b *testing.B) {
			p, err := scrub.Compile(rules.Rules)
			if err != nil {
				b.Fatal(err)
			}
			s := p.NewScrubber()
			var events [64]event.Event
			for i, raw := range raws {
				if events[i], err = event.Decode(raw, event.DefaultLimits(), time.Now()); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(size)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e := events[i%len(events)]
				s.Scrub(&e)
			}
		})
	}
}

// BenchmarkSecrets scrubs an event with a request that has what requests have.
func BenchmarkSecrets(b *testing.B) {
	raws, _ := realistic(b)
	raw := strings.TrimSuffix(string(raws[0]), "}") + `,"request":{"url":"https://shop.example/pay?token=abc123&step=2",` +
		`"headers":{"Authorization":"Bearer 0123456789abcdef","Cookie":"sid=1","Accept":"*/*"},"data":{"card":"4111 1111 1111 1111",` +
		`"password":"hunter2","amount":12}}}`
	benchmark(b, raw)
}

// BenchmarkHostile scrubs events of a megabyte that are made to be slow.
func BenchmarkHostile(b *testing.B) {
	for _, shape := range shapes(1 << 20 * 9 / 10) {
		b.Run(shape.name, func(b *testing.B) { benchmark(b, shape.raw) })
	}
}

func benchmark(b *testing.B, raw string) {
	b.Helper()
	e, err := event.Decode([]byte(raw), event.DefaultLimits(), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	p, err := scrub.Compile(scrub.Rules{Defaults: true, Emails: true, IPs: true})
	if err != nil {
		b.Fatal(err)
	}
	s := p.NewScrubber()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		c := e
		s.Scrub(&c)
	}
}

// shape is an event that is long and made of the same part again and again.
type shape struct{ name, raw string }

// shapes returns events of about size bytes that ask for much looking ahead and back.
func shapes(size int) []shape {
	var list []shape
	for _, part := range []string{
		"a", "a.", "1", "4111", "4111 ", "4111-", "411111111111111", "=", "a=", "pwd=", "pwd= ", "pwd=x&", "pwd=' ", `pwd=\" `, `pwd=\\\" `,
		"pwd: ", "pwd:{", "pwd:[", "token:\\n", "://", "://a:b/", "a://b:c@", "://a:b/@", "@", "a@", "a@b", "a@b.", "@tcp(", "x:y@tcp(", "eyJ", "eyJ-", "eyJ.", "AIza-", "sk-A1-",
		"eyJhbGciOiJI.", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "Bearer ", "basic ", "cookie: a=b; ", "auth: digest ", "pwd%3D", "pwd%3Dx%26", "[Filtered]", "ghp_", "AKIA", "xoxb-",
		"sk-", "::", "a:", "1:", "1.", "fe80:", "1.1.1.1 ", "%5B", "[", "]=", "{", "  ", `\"`, `\\`, `\n`, "é", "123-45-6789 ",
	} {
		text := strings.Repeat(part, size/len(part))
		list = append(list, shape{"text of " + part, fmt.Sprintf(`{"message":"m","level":"error","timestamp":1,"extra":{"x":"%s"}}`, text)})
	}
	for _, part := range []string{
		`"pin":1`, `"pin":"pwd=a"`, `"k":"pwd=a"`, `"":""`, `"k":1`, `"a":[["token","x"]]`, `"a":{"name":"token","value":"v"}`,
		`"value":{"value":{"value":1}}`, `"a":"[[\"pin\",\"x\"]]"`,
	} {
		members := strings.Repeat(part+",", size/(len(part)+1))
		list = append(list, shape{"members " + part, fmt.Sprintf(`{"message":"m","level":"error","timestamp":1,"extra":{%s"z":1}}`, members)})
	}
	for _, part := range []string{`{"k":1}`, `["pin","x"]`, `{"password=type":1}`, `{"a":"pwd=x"}`} {
		text := "[" + strings.Repeat(part+",", 100_000/(len(part)+1)) + "1]"
		list = append(list, nestedShape(part, text, size))
	}
	long := strings.Repeat("a_password_", size/11)
	return append(list, shape{"a long key", fmt.Sprintf(`{"message":"m","level":"error","timestamp":1,"extra":{"%s":1}}`, long)})
}

// nestedShape is an event of text that is JSON within JSON within JSON, as often as size allows.
func nestedShape(part, text string, size int) shape {
	for range 2 {
		text = `{"k":` + string(rawjson.AppendString(nil, text)) + `}`
	}
	text = string(rawjson.AppendString(nil, text))
	members := strings.Repeat(`"x":`+text+`,`, max(1, size/(len(text)+5)))
	return shape{"nested " + part, `{"message":"m","level":"error","timestamp":1,"extra":{` + members + `"z":1}}`}
}
