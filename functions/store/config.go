package store

import (
	"time"

	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Config is the settings of Store. Sizes are in bytes.
type Config struct {
	Database postgres.Config
	Outbox   outbox.Config

	Slots   int           `env:"STORE_SLOTS" envDefault:"2" doc:"transactions that one instance runs at a time, of different projects; about the database's cores; there are at least two connections more, for projects that wait for a lock"`
	Memory  int64         `env:"STORE_MEMORY" envDefault:"268435456" doc:"bytes of messages that an instance holds at a time; half of its memory"`
	Rows    int           `env:"STORE_ROWS" envDefault:"1000" doc:"events in one transaction"`
	Waiting int           `env:"STORE_WAITING" envDefault:"250" doc:"messages of one project that may wait for its transaction; the oldest are sent back to the queue first"`
	Timeout time.Duration `env:"STORE_TIMEOUT" envDefault:"25s" doc:"how long storing a batch is tried before its messages go back to the queue; below the subscription's ack deadline"`
}

const (
	// pushMost is the largest push request: a message of Pub/Sub's 10 MB in base64, with its envelope.
	pushMost = 16_000_000
	// rawMost bounds what a message may unpack to. Ingest packs 8 MB, and one event more.
	rawMost = 16 << 20
	// rowsMost bounds the events of a message. Ingest packs 500.
	rowsMost = 10_000
	// spareConnections is how many projects may hang in their transactions before others wait for a connection.
	spareConnections = 2
	// slotHold is how long a transaction keeps its slot from others; one that takes longer is likely waiting
	// for a lock, not using the database.
	slotHold = time.Second
)
