package sentry_test

import (
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/sentry"
)

func Example() {
	body := []byte(`{"event_id":"c0ffee00000040008000000000000001"}
{"type":"session"}
{"sid":"1"}
{"type":"event","length":64}
{"logentry":{"message":"%s is full","params":["/var"]},"free":0}
`)
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	convert := sentry.NewConverter(event.DefaultLimits())
	decode := event.NewDecoder(event.DefaultLimits())
	envelope, err := sentry.ReadEnvelope(body)
	fmt.Println(len(envelope.Items), err)
	for _, item := range envelope.Items {
		if sentry.TypeOf(item.Type).Action != sentry.Stored {
			continue
		}
		var e event.Event
		native, replaced, err := convert.AppendNative(nil, item.Payload, sentry.Source{EventID: envelope.EventID, ReceivedAt: now})
		if err == nil {
			err = decode.DecodeClean(native, replaced, now, &e)
		}
		fmt.Println(e.EventID, e.Level, e.Message, err)
	}
	// Output:
	// 2 <nil>
	// c0ffee00-0000-4000-8000-000000000001 error /var is full <nil>
}
