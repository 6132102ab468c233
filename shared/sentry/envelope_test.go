package sentry_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/sentry"
)

// item is what these tests compare of an item.
type item struct{ Type, Payload string }

func items(env sentry.Envelope) []item {
	out := []item{}
	for _, i := range env.Items {
		out = append(out, item{i.Type, string(i.Payload)})
	}
	return out
}

func TestReadEnvelope(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		want       []item
		broken     int
	}{
		{"header only", `{}`, []item{}, 0},
		{"header and newline", "{}\n", []item{}, 0},
		{"no length, no final newline", "{}\n{\"type\":\"event\"}\n{\"a\":1}", []item{{"event", `{"a":1}`}}, 0},
		{"no length, final newline", "{}\n{\"type\":\"event\"}\n{\"a\":1}\n", []item{{"event", `{"a":1}`}}, 0},
		{"length", "{}\n{\"type\":\"event\",\"length\":7}\n{\"a\":1}", []item{{"event", `{"a":1}`}}, 0},
		{"length and final newline", "{}\n{\"length\":7,\"type\":\"event\"}\n{\"a\":1}\n", []item{{"event", `{"a":1}`}}, 0},
		{
			"both framings", "{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"attachment\",\"length\":5,\"filename\":\"x\"}\na\n\x00{\xff\n{\"type\":\"session\"}\n{}",
			[]item{{"event", "{}"}, {"attachment", "a\n\x00{\xff"}, {"session", "{}"}},
			0,
		},
		{"empty attachment at the end", "{}\n{\"type\":\"attachment\",\"length\":0}", []item{{"attachment", ""}}, 0},
		{"empty attachment and newline", "{}\n{\"type\":\"attachment\",\"length\":0}\n", []item{{"attachment", ""}}, 0},
		{"empty attachment between", "{}\n{\"type\":\"attachment\",\"length\":0}\n\n{\"type\":\"event\"}\n{}", []item{{"attachment", ""}, {"event", "{}"}}, 0},
		{"attachment that begins with a newline", "{}\n{\"type\":\"attachment\",\"length\":2}\n\n\n\n{\"type\":\"event\"}\n{}", []item{{"attachment", "\n\n"}, {"event", "{}"}}, 0},
		{"lines of Windows", "{}\r\n{\"type\":\"event\",\"length\":2}\r\n{}\r\n{\"type\":\"session\",\"length\":1}\r\nx\r\n", []item{{"event", "{}"}, {"session", "x"}}, 0},
		{"members unknown to this version", "{}\n{\"type\":\"event\",\"future\":{\"a\":1}}\n{}", []item{{"event", "{}"}}, 0},
		{"length of null", "{}\n{\"type\":\"event\",\"length\":null}\n{}", []item{{"event", "{}"}}, 0},
		{"garbage between", "{}\nwhat\nis this\n{\"type\":\"event\"}\n{}\n", []item{{"event", "{}"}}, 1},
		{"no type", "{}\n{\"length\":2}\n{}\n{\"type\":\"event\"}\n{}\n", []item{{"event", "{}"}}, 1},
		{"type of a number", "{}\n{\"type\":5}\n{}\n{\"type\":\"event\"}\n{}\n", []item{{"event", "{}"}}, 1},
		{"payload without its header", "{}\n{\"type\":\"transaction\",\"spans\":[]}\n{\"type\":\"event\"}\n{}\n", []item{{"event", "{}"}}, 1},
		{"header without its payload", "{}\n{\"type\":\"session\"}\n{\"type\":\"event\"}\n{}\n", []item{{"event", "{}"}}, 1},
		{"length beyond the end", "{}\n{\"type\":\"event\",\"length\":99}\n{\"a\":1}\n{\"type\":\"session\"}\n{}", []item{{"event", `{"a":1}`}, {"session", "{}"}}, 0},
		{"length in characters", "{}\n{\"type\":\"event\",\"length\":9}\n{\"a\":\"é\"}\n{\"type\":\"session\"}\n{}", []item{{"event", `{"a":"é"}`}, {"session", "{}"}}, 0},
		{"length as text", "{}\n{\"type\":\"event\",\"length\":\"7\"}\n{\"a\":1}\n{\"type\":\"session\"}\n{}", []item{{"event", `{"a":1}`}, {"session", "{}"}}, 0},
		{"negative length", "{}\n{\"type\":\"event\",\"length\":-1}\n{\"a\":1}", []item{{"event", `{"a":1}`}}, 0},
		{"huge length", "{}\n{\"type\":\"event\",\"length\":4611686018427387903}\n{}", []item{{"event", `{}`}}, 0},
		{"a header over its limit", "{}\n{\"type\":\"event\",\"filename\":\"" + strings.Repeat("x", 9000) + "\"}\n{}\n{\"type\":\"session\"}\n{}", []item{{"session", "{}"}}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			env, err := sentry.ReadEnvelope([]byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, items(env)); diff != "" || env.Broken != test.broken {
				t.Errorf("%d broken, want %d (-want +got):\n%s", env.Broken, test.broken, diff)
			}
		})
	}
}

func TestReadEnvelopeHeader(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("c0ffee00-0000-4000-8000-000000000001")
	for _, test := range []struct {
		name, header string
		want         sentry.Envelope
	}{
		{"empty", `{}`, sentry.Envelope{}},
		{"id", `{"event_id":"c0ffee00000040008000000000000001","sent_at":"2026-01-31T12:00:00Z"}`, sentry.Envelope{EventID: id}},
		{"id with dashes", `{"event_id":"c0ffee00-0000-4000-8000-000000000001"}`, sentry.Envelope{EventID: id}},
		{"no id", `{"event_id":"what","dsn":5}`, sentry.Envelope{}},
		{"dsn", ` {"dsn":"https://k@h/1", "trace":{"trace_id":"x"}} `, sentry.Envelope{DSN: "https://k@h/1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := sentry.ReadEnvelope([]byte(test.header + "\n"))
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
	for _, body := range []string{"", "\n", "[]", "what", `{"a":}`, "{} {}", "{\"a\":\n1}", `{"a":"` + strings.Repeat("x", 70_000) + `"}`} {
		if _, err := sentry.ReadEnvelope([]byte(body)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.20q: error %v", body, err)
		}
	}
}

func TestReadEnvelopeCounts(t *testing.T) {
	t.Parallel()
	env, err := sentry.ReadEnvelope([]byte("{}\n{\"type\":\"log\",\"item_count\":3}\n{}\n{\"type\":\"span\",\"item_count\":-3}\n{}"))
	if err != nil || len(env.Items) != 2 || env.Items[0].ItemCount != 3 || env.Items[1].ItemCount != 0 {
		t.Errorf("%+v, %v", env, err)
	}
	body := []byte("{}\n" + strings.Repeat("{\"type\":\"session\"}\n{}\n", sentry.MaxItems))
	if env, err := sentry.ReadEnvelope(body); err != nil || len(env.Items) != sentry.MaxItems || env.More {
		t.Errorf("%d items, more %v, %v", len(env.Items), env.More, err)
	}
	body = append(body, "{\"type\":\"event\"}\n{}"...)
	if env, err := sentry.ReadEnvelope(body); err != nil || len(env.Items) != sentry.MaxItems || !env.More {
		t.Errorf("%d items, more %v, %v", len(env.Items), env.More, err)
	}
}

// TestABrokenItemIsAlone breaks one item of many envelopes in many ways and looks for the others.
func TestABrokenItemIsAlone(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10_000) {
		g := generator{rand.New(rand.NewPCG(seed, 2))}
		var whole []part
		for range 1 + g.IntN(7) {
			whole = append(whole, g.part())
		}
		broken := g.IntN(len(whole))
		body := []byte("{}\n")
		var want []item
		for i, p := range whole {
			after := p.payload + "\n"
			if i == len(whole)-1 {
				after = p.payload
			}
			if i == broken {
				var rest []byte
				for _, q := range whole[i+1:] {
					rest = append(rest, q.header()+"\n"+q.payload+"\n"...)
				}
				body = append(body, g.broken(p, "\n"+after+string(rest))+after...)
				continue
			}
			want = append(want, item{p.kind, p.payload})
			body = append(body, p.header()+"\n"+after...)
		}
		env, err := sentry.ReadEnvelope(body)
		if err != nil {
			t.Fatal(err)
		}
		got := items(env)
		for _, w := range want {
			for len(got) > 0 && got[0] != w {
				got = got[1:]
			}
			if len(got) == 0 {
				t.Fatalf("seed %d, item %d broken: %q is lost:\n%s\n%+v", seed, broken, w, body, items(env))
			}
			got = got[1:]
		}
	}
}

// part is one item of a generated envelope.
type part struct {
	kind, payload string
	length        bool
}

func (p part) header() string {
	if !p.length {
		return fmt.Sprintf(`{"type":%q}`, p.kind)
	}
	return fmt.Sprintf(`{"type":%q,"length":%d}`, p.kind, len(p.payload))
}

type generator struct{ *rand.Rand }

// part returns an item as SDKs send it.
func (g generator) part() part {
	switch n := g.IntN(1000); g.IntN(4) {
	case 0:
		return part{"event", fmt.Sprintf(`{"event_id":"%d","type":"error","exception":[{"type":"E\n"}]}`, n), false}
	case 1:
		return part{"transaction", fmt.Sprintf(`{"type":"transaction","spans":[%d]}`, n), g.IntN(2) == 0}
	case 2:
		return part{"session", fmt.Sprintf(`{"sid":"%d"}`, n), g.IntN(2) == 0}
	}
	lines := []string{
		"", "text", "\x00\xff", `{"type":"event"}`, `{"type":"event","length":2}`, `{"a":1}`, `{"type":"x","message":"log"}`, "{", `{"length":9999,"type":"event"}`,
		"[]", "\r", `"type"`, "{}",
	}
	var picked []string
	for range g.IntN(6) {
		picked = append(picked, lines[g.IntN(len(lines))])
	}
	return part{"attachment", strings.Join(picked, "\n"), true}
}

// broken returns a header for p with which something is wrong, and its newline. Rest is what follows it. A wrong length
// that ends at a newline beyond the payload cannot be told from a right one, and is not made.
func (g generator) broken(p part, rest string) string {
	header := p.header()
	switch g.IntN(8) {
	case 0:
		return "\x01garbage " + header + "\n"
	case 1:
		return header[:1+g.IntN(len(header)-1)] + "\n"
	case 2:
		return strings.Replace(header, `"type"`, `"tipe"`, 1) + "\n"
	case 3:
		return fmt.Sprintf(`{"type":%q,"length":"many"}`, p.kind) + "\n"
	case 4:
		return "" // no header at all
	case 5:
		return header // merged with its payload
	case 6:
		return fmt.Sprintf(`{"type":%q,"length":%d}`, p.kind, len(rest)+g.IntN(100)) + "\n"
	}
	length := g.IntN(len(p.payload) + 40)
	if rest = rest[1:]; length == len(rest) || length > len(p.payload) && length < len(rest) && strings.HasPrefix(strings.TrimPrefix(rest[length:], "\r"), "\n") {
		length = 1 << 40
	}
	return fmt.Sprintf(`{"type":%q,"length":%d}`, p.kind, length) + "\n"
}

func FuzzReadEnvelope(f *testing.F) {
	f.Add([]byte("{}\n{\"type\":\"event\"}\n{}\n{\"type\":\"attachment\",\"length\":3}\n\n\n\n\n{\"type\":\"x\",\"length\":-1}\n"))
	f.Add([]byte("{\"event_id\":\"c0ffee00000040008000000000000001\"}\r\n\n{\"type\":\"event\",\"length\":99}\nx\n{\"type\":\"a\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := sentry.ReadEnvelope(body)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || len(env.Items) > 0 {
				t.Fatalf("%v, %d items", err, len(env.Items))
			}
			return
		}
		rest := body
		for _, i := range env.Items { // the payloads lie in the body in their order, and no byte is in two of them
			at := bytes.Index(rest, i.Payload)
			if i.Type == "" || at < 0 || cap(i.Payload) != len(i.Payload) {
				t.Fatalf("%+v of %q", i, body)
			}
			rest = rest[at+len(i.Payload):]
		}
		if env.Broken > bytes.Count(body, []byte("\n"))+1 {
			t.Fatalf("%d broken", env.Broken)
		}
	})
}
