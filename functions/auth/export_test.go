package auth

import (
	"net/netip"
	"time"
)

// Compose makes the function on a pool and an outbox of the test's.
var Compose = compose

// Concealed is how a password comes in.
type Concealed = concealed

// Refusals says which refused attempts are logged.
type Refusals = refusals

// Due reports whether a refusal is to be logged.
func (r *Refusals) Due(network netip.Prefix, now time.Time) bool { return r.due(network, now) }
