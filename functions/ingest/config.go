package ingest

import (
	"time"

	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/topic"
)

// Config is the settings of Ingest. Sizes are in bytes.
type Config struct {
	Database postgres.Config
	Queue    topic.Config
	Topic    string `env:"EVENTS_TOPIC" envDefault:"events" doc:"Pub/Sub topic that accepted events are published to"`

	Concurrency int   `env:"INGEST_CONCURRENCY" envDefault:"1000" doc:"requests that one instance takes at a time; a quarter of them may wait for one project"`
	Memory      int64 `env:"INGEST_MEMORY" envDefault:"268435456" doc:"bytes of request bodies and events that an instance holds at a time, half of it for one project; at most a third of its memory"`

	Linger time.Duration `env:"INGEST_LINGER" envDefault:"50ms" doc:"longest time an event waits for others of its project before they are published together"`
	Pause  time.Duration `env:"INGEST_PAUSE" envDefault:"5ms" doc:"waiting events are published when no other arrives for this long"`
	Shards int           `env:"INGEST_SHARDS" envDefault:"16" doc:"ordering keys over which a project's messages are spread"`

	Hops int `env:"FORWARDED_HOPS" envDefault:"1" doc:"how many proxies add to X-Forwarded-For; what the first of them added is taken for the client's address. 0: the connection's own"`

	BodyTimeout     time.Duration `env:"INGEST_BODY_TIMEOUT" envDefault:"30s" doc:"how long a client may take to send a request body"`
	MaxBody         int64         `env:"INGEST_MAX_BODY" envDefault:"20000000" doc:"bytes of a request body as sent"`
	MaxDecompressed int64         `env:"INGEST_MAX_DECOMPRESSED" envDefault:"32000000" doc:"bytes of a request body after decompression"`
	MaxEvents       int           `env:"INGEST_MAX_EVENTS" envDefault:"1000" doc:"events in one request"`

	BufferEvents int `env:"INGEST_BUFFER_EVENTS" envDefault:"10000" doc:"events of one project that may wait to be published; the oldest requests are dropped first"`
	BufferBytes  int `env:"INGEST_BUFFER_BYTES" envDefault:"32000000" doc:"bytes of events of one project that may wait to be published"`

	PublishTimeout time.Duration `env:"INGEST_PUBLISH_TIMEOUT" envDefault:"10s" doc:"how long publishing is tried before a request is answered 503"`
}

// Limits of one message, which have their reasons in Pub/Sub: an ordering key takes 1 MB/s, a message 10 MB.
const (
	messageEvents     = 500
	messageRaw        = 8_000_000
	messageCompressed = 900_000
	keyBytesPerSecond = 1_000_000
)
