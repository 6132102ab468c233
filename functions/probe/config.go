package probe

import (
	"time"

	"github.com/mesherhq/mesher/shared/outbound"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/scheduler"
	"github.com/mesherhq/mesher/shared/secret"
)

// Config is the settings of Probe.
type Config struct {
	Database postgres.Config
	Outbox   outbox.Config
	Seal     secret.SealConfig
	Outbound outbound.Config
	Schedule scheduler.Config

	Concurrency int    `env:"PROBE_CONCURRENCY" envDefault:"200" doc:"services that one instance looks at at a time; each waits on the network and holds little"`
	Region      string `env:"PROBE_REGION" envDefault:"" doc:"where this instance looks from, as its health checks say it"`
}

const (
	// runMost is how long a run may take: less than a minute, after which the next one begins.
	runMost = 55 * time.Second
	// adoptMost, digestMost and tellMost bound the steps before services are looked at.
	adoptMost  = 5 * time.Second
	digestMost = 10 * time.Second
	tellMost   = 5 * time.Second
	// writeReserve is left for writing what the last looks found.
	writeReserve = 3 * time.Second
	// claimSlack is how much longer than the run a claim holds, for what is written last.
	claimSlack = 15 * time.Second
	// claimMost is how many monitors are claimed at a time.
	claimMost = 100
	// writeMost is how many results are written in one transaction, and writeEvery how long the first of them waits for more.
	writeMost  = 50
	writeEvery = 500 * time.Millisecond
	// heartbeatsMost is how many heartbeats one run judges.
	heartbeatsMost = 5_000
)
