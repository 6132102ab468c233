package auth

import (
	"time"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
)

// Config is the settings of Auth.
type Config struct {
	Database postgres.Config
	rest.Config
	Passwords account.PasswordConfig
	Outbox    outbox.Config

	Registration Registration `env:"REGISTRATION" envDefault:"" doc:"open: anybody may register; invite: only who is invited; empty: open until there is a first user"`
}

// Registration says who may register.
type Registration string

// The rules of registration. Whoever is invited may always come in.
const (
	FirstOnly  Registration = ""
	Open       Registration = "open"
	InviteOnly Registration = "invite"
)

func (r Registration) check() error {
	switch r {
	case FirstOnly, Open, InviteOnly:
		return nil
	}
	return fault.New(fault.NotConfigured, "REGISTRATION is %q; expected open, invite or nothing", string(r))
}

const (
	// requestMost is how long a request may take: waiting for a password's turn (5 s) twice, hashing, a few statements,
	// and publishing (2 s).
	requestMost = 30 * time.Second
)
