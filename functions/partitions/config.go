package partitions

import (
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Config is the settings of Partitions.
type Config struct {
	Database postgres.Config

	Days int `env:"PARTITION_DAYS" envDefault:"14" doc:"for how many days ahead partitions of events are kept ready, 2 to 60; so long may the scheduler stand still"`
}

const (
	daysLeast = 2
	daysMost  = 60
)

func (c Config) check() error {
	if c.Days < daysLeast || c.Days > daysMost {
		return fault.New(fault.NotConfigured, "PARTITION_DAYS is %d, expected %d to %d", c.Days, daysLeast, daysMost)
	}
	return nil
}
