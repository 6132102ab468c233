package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Attempt is one kind of thing that is throttled, of one subject.
type Attempt struct {
	rule    rule
	subject string
	wider   *Attempt // what it counts as besides; nil: nothing
}

// rule is how often one kind of thing may be tried.
type rule struct {
	kind  string
	free  float64       // tries in a row that cost nothing; 0: already the first begins a pause
	decay time.Duration // after this long one try is forgotten
	base  time.Duration // the first pause, which doubles with each further try
	most  time.Duration // the longest pause
}

// LoginFrom is a login to an account from one network. The address need not be one of a user.
func LoginFrom(email string, from Client) Attempt {
	r := rule{kind: "login_from", free: 5, decay: 10 * time.Minute, base: time.Second, most: 5 * time.Minute}
	return Attempt{rule: r, subject: strings.ToLower(email) + " " + from.Network().String()}
}

// firstFrom is the first login to an account within an hour from one network, or, with IPv6, from any of the /64 that belong
// to one customer. It passes where LoginTo is paused.
func firstFrom(email string, from Client) Attempt {
	r := rule{kind: "login_first", free: 0, decay: time.Hour, base: time.Hour, most: time.Hour}
	return Attempt{rule: r, subject: strings.ToLower(email) + " " + from.wider(customerBitsV6).String()}
}

// LoginTo is a login to an account from wherever its user never logged in from.
func LoginTo(email string) Attempt {
	// The pause stays short: strangers can cause it, and it must not lock out a user who is travelling.
	r := rule{kind: "login_to", free: 10, decay: time.Minute, base: time.Second, most: time.Minute}
	return Attempt{rule: r, subject: strings.ToLower(email)}
}

// AnyFrom is any attempt to prove something from one network: a login, a token, a registration. With IPv6 it counts for the
// /48 around it too, which is what one customer of a data centre gets: 65,536 networks.
func AnyFrom(from Client) Attempt {
	// Many people share the address of an office, so a pause stays short.
	r := rule{kind: "any_from", free: 60, decay: 10 * time.Second, base: time.Second, most: time.Minute}
	a := Attempt{rule: r, subject: from.Network().String()}
	if from.address().Is6() {
		r := rule{kind: "any_from_site", free: 600, decay: time.Second, base: time.Second, most: time.Minute}
		a.wider = &Attempt{rule: r, subject: from.wider(siteBitsV6).String()}
	}
	return a
}

// MailTo is a mail of one kind to an address that anyone can ask for: a reset of a password, a link to verify it. What asks
// for one kind does not keep the others away. What follows a + is taken for the same mailbox.
func MailTo(email, kind string) Attempt {
	r := rule{kind: "mail_to", free: 3, decay: time.Hour, base: time.Minute, most: time.Hour}
	return Attempt{rule: r, subject: kind + " " + mailbox(email)}
}

// mailbox returns an address without what is only a note to its owner.
func mailbox(email string) string {
	local, domain, _ := strings.Cut(strings.ToLower(email), "@")
	if box, _, tagged := strings.Cut(local, "+"); tagged && box != "" {
		local = box
	}
	return local + "@" + domain
}

// MailBy is a mail to anybody that a user asks for: an invitation, a link to confirm an address.
func MailBy(user uuid.UUID) Attempt {
	r := rule{kind: "mail_by", free: 20, decay: time.Minute, base: time.Minute, most: time.Hour}
	return Attempt{rule: r, subject: user.String()}
}

// Try counts attempts, all or none, and returns nil, or, when one of them was tried too often lately, a fault.Limited that
// says how long to wait. It counts before the outcome is known, so that many at once are not more than many in a row;
// Forgive takes back what turned out to be fine. It holds across instances. Where the outcome decides whether a
// transaction is committed, db is not that transaction: a failure would not stay counted.
func Try(ctx context.Context, db postgres.Beginner, attempts ...Attempt) error {
	s := subjectsOf(attempts)
	var pause time.Duration
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		tag, err := tx.Exec(ctx, countSQL, s.kinds, s.hashes, s.free, s.decay, s.base, s.most)
		if err != nil || int(tag.RowsAffected()) == len(s.kinds) {
			return err //nolint:wrapcheck // wrapped below
		}
		if pause, err = pauseOf(ctx, tx, s); err != nil {
			return err
		}
		return errRefused // rolls back what was counted of the others
	})
	switch {
	case errors.Is(err, errRefused):
		return fault.New(fault.Limited, "too many attempts; wait %d s", pause/time.Second).After(pause)
	case err != nil:
		return fmt.Errorf("count attempts: %w", err)
	}
	return nil
}

var errRefused = errors.New("an attempt is refused")

// Forgive is the function of that name for one attempt.
func (a Attempt) Forgive(ctx context.Context, db DB) error { return Forgive(ctx, db, a) }

// Forgive forgets what Try counted for the attempts, and ends the pauses that it began.
func Forgive(ctx context.Context, db DB, attempts ...Attempt) error {
	s := subjectsOf(attempts)
	if _, err := db.Exec(ctx, forgiveSQL, s.kinds, s.hashes); err != nil {
		return fmt.Errorf("forgive attempts: %w", err)
	}
	return nil
}
