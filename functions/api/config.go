package api

import (
	"time"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/scheduler"
)

// Config is the settings of API.
type Config struct {
	Database  postgres.Config
	Rest      rest.Config
	Passwords account.PasswordConfig
	Outbox    outbox.Config
	Channels  alert.ChannelConfig
	Alerts    alert.Limits
	Schedule  scheduler.Config

	Registration string `env:"REGISTRATION" envDefault:"" doc:"open: anybody may register; invite: only who is invited; empty: open until there is a first user"`
	// Operators are checked against verified addresses only: anybody can claim one.
	Operators []string `env:"OPERATORS" envDefault:"" doc:"e-mail addresses, with commas between them, of the users who may look after the platform itself: its schedule, and monitors of its own parts"`
}

// check refuses settings that mean nothing.
func (c Config) check() error {
	switch c.Registration {
	case "", registrationOpen, "invite":
		return nil
	}
	return fault.New(fault.NotConfigured, "setting REGISTRATION is not one of: open, invite, or empty")
}

const (
	// registrationOpen lets everybody in who wants to, and each make organizations.
	registrationOpen = "open"
	// requestMost is how long a request may take: waiting for a password's turn, a few statements, and publishing (2 s).
	requestMost = 30 * time.Second
	day         = 24 * time.Hour
)
