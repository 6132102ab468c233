package topic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestDecodePush(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)
	long := bytes.Repeat([]byte("payload\x00\xff"), 500)
	full := Message{
		Data: long, Attributes: map[string]string{"schema": "1", "odd": "<\"\\\u2028é>"}, OrderingKey: "p/3", ID: "17",
		PublishTime: at, DeliveryAttempt: 5, Subscription: "projects/p/subscriptions/store",
	}
	encoded := string(EncodePush(full))
	base64 := encoded[strings.Index(encoded, `"data":"`)+8 : strings.Index(encoded, `",`)]

	for _, tt := range []struct {
		name, in string
		want     Message
	}{
		{"what EncodePush writes", encoded, full},
		{
			"the service's example",
			`{"deliveryAttempt":5,"message":{"attributes":{"key":"value"},"data":"SGVsbG8=","messageId":"27",` +
				`"message_id":"27","orderingKey":"k","publishTime":"2026-03-04T05:06:07.89Z",` +
				`"publish_time":"2026-03-04T05:06:07.89Z"},"subscription":"projects/p/subscriptions/s"}`,
			Message{
				Data: []byte("Hello"), Attributes: map[string]string{"key": "value"}, ID: "27", OrderingKey: "k",
				PublishTime: at, DeliveryAttempt: 5, Subscription: "projects/p/subscriptions/s",
			},
		},
		{"the second names", `{"message":{"message_id":"9","publish_time":"2026-03-04T05:06:07.89Z"}}`, Message{ID: "9", PublishTime: at}},
		{"no data", `{"message":{"attributes":{}}}`, Message{}},
		{"a long attribute", `{"message":{"attributes":{"a":"` + base64 + `"},"data":"QQ=="}}`, Message{
			Data: []byte("A"), Attributes: map[string]string{"a": base64},
		}},
		{"data overridden by null", `{"message":{"data":"` + base64 + `","data":null}}`, Message{}},
		{"data overridden", `{"message":{"data":"` + base64 + `","data":"QQ=="}}`, Message{Data: []byte("A")}},
		{"other letters' case", `{"MESSAGE":{"Data":"` + base64 + `"}}`, Message{Data: long}},
		{"escapes in the payload", `{"message":{"data":"` + base64[:1200] + `\n` + base64[1200:] + `"}}`, Message{Data: long}},
		{"the placeholder as a payload's neighbor", `{"message":{"messageId":"` + placeholder + `","data":"` + base64 + `"}}`, Message{
			ID: placeholder, Data: long,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := DecodePush([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}

	for name, in := range map[string]string{
		"nothing":                  "",
		"not JSON":                 "hello",
		"no message":               "{}",
		"a null message":           `{"message":null}`,
		"cut off":                  encoded[:len(encoded)-1],
		"cut off in the payload":   encoded[:100],
		"cut off after an escape":  `{"message":"\`,
		"more after the end":       encoded + "{}",
		"a payload that is not":    `{"message":{"data":"` + strings.Repeat("*", 4000) + `"}}`,
		"a line break in it":       `{"message":{"data":"` + base64[:1200] + "\n" + base64[1200:] + `"}}`,
		"the placeholder for data": `{"message":{"data":"` + placeholder + `"}}`,
		"a number for data":        `{"message":{"data":7,"x":"` + base64 + `"}}`,
		"a broken time":            `{"message":{"publishTime":"yesterday"}}`,
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			if m, err := DecodePush([]byte(in)); !fault.Is(err, fault.Invalid) {
				t.Errorf("got %v, %v; want an Invalid fault", m, err)
			}
		})
	}

	t.Run("takes time in proportion to the escapes", func(t *testing.T) {
		t.Parallel()
		// Quadratic work on this body would take hours.
		body := `{"message":{"messageId":"` + strings.Repeat(`\n`, 4<<20) + `"}}`
		m, err := DecodePush([]byte(body))
		if err != nil || len(m.ID) != 4<<20 {
			t.Errorf("id of %d bytes, %v", len(m.ID), err)
		}
	})
}

// FuzzDecodePush holds the fast path to encoding/json's reading of the same body, and the encoder to both.
func FuzzDecodePush(f *testing.F) {
	long := strings.Repeat("QUJD", 200)
	for _, s := range []string{
		`{"message":{"data":"` + long + `","attributes":{"a":"b"},"messageId":"1"},"subscription":"s","deliveryAttempt":2}`,
		`{"message":{"data":"` + long + `","data":null}}`,
		`{"message":{"attributes":{"data":"` + long + `"}},"message":{"data":"` + long + `="}}`,
		`{"message":{"` + long + `":"` + long + `","data":[1,2]}}`,
		`{"message":{"data":"` + long + "\n" + `"}}`, `{"a":"\"","message":{"DATA":"` + long + `"}}`, `"`, `"\`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		want, wantErr := decodePlain(body)
		got, err := DecodePush(body)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("error %v, encoding/json says %v", err, wantErr)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-encoding/json +got)\n%s", diff)
		}
		again, err := DecodePush(EncodePush(got))
		if err != nil {
			t.Fatalf("after EncodePush: %v", err)
		}
		got.PublishTime = got.PublishTime.UTC()
		if diff := cmp.Diff(got, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("after EncodePush (-before +after)\n%s", diff)
		}
	})
}

func BenchmarkDecodePush(b *testing.B) {
	for _, size := range []int{1 << 10, 50_000, 1_000_000, MaxData} {
		body := EncodePush(Message{
			Data: bytes.Repeat([]byte{1, 2, 250}, size/3), ID: "1", OrderingKey: "p/1", PublishTime: time.Unix(1e9, 0),
			Attributes: map[string]string{"schema": "1", "project_id": "p", "events": "100"}, Subscription: "s",
		})
		for name, decode := range map[string]func([]byte) (Message, error){"cut": DecodePush, "json": decodePlain} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := decode(body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkEncodePush(b *testing.B) {
	for _, size := range []int{1 << 10, 50_000, 1_000_000} {
		m := Message{Data: make([]byte, size), ID: "1", OrderingKey: "p/1", Subscription: "s"}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				EncodePush(m)
			}
		})
	}
}

func ExampleDecodePush() {
	m, err := DecodePush([]byte(`{"message":{"data":"aGk=","messageId":"1","orderingKey":"p/0"},"subscription":"s"}`))
	fmt.Println(string(m.Data), m.ID, m.OrderingKey, err)
	// Output: hi 1 p/0 <nil>
}

// The envelope is what encoding/json makes of it: this keeps EncodePush's hand-made body valid.
func TestEncodePush_IsJSON(t *testing.T) {
	t.Parallel()
	for _, m := range []Message{{}, {Data: []byte("x"), Attributes: map[string]string{"a": "\x00\xff\""}, DeliveryAttempt: 1}} {
		if body := EncodePush(m); !json.Valid(body) {
			t.Errorf("not JSON: %s", body)
		}
	}
}
