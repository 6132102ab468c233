// Package outbox is how people are told something: a notification is written in the transaction that is the reason for
// it, published after that is committed, and delivered by Notify. What was not published, because the queue was away or
// the instance died, is swept later.
package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
)

// DB is what a query needs: a pool, a connection or a transaction.
type DB = postgres.DB

// Template says what a notification tells. Its data must hold no secret.
type Template string

// The templates of mails about accounts. Notify decides what is really sent: Registration to an address that has an
// account already says so, PasswordReset and VerifyEmail to an unknown address send nothing.
const (
	Registration    Template = "registration"     // data: none. A link that verifies the address
	VerifyEmail     Template = "verify_email"     // data: none. The same link again
	ChangeEmail     Template = "change_email"     // data: UserData. A link, sent to the new address
	PasswordReset   Template = "password_reset"   // data: none. A link that sets a new password
	PasswordChanged Template = "password_changed" // data: PasswordData. No link; says that it happened
	EmailChanged    Template = "email_changed"    // data: none. No link; sent to the old address
	Invitation      Template = "invitation"       // data: InvitationData. A link that accepts it
)

// The templates of what channels are told of alerts. Their rows are written by the functions of migration 0019.
const (
	Alert  Template = "alert"  // data: none. That an alert fired or is resolved
	Digest Template = "digest" // data: none. How many alerts were folded; Event resolved: that an incident for them is over
	Budget Template = "budget" // data: BudgetData. That the channel's budget is used up
	Test   Template = "test"   // data: none. That the channel works
)

// BudgetData is the data of Budget.
type BudgetData struct {
	Budget int       `json:"budget"` // notifications an hour
	Until  time.Time `json:"until"`  // when the hour ends
}

// UserData is the data of a template about a user.
type UserData struct {
	UserID uuid.UUID `json:"user_id"`
}

// PasswordData is the data of PasswordChanged.
type PasswordData struct {
	Tokens int `json:"tokens,omitempty"` // personal access tokens that were revoked with it
}

// InvitationData is the data of Invitation.
type InvitationData struct {
	InvitationID uuid.UUID `json:"invitation_id"`
}

// Notification is what somebody is to be told.
type Notification struct {
	ID             uuid.UUID // given by Write
	OrganizationID uuid.UUID // uuid.Nil when it is about none
	Template       Template
	Recipient      string // an e-mail address
	Data           any    // encoded as JSON; nil: none
}

// Write stores the notification, to be delivered after the transaction of db is committed, and returns its id for
// Outbox.Publish.
func Write(ctx context.Context, db DB, n Notification) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make a notification's id: %w", err)
	}
	data := []byte("{}")
	if n.Data != nil {
		if data, err = json.Marshal(n.Data); err != nil {
			return uuid.Nil, fmt.Errorf("encode the data of a notification: %w", err)
		}
	}
	_, err = db.Exec(ctx, `
		insert into mesher.notifications (id, organization_id, channel, template, recipient, data)
		values ($1::uuid, $2::uuid, 'email', $3, $4, $5::jsonb)`,
		id, postgres.OrNull(n.OrganizationID), string(n.Template), n.Recipient, string(data))
	if err != nil {
		return uuid.Nil, fmt.Errorf("write a notification: %w", err)
	}
	return id, nil
}
