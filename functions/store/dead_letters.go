package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/topic"
)

// refusal is an event that can never be stored, and why.
type refusal struct {
	row   *row
	cause error
}

var errFuture = errors.New("received_at is in the future")

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
	return w.bury(ctx, burial{
		project: known, source: "message", messageID: m.ID, attempt: m.DeliveryAttempt,
		letters: []deadLetter{{
			id: uuid.UUID(sum[:16]), reason: cause.Error(), attributes: m.Attributes, payload: m.Data,
		}},
	})
}

// putAside puts events that can never be stored into dead_letters, as the lines that the message held.
func (w *writer) putAside(ctx context.Context, project uuid.UUID, refused []refusal) error {
	if len(refused) == 0 {
		return nil
	}
	first := refused[0]
	w.log.ErrorContext(ctx, "events cannot be stored and are kept in dead_letters", "project", project,
		"events", len(refused), "first_id", first.row.id, "first_event_id", first.row.eventID, "first_error", first.cause)
	letters := make([]deadLetter, len(refused))
	for i, r := range refused {
		letters[i] = deadLetter{
			id: r.row.id, reason: "the database refuses the event", detail: r.cause.Error(), payload: r.row.line,
			attributes: map[string]string{"sqlstate": postgres.SQLState(r.cause)},
		}
		if errors.Is(r.cause, errFuture) {
			letters[i].reason, letters[i].attributes = "the event is from the future", nil
		}
	}
	return w.bury(ctx, burial{project: &project, source: "event", letters: letters})
}

// aside returns which of rows were put aside, unless to be stored after all.
func (w *writer) aside(ctx context.Context, project uuid.UUID, rows []row) (map[uuid.UUID]bool, error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].id.String()
	}
	found, err := w.pool.Query(ctx, `
		select id from mesher.dead_letters
		where id = any ($1::text[]::uuid[]) and project_id = $2 and source = 'event' and replayed_at is null`, ids, project)
	if err != nil {
		return nil, fmt.Errorf("look for dead letters: %w", err)
	}
	defer found.Close()
	aside := make(map[uuid.UUID]bool)
	for found.Next() {
		var id uuid.UUID
		if err := found.Scan(&id); err != nil {
			return nil, fmt.Errorf("read a dead letter's id: %w", err)
		}
		aside[id] = true
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("look for dead letters: %w", err)
	}
	return aside, nil
}

// burial is dead letters that came in one way.
type burial struct {
	project   *uuid.UUID
	source    string
	messageID string
	attempt   int
	letters   []deadLetter
}

type deadLetter struct {
	id             uuid.UUID
	reason, detail string
	attributes     map[string]string
	payload        []byte
}

// bury inserts dead letters in one statement and counts them, once for each id.
func (w *writer) bury(ctx context.Context, b burial) error {
	var (
		ids, reasons, details, attributes []string
		payloads                          [][]byte
	)
	for _, l := range b.letters {
		j := []byte("{}")
		if l.attributes != nil {
			var err error
			if j, err = json.Marshal(l.attributes); err != nil {
				return fmt.Errorf("encode a dead letter's attributes: %w", err)
			}
			j = bytes.ReplaceAll(j, []byte(`\u0000`), []byte(`\ufffd`)) // jsonb has no NUL
		}
		ids, reasons, details = append(ids, l.id.String()), append(reasons, l.reason), append(details, l.detail)
		attributes, payloads = append(attributes, string(j)), append(payloads, l.payload)
	}
	_, err := w.pool.Exec(ctx, `
		with buried as (
			insert into mesher.dead_letters
				(id, project_id, source, reason, detail, attributes, payload, message_id, delivery_attempt, created_at)
			select id::uuid, $1, $2, reason, detail, attributes::jsonb, coalesce(payload, ''), $3, $4, $10::timestamptz
			from unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[])
				as l (id, reason, detail, attributes, payload)
			on conflict (id) do nothing
			returning project_id)
		insert into mesher.usage as u (project_id, minute, dead_lettered)
		select project_id, date_trunc('minute', $10::timestamptz), count(*) from buried where project_id is not null
		group by project_id
		on conflict (project_id, minute) do update set dead_lettered = u.dead_lettered + excluded.dead_lettered`,
		b.project, b.source, b.messageID, b.attempt, ids, reasons, details, attributes, payloads, w.now())
	if err != nil {
		return fmt.Errorf("keep dead letters: %w", err)
	}
	return nil
}
