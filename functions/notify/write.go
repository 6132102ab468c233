package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/tenant"
)

// writer decides what a notification says at the time of its delivery and makes a letter of it.
type writer struct {
	db    account.DB
	base  string // AUTH_URL
	texts map[kind]text
}

// letter is one mail.
type letter struct {
	id      uuid.UUID // of the notification
	kind    kind
	to      string
	subject string
	text    string
	html    string
}

// facts is what the texts may mention. Link is empty in those that lead nowhere.
type facts struct {
	Link         string
	Forgot       string // where to ask for a new password; holds no secret
	Site         string
	When         string // when it happened, or until when it is good
	Organization string
	Inviter      string
	Role         string
	Tokens       int // personal access tokens that were revoked
}

// Reasons for which nothing is sent.
const (
	noUser   = "no user has the address"
	verified = "the address is verified already"
	same     = "the user has the address already"
	replaced = "the password was set since"
	gone     = "what it is about is gone"
	closed   = "the invitation is not open any more"
)

// write returns the letter, or why there is none to be sent. Answers to requests that anyone can make look the same
// to who makes them: what they find out about an address, only its owner reads.
func (w *writer) write(ctx context.Context, d outbox.Delivery) (l letter, skipped string, err error) {
	l = letter{id: d.ID, to: d.Recipient}
	about := facts{Site: w.base, Forgot: w.base + "/auth/forgot", When: moment(d.CreatedAt)}
	switch d.Template {
	case outbox.Registration, outbox.VerifyEmail, outbox.PasswordReset:
		skipped, err = w.toUser(ctx, d, &l, &about)
	case outbox.ChangeEmail:
		skipped, err = w.toNewAddress(ctx, d, &l, &about)
	case outbox.Invitation:
		skipped, err = w.toGuest(ctx, d, &l, &about)
	case outbox.PasswordChanged:
		var data outbox.PasswordData
		err = unpack(d, &data)
		l.kind, about.Tokens = passwordChanged, data.Tokens
	case outbox.EmailChanged:
		l.kind = emailChanged
	default:
		err = fault.New(fault.Invalid, "there is no template %q", d.Template)
	}
	if err != nil || skipped != "" {
		return letter{}, skipped, err
	}
	return l, "", w.texts[l.kind].fill(&l, about)
}

// toUser writes to the address that the account has, not to what somebody typed: the two may differ in case, and with
// some providers that is another mailbox.
func (w *writer) toUser(ctx context.Context, d outbox.Delivery, l *letter, about *facts) (skipped string, err error) {
	user, _, err := account.FindLogin(ctx, w.db, d.Recipient)
	switch {
	case fault.Is(err, fault.NotFound):
		return noUser, nil
	case err != nil:
		return "", fmt.Errorf("find the user of a notification: %w", err)
	}
	l.to = user.Email
	switch {
	case d.Template == outbox.PasswordReset:
		l.kind = passwordReset
		about.Link, err = w.link(ctx, "/auth/reset", account.ResetPassword, user.ID, user.Email)
	case !user.Verified:
		l.kind = verifyEmail
		about.Link, err = w.link(ctx, "/auth/verify", account.VerifyEmail, user.ID, user.Email)
	case d.Template == outbox.VerifyEmail:
		return verified, nil
	default:
		l.kind = accountExists
	}
	return "", err
}

// toNewAddress asks whoever reads the mails of an address whether it is the user's.
func (w *writer) toNewAddress(ctx context.Context, d outbox.Delivery, l *letter, about *facts) (skipped string, err error) {
	var data outbox.UserData
	if err := unpack(d, &data); err != nil {
		return "", err
	}
	user, err := account.FindUser(ctx, w.db, data.UserID)
	switch {
	case fault.Is(err, fault.NotFound):
		return gone, nil
	case err != nil:
		return "", fmt.Errorf("find the user of a notification: %w", err)
	case user.Email == d.Recipient && user.Verified:
		return same, nil
	}
	l.kind = changeEmail
	if about.Link, err = w.link(ctx, "/auth/change-email", account.ChangeEmail, user.ID, d.Recipient); err != nil {
		return "", err
	}
	// Whoever asked for it may not know the password any more. Looked at last: setting a password voids the links before it.
	late, err := account.PasswordSetSince(ctx, w.db, user.ID, d.CreatedAt)
	switch {
	case fault.Is(err, fault.NotFound):
		return gone, nil
	case err != nil:
		return "", fmt.Errorf("look whether a notification comes too late: %w", err)
	case late:
		return replaced, nil
	}
	return "", nil
}

func (w *writer) toGuest(ctx context.Context, d outbox.Delivery, l *letter, about *facts) (skipped string, err error) {
	var data outbox.InvitationData
	if err := unpack(d, &data); err != nil {
		return "", err
	}
	inv, err := tenant.InvitationByID(ctx, w.db, data.InvitationID)
	switch {
	case fault.Is(err, fault.NotFound):
		return gone, nil
	case err != nil:
		return "", fmt.Errorf("find the invitation of a notification: %w", err)
	case inv.State != tenant.InvitationOpen:
		return closed, nil
	}
	l.kind, l.to = invitation, inv.Email
	about.Organization, about.Inviter = shown(inv.Organization), shown(inv.InvitedBy)
	about.Role, about.When = string(inv.Role), moment(inv.ExpiresAt)
	about.Link, err = w.link(ctx, "/auth/invitation", account.Invitation, inv.ID, inv.Email)
	return "", err
}

// link returns a link with a fresh one-time token.
func (w *writer) link(ctx context.Context, path string, p account.Purpose, subject uuid.UUID, email string) (string, error) {
	token, err := account.IssueOneTime(ctx, w.db, p, subject, email)
	if err != nil {
		return "", fmt.Errorf("issue the token of a mail: %w", err)
	}
	return w.base + path + "?token=" + url.QueryEscape(token), nil
}

func unpack(d outbox.Delivery, into any) error {
	if err := json.Unmarshal(d.Data, into); err != nil {
		return fault.Wrap(err, fault.Invalid, "the data of the notification is not that of its template")
	}
	return nil
}

// moment formats a time for people, to the minute.
func moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }
