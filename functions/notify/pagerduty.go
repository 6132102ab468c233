package notify

import (
	"encoding/json"
	"time"

	"github.com/mesherhq/mesher/shared/alert"
)

// Limits of PagerDuty's events, of which each has 512 KB.
const (
	pagerDutySummaryMost  = 1024     // characters
	pagerDutySnapshotMost = 64 << 10 // bytes of a snapshot, which is left out beyond
)

type pagerDutyEvent struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"`
	DedupKey   string            `json:"dedup_key"`
	Client     string            `json:"client,omitempty"`
	ClientURL  string            `json:"client_url,omitempty"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp string         `json:"timestamp,omitempty"`
	Group     string         `json:"group,omitempty"`
	Class     string         `json:"class,omitempty"`
	Details   map[string]any `json:"custom_details,omitempty"`
}

// pagerDutyBody returns a story as an event: that an alert fired opens an incident, that it is resolved resolves it. A digest
// is one incident for all of its alerts. An alert's incident is found again by the alert's id, a digest's by that of the digest.
func pagerDutyBody(m message, s alert.Story, routingKey string) ([]byte, error) {
	e := pagerDutyEvent{RoutingKey: routingKey, Action: "trigger", DedupKey: s.ID.String()}
	if s.Alert != nil {
		e.DedupKey = s.Alert.ID.String()
	}
	if s.Digest != nil {
		e.DedupKey = s.Digest.ID.String()
	}
	if s.Event == "resolved" || s.Event == "digest_resolved" {
		e.Action = "resolve"
		return encode(e)
	}
	e.Client, e.ClientURL = "Mesher", m.Link
	e.Payload = &pagerDutyPayload{
		Summary: cutTo(m.Title, pagerDutySummaryMost), Source: pagerDutySource(s), Severity: pagerDutySeverity(m.Level),
		Timestamp: m.At.UTC().Format(time.RFC3339), Class: s.Event, Details: map[string]any{},
	}
	for _, f := range m.Facts {
		e.Payload.Details[f.Name] = f.Value
	}
	if m.Text != "" {
		e.Payload.Details["Text"] = m.Text
	}
	if len(m.Items) > 0 {
		var titles []string
		for _, i := range m.Items {
			titles = append(titles, "["+i.Level+"] "+i.Title)
		}
		e.Payload.Details["Alerts"] = titles
	}
	if s.Alert != nil {
		e.Payload.Class = s.Alert.Kind
		if n := len(s.Alert.Snapshot); n > 0 && n <= pagerDutySnapshotMost && json.Valid(s.Alert.Snapshot) {
			e.Payload.Details["snapshot"] = s.Alert.Snapshot
		}
	}
	if s.Rule != nil {
		e.Payload.Group = short(s.Rule.Name, valueMost)
	}
	return encode(e)
}

// pagerDutySource returns what PagerDuty calls the affected system.
func pagerDutySource(s alert.Story) string {
	name := s.Organization.Name
	if s.Project != nil && s.Project.Name != "" {
		name = s.Project.Name
	}
	if name = short(name, valueMost); name == "" {
		return "Mesher"
	}
	return name
}

// pagerDutySeverity returns one of PagerDuty's own: critical, error, warning or info.
func pagerDutySeverity(level string) string {
	switch level {
	case "critical", "warning":
		return level
	}
	return "info"
}
