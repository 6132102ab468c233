package local

import (
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/mesherhq/mesher/shared/env"
)

// lookup returns the settings of one function: first what Terraform sets in the cloud, then what Options.Lookup
// knows, last what suits a laptop better than the defaults.
func (p *Platform) lookup(f Function, admin string) (env.Lookup, error) {
	database, err := p.databaseOf(f, admin)
	if err != nil {
		return nil, err
	}
	own, usual := p.own(database), p.usual()
	return func(name string) (string, bool) {
		if value, ok := own[name]; ok {
			return value(), true
		}
		if value, ok := p.opts.Lookup(name); ok && value != "" {
			return value, true
		}
		value, ok := usual[name]
		return value, ok
	}, nil
}

// databaseOf returns the URL that a function connects with.
func (p *Platform) databaseOf(f Function, admin string) (string, error) {
	if p.database == nil {
		return admin, nil
	}
	return as(admin, f.Role, p.opts.Home)
}

// own are the settings that say where the platform's parts are. The addresses of the queue and of the platform itself
// are known only once they run; functions are built later than that.
func (p *Platform) own(database string) map[string]func() string {
	own := map[string]func() string{
		"PUBSUB_EMULATOR_HOST":  func() string { return p.opts.PubSub },
		"PUBSUB_EMULATOR_TOKEN": func() string { return p.queueToken },

		"SCHEDULER_EMULATOR_HOST":  func() string { return p.scheduler.Addr() },
		"SCHEDULER_EMULATOR_TOKEN": func() string { return p.clockToken },

		"AUTH_URL": func() string { return p.Info.URL },
		"API_URL":  func() string { return p.Info.URL },
	}
	for name, value := range map[string]string{
		"DATABASE_URL":         database,
		"GOOGLE_CLOUD_PROJECT": project,
		"SCHEDULER_LOCATION":   location,
		"SCHEDULER_PREFIX":     "",
		"EVENTS_TOPIC":         "events",
		"NOTIFICATIONS_TOPIC":  "notifications",
		"FORWARDED_HOPS":       "0", // nothing stands in front of this server
	} {
		own[name] = func() string { return value }
	}
	return own
}

// usual are the settings that somebody may want otherwise. Some have defaults that are meant for one of many instances
// behind Google's front end: here one instance takes every connection, and no pooler counts its own.
func (p *Platform) usual() map[string]string {
	usual := map[string]string{
		"INGEST_CONCURRENCY": "8000",
		"DATABASE_POOL_SIZE": "6",
		"REGISTRATION":       "open",
		"OPERATORS":          devEmail,
		"SEAL_KEY":           p.sealKey,
		"OUTBOUND_ALLOW":     "127.0.0.0/8,::1/128", // what a developer runs here can be probed
		"CHANNEL_HOSTS":      "127.0.0.1,localhost", // and stand in for Slack
	}
	if server, _ := p.opts.Lookup("SMTP_URL"); server == "" {
		usual["MAIL_DIR"] = filepath.Join(p.opts.Home, "mail")
	}
	return usual
}

// as returns the URL of the same database for another role, with the password that is kept for it.
func as(admin, role, home string) (string, error) {
	u, err := url.Parse(admin)
	if err != nil {
		return "", fmt.Errorf("parse the database's URL: %w", err)
	}
	secret, err := rolePassword(home, role)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(role, secret)
	return u.String(), nil
}

// RoleURL returns how a function connects to the own database of the platform whose state lies in home, for its role.
func RoleURL(home string, info Info, role string) (string, error) {
	return as(info.DatabaseURL, role, home)
}
