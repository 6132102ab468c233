package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/topic"
)

// schema is the version of the message that names a notification.
const schema = 1

// note is the data of that message.
type note struct {
	NotificationID uuid.UUID `json:"notification_id"`
}

// queue is the topic as a Publisher.
type queue struct{ topic *topic.Publisher }

// PublishID publishes the message that names a notification.
func (q queue) PublishID(ctx context.Context, id uuid.UUID) error {
	_, err := q.topic.Publish(ctx, Message(id))
	return err
}

// Message returns the message that has a notification delivered.
func Message(id uuid.UUID) topic.Message {
	data, _ := json.Marshal(note{id}) // an id: encoding it cannot fail
	return topic.Message{Data: data, Attributes: map[string]string{"schema": strconv.Itoa(schema)}}
}

// MessageID returns the notification that a message names. Any other message is a fault.Invalid.
func MessageID(m topic.Message) (uuid.UUID, error) {
	if got := m.Attributes["schema"]; got != strconv.Itoa(schema) {
		return uuid.Nil, fault.New(fault.Invalid, "schema %q of the message is not known; this version knows %d", got, schema)
	}
	var n note
	err := json.Unmarshal(m.Data, &n)
	if err == nil && n.NotificationID == uuid.Nil {
		err = errors.New("there is no notification_id in it")
	}
	if err != nil {
		return uuid.Nil, fault.Wrap(err, fault.Invalid, "the message names no notification")
	}
	return n.NotificationID, nil
}
