package local

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/env"
)

// Info is what a person or a script needs to use a running platform. It is kept in dev.json, readable by its
// owner only, since it holds secrets.
type Info struct {
	URL            string    `json:"url"`
	APIKey         string    `json:"api_key"`
	DSN            string    `json:"dsn"`
	DatabaseURL    string    `json:"database_url"`
	DatabaseDir    string    `json:"database_dir,omitempty"` // of the own Postgres; as root not always below the home
	Email          string    `json:"email"`                  // of the user to log in as
	Password       string    `json:"password"`
	OrganizationID uuid.UUID `json:"organization_id"`
	ProjectID      uuid.UUID `json:"project_id"`
	PubSub         string    `json:"pubsub,omitempty"` // host:port of the queue, and what it asks its clients for
	PubSubToken    string    `json:"pubsub_token,omitempty"`
	Scheduler      string    `json:"scheduler,omitempty"` // host:port of the scheduler, and what it asks its clients for
	SchedulerToken string    `json:"scheduler_token,omitempty"`
}

// Queue returns the settings with which this machine's queue is published to; false: it is not known.
func (i Info) Queue() (env.Lookup, bool) {
	return env.Map(map[string]string{
		"GOOGLE_CLOUD_PROJECT": project, "PUBSUB_EMULATOR_HOST": i.PubSub, "PUBSUB_EMULATOR_TOKEN": i.PubSubToken,
	}), i.PubSub != ""
}

// Schedule returns the settings with which this machine's schedule is looked at; false: it is not known.
func (i Info) Schedule() (env.Lookup, bool) {
	return env.Map(map[string]string{
		"GOOGLE_CLOUD_PROJECT": project, "SCHEDULER_LOCATION": location,
		"SCHEDULER_EMULATOR_HOST": i.Scheduler, "SCHEDULER_EMULATOR_TOKEN": i.SchedulerToken,
	}), i.Scheduler != ""
}

// infoFile is the name of Info's file in the platform's home.
const infoFile = "dev.json"

// ReadInfo returns the Info of the platform whose state lies in home. It is the last run's when none runs now.
func ReadInfo(home string) (Info, error) {
	var info Info
	b, err := os.ReadFile(filepath.Join(home, infoFile))
	if err != nil {
		return info, fmt.Errorf("read what the platform left behind; is it running (make run)? %w", err)
	}
	if err := json.Unmarshal(b, &info); err != nil {
		return info, fmt.Errorf("read %s: %w", filepath.Join(home, infoFile), err)
	}
	return info, nil
}

func (i Info) write(home string) error {
	b, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", infoFile, err)
	}
	if err := writeFile(filepath.Join(home, infoFile), append(b, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", infoFile, err)
	}
	return nil
}
