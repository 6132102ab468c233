// Package topic publishes messages to Pub/Sub and reads the push requests that Pub/Sub answers with.
//
// A publish is one message in one request, bound to the caller's context: there is no client-side batching, no
// paused ordering key and nothing left running after the call. Delivery is at least once, so the same message
// may arrive twice, and a publish that failed may have been stored all the same.
package topic

import "time"

// MaxData is the most bytes the data of one message may hold; Pub/Sub refuses more.
const MaxData = 10_000_000

// Message is one Pub/Sub message, on its way in or out.
type Message struct {
	// Data is the payload, at most MaxData bytes.
	Data []byte
	// Attributes are up to 100 pairs; keys up to 256 bytes, values up to 1,024.
	Attributes map[string]string
	// OrderingKey, up to 1,024 bytes, groups messages that are delivered one at a time and in the order they
	// were published. Empty: no order.
	OrderingKey string

	// ID is unique within the topic. The server sets it, as it does all fields below.
	ID string
	// PublishTime is when the server took the message.
	PublishTime time.Time
	// DeliveryAttempt counts from 1; it is 0 when the subscription has no dead-letter policy.
	DeliveryAttempt int
	// Subscription that delivered the message: projects/<project>/subscriptions/<name>.
	Subscription string
}

// Config holds the settings that the publishers of all topics share.
type Config struct {
	Project string `env:"GOOGLE_CLOUD_PROJECT" doc:"Google Cloud project of the topics and of the schedule"`
	// Endpoint matters because order is only kept among publishers of one region.
	Endpoint string `env:"PUBSUB_ENDPOINT" envDefault:"" doc:"regional Pub/Sub endpoint, host:port; keeps all publishers in one region"`
	// EmulatorHost wins over Endpoint.
	EmulatorHost string `env:"PUBSUB_EMULATOR_HOST" envDefault:"" doc:"host:port of a local Pub/Sub, spoken to in plain text and without Google's credentials"`
	// EmulatorToken is sent to EmulatorHost and nowhere else. It must not be logged.
	EmulatorToken string `env:"PUBSUB_EMULATOR_TOKEN" envDefault:"" doc:"token of a local Pub/Sub that asks for one"`
}
