package issue

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
)

// Grouping is why events of an issue belong together, told by the latest one.
type Grouping struct {
	EventID       uuid.UUID            `json:"event_id" format:"uuid" doc:"id of the latest event, which this is about"`
	Stored        uuid.UUID            `json:"stored_fingerprint" format:"uuid" doc:"what the event was stored with"`
	StoredVersion int                  `json:"stored_version,omitempty" doc:"version of the rules of grouping that made it"`
	Differs       bool                 `json:"differs" doc:"the event would get another fingerprint now"`
	Note          string               `json:"note" doc:"what that means, in words"`
	Now           grouping.Explanation `json:"now" doc:"how the event would be grouped now, and why"`
}

// ExplainGrouping groups the latest event of an issue once more, by the project's rules as they are now, and says why it
// comes out as it does.
func ExplainGrouping(ctx context.Context, db DB, project, id uuid.UUID, rules []grouping.Rule) (Grouping, error) {
	compiled, err := grouping.CompileRules(rules)
	if err != nil {
		return Grouping{}, fmt.Errorf("read the project's grouping rules: %w", err)
	}
	latest, err := LatestEvent(ctx, db, project, id)
	if err != nil {
		return Grouping{}, err
	}
	g := Grouping{EventID: latest.ID, Stored: latest.Fingerprint}
	err = db.QueryRow(ctx, `
		select coalesce((select f.grouping_version from mesher.issue_fingerprints f
			where f.project_id = $1::uuid and f.fingerprint = $2::uuid), 0)::bigint`, project, g.Stored).Scan(&g.StoredVersion)
	if err != nil {
		return Grouping{}, fmt.Errorf("look up a fingerprint: %w", err)
	}
	e := latest.canonical()
	g.Now = grouping.Explain(project, &e, compiled)
	g.Differs = g.Now.Fingerprint != g.Stored
	g.Note = g.note()
	return g, nil
}

func (g Grouping) note() string {
	switch {
	case !g.Differs:
		return "an event like this is grouped today as it was"
	case g.StoredVersion != 0 && g.StoredVersion != grouping.Version:
		return fmt.Sprintf("the event was grouped by version %d of the rules of grouping; version %d gives events like this "+
			"another fingerprint, which belongs to this issue too unless it had one already", g.StoredVersion, grouping.Version)
	}
	return "events like this get another fingerprint today, so that they open an issue of their own: the project's rules have " +
		"changed since, or what the fingerprint was made of was taken out before the event was stored"
}

// canonical returns the event as Ingest had it when it was grouped.
func (e Event) canonical() event.Event {
	return event.Event{
		ID: e.ID, EventID: e.EventID, Fingerprint: e.Fingerprint, ReceivedAt: e.ReceivedAt, OccurredAt: e.OccurredAt,
		Level: event.Level(e.Level), Message: e.Message, ExceptionType: e.ExceptionType, ExceptionValue: e.ExceptionValue,
		Culprit: e.Culprit, Environment: e.Environment, Release: e.Release, Platform: e.Platform, Transaction: e.Transaction,
		ServerName: e.ServerName, Logger: e.Logger, UserID: e.UserID, TraceID: e.TraceID, Tags: e.Tags, Extra: e.Extra,
		Exception: e.Exception, Threads: e.Threads, Breadcrumbs: e.Breadcrumbs, UserInfo: e.User, Contexts: e.Contexts,
		Request: e.Request, SDK: e.SDK, ClientFingerprint: e.ClientFingerprint, Meta: e.Meta,
	}
}
