package retention

import (
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Config is the settings of Retention. How long a project keeps its events is a setting of the project.
type Config struct {
	Database postgres.Config

	GraceDays      int `env:"RETENTION_GRACE_DAYS" envDefault:"7" doc:"for how many days a deleted project or organization can still be brought back before it is erased, 0 to 365"`
	DeadLetterDays int `env:"RETENTION_DEAD_LETTER_DAYS" envDefault:"90" doc:"for how many days dead letters are kept to be looked at and replayed, 1 to 3650"`
}

const (
	graceMost      = 365
	deadLetterMost = 3650
)

func (c Config) check() error {
	if c.GraceDays < 0 || c.GraceDays > graceMost {
		return fault.New(fault.NotConfigured, "RETENTION_GRACE_DAYS is %d, expected 0 to %d", c.GraceDays, graceMost)
	}
	if c.DeadLetterDays < 1 || c.DeadLetterDays > deadLetterMost {
		return fault.New(fault.NotConfigured, "RETENTION_DEAD_LETTER_DAYS is %d, expected 1 to %d", c.DeadLetterDays, deadLetterMost)
	}
	return nil
}

// grace is how long a deletion can be taken back.
func (c Config) grace() time.Duration { return time.Duration(c.GraceDays) * day }

const day = 24 * time.Hour
