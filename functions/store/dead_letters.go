package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/topic"
)

// unstorable is the reason why an event can never be stored.
type unstorable struct{ reason string }

func (u *unstorable) Error() string { return u.reason }

// discard puts a message that can never be stored into dead_letters, as it came, for a person to look at. An
// error means that the message is kept nowhere yet and has to be delivered again.
func (w *writer) discard(ctx context.Context, m topic.Message, cause error) error {
	w.log.ErrorContext(ctx, "a message cannot be stored and is kept in dead_letters",
		"message_id", m.ID, "attributes", m.Attributes, "error", cause)
	project, err := uuid.Parse(m.Attributes["project_id"])
	known := &project
	if err != nil {
		known = nil
	}
	// The same message gets the same id, so that it is kept once however often it is delivered.
	sum := sha256.Sum256(append([]byte(m.ID+"\x00"), m.Data...))
	return w.bury(ctx, deadLetter{
		id: uuid.UUID(sum[:16]), project: known, source: "message", reason: cause.Error(), detail: "",
		attributes: m.Attributes, payload: m.Data, messageID: m.ID, attempt: m.DeliveryAttempt,
	})
}

// putAside puts one event that the database refuses into dead_letters, as the line that the message held.
func (w *writer) putAside(ctx context.Context, project uuid.UUID, r *row, cause error) error {
	w.log.ErrorContext(ctx, "an event cannot be stored and is kept in dead_letters",
		"project", project, "id", r.id, "event_id", r.eventID, "error", cause)
	return w.bury(ctx, deadLetter{
		id: r.id, project: &project, source: "event", reason: "the database refuses the event", detail: cause.Error(),
		attributes: map[string]string{"sqlstate": postgres.SQLState(cause)}, payload: r.line,
	})
}

type deadLetter struct {
	id             uuid.UUID
	project        *uuid.UUID
	source         string
	reason, detail string
	attributes     map[string]string
	payload        []byte
	messageID      string
	attempt        int
}

// bury inserts a dead letter and counts it, once for each id.
func (w *writer) bury(ctx context.Context, d deadLetter) error {
	attributes, err := json.Marshal(d.attributes)
	if err != nil {
		return fmt.Errorf("encode a dead letter's attributes: %w", err)
	}
	if d.attributes == nil {
		attributes = []byte("{}")
	}
	attributes = bytes.ReplaceAll(attributes, []byte(`\u0000`), []byte(`\ufffd`)) // jsonb has no NUL
	_, err = w.pool.Exec(ctx, `
		with buried as (
			insert into mesher.dead_letters
				(id, project_id, source, reason, detail, attributes, payload, message_id, delivery_attempt)
			values ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $9)
			on conflict (id) do nothing
			returning project_id)
		insert into mesher.usage as u (project_id, minute, dead_lettered)
		select project_id, date_trunc('minute', now()), 1 from buried where project_id is not null
		on conflict (project_id, minute) do update set dead_lettered = u.dead_lettered + excluded.dead_lettered`,
		d.id, d.project, d.source, d.reason, d.detail, string(attributes), d.payload, d.messageID, d.attempt)
	if err != nil {
		return fmt.Errorf("keep a dead letter: %w", err)
	}
	return nil
}
