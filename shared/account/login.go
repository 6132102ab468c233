package account

import (
	"context"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Login is an attempt to prove a user's password that was counted and may be made.
type Login struct {
	// Known: the user logged in from the client's network before.
	Known bool
	tried []Attempt
}

// TryLogin counts an attempt to prove the password of an address, with the errors of Try. user is uuid.Nil when the address has
// no account; that costs the same.
//
// A network that the user logged in from before is not slowed down by what others try from elsewhere. Any other one is, but
// for its first attempt within an hour: so the user who is travelling gets in with the right password, however many
// others try, and nobody learns from a single attempt which networks are known.
func TryLogin(ctx context.Context, db interface {
	DB
	postgres.Beginner
}, email string, user uuid.UUID, from Client,
) (Login, error) {
	known, err := KnownClient(ctx, db, user, from)
	if err != nil {
		return Login{}, err
	}
	l := Login{Known: known, tried: []Attempt{LoginFrom(email, from)}}
	any := AnyFrom(from) // also counts who is right: hashing costs the same
	if known {
		return l, Try(ctx, db, l.tried[0], any)
	}
	l.tried = append(l.tried, LoginTo(email))
	refused := Try(ctx, db, l.tried[0], any, l.tried[1])
	if !fault.Is(refused, fault.Limited) {
		return l, refused
	}
	l.tried[1] = firstFrom(email, from)
	if err := Try(ctx, db, l.tried[0], any, l.tried[1]); !fault.Is(err, fault.Limited) {
		return l, err
	}
	return Login{}, refused
}

// Forgive takes the attempt back once the password turned out to be right. What the network tries at all stays counted.
func (l Login) Forgive(ctx context.Context, db DB) error { return Forgive(ctx, db, l.tried...) }
