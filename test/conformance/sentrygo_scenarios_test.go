package conformance

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/getsentry/sentry-go"
	sentryhttp "github.com/getsentry/sentry-go/http"
	pkgerrors "github.com/pkg/errors"
)

// noMessage is the message of an event that has none.
const noMessage = "(no message)"

// errPlain is an error without a stack trace of its own.
var errPlain = errors.New("the disk is full")

// scenario is something that programs do with the SDK.
type scenario struct {
	name    string
	capture func(hub *sentry.Hub) *sentry.EventID
	expected
}

// object is JSON.
type object = map[string]any

func sentryGoScenarios() []scenario {
	return append(append(sentryGoErrors(), sentryGoScopes()...), sentryGoTexts()...)
}

// sentryGoErrors are the ways to say that something went wrong.
func sentryGoErrors() []scenario {
	chain := func(entries ...object) object { return object{"exception": entries} }
	return []scenario{
		{
			"a message",
			func(hub *sentry.Hub) *sentry.EventID { return hub.CaptureMessage("nothing special") },
			expected{message: "nothing special", level: "info"},
		},
		{
			"an error",
			func(hub *sentry.Hub) *sentry.EventID { return hub.CaptureException(errPlain) },
			expected{level: "error", more: object{"exception_type": "*errors.errorString", "exception_value": "the disk is full"}},
		},
		{
			"a wrapped error",
			func(hub *sentry.Hub) *sentry.EventID {
				return hub.CaptureException(fmt.Errorf("save the order: %w", fmt.Errorf("write: %w", errPlain)))
			},
			expected{level: "error", more: chain(
				object{"value": "the disk is full"}, object{"value": "write: the disk is full"},
				object{"value": "save the order: write: the disk is full", "type": "*fmt.wrapError"},
			)},
		},
		{
			"joined errors",
			func(hub *sentry.Hub) *sentry.EventID {
				return hub.CaptureException(errors.Join(errPlain, errors.New("and the network is down")))
			},
			expected{level: "error", more: object{"exception_value": "the disk is full\nand the network is down"}},
		},
		{
			"an error with a stack trace of its own",
			func(hub *sentry.Hub) *sentry.EventID { return hub.CaptureException(failDeep(3)) },
			expected{level: "error", top: "failDeep", more: object{"exception_value": "reached the bottom"}},
		},
		{
			"a panic",
			func(hub *sentry.Hub) (id *sentry.EventID) {
				defer func() { id = hub.Recover(recover()) }()
				count(nil, "x")
				return nil
			},
			expected{level: "fatal", more: object{"exception_value": "assignment to entry in nil map"}},
		},
		{
			"a panic with a text",
			func(hub *sentry.Hub) (id *sentry.EventID) {
				defer func() { id = hub.Recover(recover()) }()
				panic("no way out")
			},
			expected{message: "no way out", level: "fatal"},
		},
		{"a panic of an HTTP handler", panicInHandler, expected{level: "fatal", more: object{
			"request": object{"method": "POST", "query_string": "page=2", "headers": object{"X-Shop": "north"}},
		}}},
	}
}

// count panics without a map.
func count(in map[string]int, what string) { in[what]++ }

// failDeep returns an error that knows where it was made, n calls further down.
func failDeep(n int) error {
	if n == 0 {
		return pkgerrors.New("reached the bottom")
	}
	return failDeep(n - 1)
}

// panicInHandler lets the SDK's middleware recover.
func panicInHandler(hub *sentry.Hub) *sentry.EventID {
	var id sentry.EventID
	handler := sentryhttp.New(sentryhttp.Options{}).HandleFunc(func(_ http.ResponseWriter, r *http.Request) {
		hub := sentry.GetHubFromContext(r.Context())
		hub.Scope().AddEventProcessor(func(e *sentry.Event, _ *sentry.EventHint) *sentry.Event {
			if e.Type == "" {
				id = e.EventID
			}
			return e
		})
		panic(errPlain)
	})
	req := httptest.NewRequest(http.MethodPost, "http://shop.example/orders?page=2", strings.NewReader(`{"items":[1,2]}`))
	req.Header.Set("X-Shop", "north")
	handler(httptest.NewRecorder(), req.WithContext(sentry.SetHubOnContext(req.Context(), hub)))
	return &id
}

// sentryGoScopes are events with all that may surround an error.
func sentryGoScopes() []scenario {
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	return []scenario{
		{
			"with a full scope",
			func(hub *sentry.Hub) *sentry.EventID {
				scope := hub.Scope()
				scope.SetTags(map[string]string{"shop": "north", "empty": "", "long": strings.Repeat("t", 200)})
				scope.SetUser(sentry.User{
					ID: "u-17", Email: "ada@example.org", IPAddress: "192.0.2.7", Username: "ada", Name: "Ada",
					Data: map[string]string{"plan": "gold"},
				})
				scope.SetContext("cart", sentry.Context{"items": []int{1, 2, 3}, "total": 12.5, "empty": nil, "nested": map[string]any{"a": true}})
				hub.AddBreadcrumb(&sentry.Breadcrumb{Category: "ui", Message: "opened the cart", Level: sentry.LevelInfo, Timestamp: at}, nil)
				hub.AddBreadcrumb(&sentry.Breadcrumb{
					Type: "http", Category: "http", Message: "asked for prices", Timestamp: at.Add(time.Second),
					Data: map[string]any{"status_code": 500, "url": "http://prices.example/v1"},
				}, nil)
				scope.SetFingerprint([]string{"{{ default }}", "cart"})
				scope.SetLevel(sentry.LevelWarning)
				return hub.CaptureException(errPlain)
			},
			expected{level: "warning", more: object{
				"tags": object{"shop": "north", "empty": ""}, "user_id": "u-17",
				"user_info": object{"email": "ada@example.org", "username": "ada", "data": object{"plan": "gold"}},
				"contexts":  object{"cart": object{"total": 12.5, "items": []int{1, 2, 3}, "nested": object{"a": true}}},
				"breadcrumbs": []object{
					{"message": "opened the cart", "level": "info"},
					{"message": "asked for prices", "data": object{"status_code": 500}},
				},
				"client_fingerprint": []string{"{{ default }}", "cart"},
			}},
		},
		{
			"with an attachment",
			func(hub *sentry.Hub) *sentry.EventID {
				hub.Scope().AddAttachment(&sentry.Attachment{
					Filename: "odd.bin", ContentType: "application/octet-stream", Payload: []byte("{\"type\":\"event\"}\n\x00\xff\xfe\n\n"),
				})
				hub.Scope().AddAttachment(&sentry.Attachment{Filename: "empty.txt"})
				return hub.CaptureMessage("see the attachments")
			},
			expected{message: "see the attachments", level: "info"},
		},
		{
			"more breadcrumbs than are kept",
			func(hub *sentry.Hub) *sentry.EventID {
				for i := range 130 {
					hub.AddBreadcrumb(&sentry.Breadcrumb{Message: fmt.Sprint("step ", i), Timestamp: at}, nil)
				}
				return hub.CaptureMessage("after many steps")
			},
			expected{message: "after many steps"},
		},
		{
			"a huge one",
			func(hub *sentry.Hub) *sentry.EventID {
				hub.Scope().SetContext("huge", sentry.Context{"text": strings.Repeat("Grüße ", 128_000)})
				return hub.CaptureMessage("almost too large")
			},
			expected{message: "almost too large"},
		},
		{
			"an event made by hand",
			func(hub *sentry.Hub) *sentry.EventID {
				return hub.CaptureEvent(&sentry.Event{
					Message: "by hand", Level: sentry.LevelDebug, Timestamp: at, Logger: "orders", Transaction: "GET /by/hand", Dist: "7",
					Tags: map[string]string{"by": "hand"},
				})
			},
			expected{message: "by hand", level: "debug", more: object{
				"logger": "orders", "transaction": "GET /by/hand", "occurred_at": "2026-03-01T12:00:00.123456+00:00",
				"extra": object{"dist": "7"}, "tags": object{"by": "hand"},
			}},
		},
	}
}

// sentryGoTexts are texts that have broken something somewhere.
func sentryGoTexts() []scenario {
	var out []scenario
	for name, text := range map[string]string{
		"unicode":          "Grüße, 世界, 👩‍👩‍👧‍👦 \U0010FFFF \u202Eright to left",
		"control signs":    "bell \a escape \x1b[31m tab\t line\n return\r delete \x7f",
		"NUL":              "before\x00after",
		"invalid UTF-8":    "bytes \xff\xfe\xc0\x80 and \xed\xa0\x80",
		"quotes":           `'; drop table events; -- " \ \u0000 %s $1 <script>`,
		"JSON":             `{"message": "inner", "event_id": "00000000000000000000000000000000"}`,
		"a long message":   strings.Repeat("long ", 4000),
		"only white space": " \t ",
	} {
		e := expected{level: "error", message: strings.ToValidUTF8(text, "\uFFFD")}
		switch name {
		case "only white space":
			e.message = noMessage
		case "invalid UTF-8", "a long message":
			e.message = "" // what the SDK sends is compared
		}
		out = append(out, scenario{name, func(hub *sentry.Hub) *sentry.EventID {
			hub.Scope().SetLevel(sentry.LevelError)
			hub.Scope().SetTag("text", first(text, 200))
			hub.Scope().SetContext("text", sentry.Context{"text": text, text: "as a key"})
			hub.AddBreadcrumb(&sentry.Breadcrumb{Message: text, Data: map[string]any{"text": text}}, nil)
			return hub.CaptureMessage(text)
		}, e})
	}
	return out
}
