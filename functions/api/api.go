// Package api is the HTTP interface by which people and their programs manage organizations, members, projects and
// keys, and read what is known of them.
//
// Each file is one noun of the interface: its routes, what they take, and what they do. A change, the question whether
// its caller may make it, and its entry in the audit log are one transaction.
package api

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/outbound"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/scheduler"
	"github.com/mesherhq/mesher/shared/secret"
)

// Prefix is what every path of the interface begins with.
const Prefix = "/api/v1"

// Function is the deployed function.
type Function struct {
	pool   *postgres.Pool
	outbox *outbox.Outbox
	log    *slog.Logger
	api    *rest.API
	hasher *account.Hasher
	open   bool // everybody may make organizations

	channels  *alert.Channels
	operators operators
	limits    alert.Limits
	monitors  monitor.Keeper
	schedule  *scheduler.Client // nil: it is not known where the schedule is deployed
}

// Build makes the function from its settings, as boot calls it.
func Build(ctx context.Context, lookup env.Lookup, log *slog.Logger) (boot.Handler, error) {
	var cfg Config
	if err := env.Read(lookup, &cfg); err != nil {
		return nil, err
	}
	cfg.Database.Application = "mesher api"
	pool, err := postgres.Open(ctx, cfg.Database)
	if err != nil {
		return nil, err
	}
	out, err := outbox.Open(ctx, cfg.Outbox, pool, log)
	if err != nil {
		pool.Close()
		return nil, err
	}
	f, err := New(cfg, pool, out, log)
	if err != nil {
		_ = out.Close() // the error before it counts
		pool.Close()
		return nil, err
	}
	if !cfg.Schedule.Known() {
		return f, nil
	}
	client, err := scheduler.Open(ctx, cfg.Schedule)
	if err != nil {
		f.Close(ctx)
		return nil, err
	}
	return f.WithSchedule(client), nil
}

// New returns the function, which closes pool and out in the end. Nothing is connected yet.
func New(cfg Config, pool *postgres.Pool, out *outbox.Outbox, log *slog.Logger) (*Function, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	hasher, err := account.NewHasher(cfg.Passwords)
	if err != nil {
		return nil, err
	}
	channels, err := alert.NewChannels(cfg.Channels)
	if err != nil {
		return nil, err
	}
	named, err := readOperators(cfg.Operators)
	if err != nil {
		return nil, err
	}
	guard, err := outbound.NewPolicy(cfg.Channels.Outbound)
	if err != nil {
		return nil, err
	}
	sealer, err := secret.NewSealer(cfg.Channels.Seal)
	if err != nil {
		return nil, err
	}
	f := &Function{
		pool: pool, outbox: out, log: log, hasher: hasher, open: cfg.Registration == registrationOpen, operators: named,
		limits: cfg.Alerts, channels: channels, monitors: monitor.Keeper{Guard: guard, Sealer: sealer},
	}
	f.api = rest.New(rest.Options{
		Title: "Mesher", Description: description, Prefix: Prefix, Config: cfg.Rest, Pool: pool, Log: log,
	})
	for _, add := range []func(){
		f.userRoutes, f.tokenRoutes, f.organizationRoutes, f.memberRoutes, f.invitationRoutes, f.projectRoutes,
		f.keyRoutes, f.auditRoutes, f.issueRoutes, f.eventRoutes, f.overviewRoutes, f.eraseRoutes, f.monitorRoutes,
		f.channelRoutes,
		f.ruleRoutes, f.alertRoutes,
		f.platformRoutes,
	} {
		add()
	}
	return f, nil
}

// Health reports whether the database answers.
func (f *Function) Health(ctx context.Context) error { return postgres.Health(ctx, f.pool) }

// Close closes the connections.
func (f *Function) Close(ctx context.Context) {
	if err := f.outbox.Close(); err != nil {
		f.log.WarnContext(ctx, "the connection to the queue did not close", "error", err)
	}
	if err := f.schedule.Close(); err != nil {
		f.log.WarnContext(ctx, "the connection to the schedule did not close", "error", err)
	}
	f.pool.Close()
}

// ServeHTTP answers one call. Called by: people's browsers and programs.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), requestMost)
	defer cancel()
	f.api.ServeHTTP(w, r.WithContext(ctx))
}

const description = `Organizations have members and projects; a project has the API keys that events come in with.

Calls carry a session token or a personal access token as ` + "`Authorization: Bearer …`" + `. What a route needs of it is its ` +
	"`x-mesher-scope`" + `; each of read, write, admin and session includes the one before. ` + "`x-mesher-role`" +
	` is the least role that the caller must have in the organization; operator: who runs the installation, whatever the organization. What the caller may not see does not exist: it is answered 404.

A change leaves alone what it does not name; null is the same as not naming it. Fields and parameters that are not known are refused.

Lists are sorted by time, the newest first. ` + "`next`" + ` of an answer, sent as ` + "`cursor`" + ` with the same filters, gives the next page.

Calls that create something take an ` + "`Idempotency-Key`" + `, so that they can be sent again when no answer came.

Errors are problem details (RFC 9457). Programs tell them apart by ` + "`code`" + `.`
