// Package auth lets people in: registration, logins and their sessions, passwords, invitations, and the links in mails
// that prove whose an address is.
//
// Three rules hold everywhere. Whether an address has an account is told to nobody but who reads its mails: answers,
// statements and hashing are the same for both. What a link proves takes effect by POST only, since mail scanners open
// links. And every effect lies in one transaction with its entry in the audit log and with the mail that tells of it;
// within it the user is locked before anything else, so that a password cannot change under a login.
//
// routes.go lists the API, pages.go the pages that links open; both call the same functions.
package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
)

// Path is where everything of Auth lies.
const Path = "/auth/"

// prefix is where the API lies; all else are pages.
const prefix = "/auth/v1"

// Function is the deployed function.
type Function struct {
	log          *slog.Logger
	pool         *postgres.Pool
	box          *outbox.Outbox
	hasher       *account.Hasher
	sessions     account.SessionConfig
	registration Registration
	api          *rest.API
	refusals     refusals
}

// Build makes the function from its settings, as boot calls it.
func Build(ctx context.Context, lookup env.Lookup, log *slog.Logger) (boot.Handler, error) {
	var cfg Config
	if err := env.Read(lookup, &cfg); err != nil {
		return nil, err
	}
	return New(ctx, cfg, log)
}

// New returns the function. Nothing is connected yet.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Function, error) {
	cfg.Database.Application = "mesher auth"
	pool, err := postgres.Open(ctx, cfg.Database)
	if err != nil {
		return nil, err
	}
	box, err := outbox.Open(ctx, cfg.Outbox, pool, log)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the outbox: %w", err)
	}
	f, err := compose(cfg, pool, box, log)
	if err != nil {
		_ = box.Close()
		pool.Close()
		return nil, err
	}
	return f, nil
}

// compose returns the function on top of what was opened for it.
func compose(cfg Config, pool *postgres.Pool, box *outbox.Outbox, log *slog.Logger) (*Function, error) {
	if err := cfg.Registration.check(); err != nil {
		return nil, err
	}
	hasher, err := account.NewHasher(cfg.Passwords)
	if err != nil {
		return nil, err
	}
	pages, err := newPrinter()
	if err != nil {
		return nil, err
	}
	f := &Function{
		log: log, pool: pool, box: box, hasher: hasher, sessions: cfg.Sessions, registration: cfg.Registration,
	}
	front, err := pages.page(link{path: "/auth/index", title: "Mesher accounts"})
	if err != nil {
		return nil, err
	}
	f.api = rest.New(rest.Options{
		Title: "Mesher accounts", Prefix: prefix, Config: cfg.Config, Pool: pool, Log: log,
		Description: "Registration, logins and sessions, passwords, and invitations. A session token is sent as a bearer " +
			"token, or kept by a browser as a cookie; personal access tokens cannot do anything here.",
		Refuse: f.refusePage(front),
	})
	f.routes()
	if err := f.routePages(pages, front); err != nil {
		return nil, err
	}
	return f, nil
}

// Health reports whether the database answers.
func (f *Function) Health(ctx context.Context) error { return postgres.Health(ctx, f.pool) }

// Close closes the connections.
func (f *Function) Close(ctx context.Context) {
	if err := f.box.Close(); err != nil {
		f.log.WarnContext(ctx, "the connection to the queue is not closed properly", "error", err)
	}
	f.pool.Close()
}

// ServeHTTP answers one request. Called by: people, their browsers and programs. Every route may be called again when
// its answer was lost; what was done once is refused, or done again without harm.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), requestMost)
	defer cancel()
	f.api.ServeHTTP(w, r.WithContext(withRequest(ctx, r)))
}
