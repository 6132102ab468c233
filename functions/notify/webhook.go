package notify

import (
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
)

// webhookEvents are the events as a webhook names them.
var webhookEvents = map[string]string{
	"fired": "alert.fired", "resolved": "alert.resolved", "digest": "digest", "budget": "budget.exceeded", "test": "test",
}

// webhookPayload is what a generic webhook is sent. docs/alerting.md describes it.
type webhookPayload struct {
	ID           uuid.UUID      `json:"id"`
	Event        string         `json:"event"`
	Combined     bool           `json:"combined"`
	CreatedAt    time.Time      `json:"created_at"`
	Organization alert.Named    `json:"organization"`
	Project      *alert.Named   `json:"project"`
	Rule         *alert.Named   `json:"rule"`
	Channel      alert.Named    `json:"channel"`
	Alert        *alert.Told    `json:"alert"`
	Links        *resources     `json:"links"`
	Digest       *webhookDigest `json:"digest"`
	Budget       *webhookBudget `json:"budget"`
}

type webhookDigest struct {
	alert.Folded
	Links []resources `json:"links"` // of the alerts, in their order
}

type webhookBudget struct {
	HourlyBudget int       `json:"hourly_budget"`
	Until        time.Time `json:"until"`
}

// webhookBody returns a story as programs read it.
func webhookBody(s alert.Story, l links) ([]byte, error) {
	p := webhookPayload{
		ID: s.ID, Event: webhookEvents[s.Event], Combined: s.Combined, CreatedAt: s.CreatedAt, Organization: s.Organization,
		Project: s.Project, Rule: s.Rule, Channel: s.Channel, Alert: s.Alert,
	}
	if s.Combined {
		p.Event = webhookEvents["resolved"]
	}
	if s.Alert != nil {
		r := l.resources(*s.Alert)
		p.Links = &r
	}
	if s.Digest != nil {
		p.Digest = &webhookDigest{Folded: *s.Digest, Links: []resources{}}
		for _, t := range s.Digest.Alerts {
			p.Digest.Links = append(p.Digest.Links, l.resources(t))
		}
	}
	if s.Budget != nil {
		p.Budget = &webhookBudget{HourlyBudget: s.Budget.Budget, Until: s.Budget.Until.UTC()}
	}
	return encode(p)
}
