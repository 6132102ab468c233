// Package notify delivers notifications: what stands in the outbox becomes mails, which go to a mail server, or to files on
// a laptop, and requests to channels: Slack, Discord, PagerDuty and webhooks.
//
// Read it along the path of one notification: serve → deliver (claim it, so that of many deliveries one tells) → tell: a mail
// about an account is written (what is there to be told now, and the link's token), composed and sent; a channel is told in
// its turn (alert.TakeTurn: in order, within its budget), with the story as it is known now (alert.Tell), put into words for
// its kind → settle: finish it, or put it off for the next try.
// A message is acknowledged once what became of its notification is noted. It is told again only when nobody could note
// that it was told; it has the same id then.
package notify

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbound"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/topic"
	"github.com/mesherhq/mesher/shared/web"
)

// Function is the deployed function.
type Function struct {
	log    *slog.Logger
	pool   *postgres.Pool
	outbox *outbox.Outbox
	writer *writer
	mailer mailer
	budget *web.Budget
	mails  chan struct{} // one entry a mail under way
	calls  chan struct{} // one entry a request to a channel under way

	channels *alert.Channels
	links    links
	hooks    *hooks
	lanes    lanes
}

// mailer hands mails over. An error whose kind is acknowledged (fault.Kind.Ack) is for good, any other may pass.
type mailer interface {
	send(ctx context.Context, l letter) error
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
	m, err := newMailer(cfg, log)
	if err != nil {
		return nil, err
	}
	base, err := baseURL("AUTH_URL", cfg.AuthURL)
	if err != nil {
		return nil, err
	}
	texts, err := parseTexts()
	if err != nil {
		return nil, err
	}
	f := &Function{log: log, mailer: m, budget: web.NewBudget(memory), mails: make(chan struct{}, mailsMost), calls: make(chan struct{}, callsMost)}
	if err := f.prepare(cfg); err != nil {
		return nil, err
	}
	cfg.Database.Application = "mesher notify"
	if f.pool, err = postgres.Open(ctx, cfg.Database); err != nil {
		return nil, err
	}
	if f.outbox, err = outbox.Open(ctx, cfg.Outbox, f.pool, log); err != nil {
		f.pool.Close()
		return nil, err
	}
	f.writer = &writer{db: f.pool, base: base, texts: texts}
	return f, nil
}

// prepare makes what channels need.
func (f *Function) prepare(cfg Config) (err error) {
	if f.channels, err = alert.NewChannels(cfg.Channels); err != nil {
		return err
	}
	if f.links, err = newLinks(cfg); err != nil {
		return err
	}
	guard, err := outbound.New(cfg.Channels.Outbound)
	if err != nil {
		return err
	}
	f.hooks = newHooks(guard, f.links)
	return nil
}

// newMailer returns the mailer that the settings ask for.
func newMailer(cfg Config, log *slog.Logger) (mailer, error) {
	if (cfg.SMTPURL == "") == (cfg.MailDir == "") {
		return nil, fault.New(fault.NotConfigured, "set either SMTP_URL, to send mails, or MAIL_DIR, to write them to files on a laptop")
	}
	from, err := cfg.sender()
	if err != nil {
		return nil, err
	}
	if cfg.MailDir != "" {
		return &files{dir: cfg.MailDir, from: from, log: log, now: time.Now}, nil
	}
	return newServer(cfg.SMTPURL, from, log)
}

// Health reports whether the database answers.
func (f *Function) Health(ctx context.Context) error { return postgres.Health(ctx, f.pool) }

// Close closes the connections.
func (f *Function) Close(ctx context.Context) {
	f.pool.Close()
	if err := f.outbox.Close(); err != nil {
		f.log.WarnContext(ctx, "closing the Pub/Sub connection", "error", err)
	}
}

// ServeHTTP takes the push requests of the subscription, on any path. Called by: the queue. A 2xx answer
// acknowledges the message; anything else has it delivered again.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.Handler(f.log, f.serve).ServeHTTP(w, r)
}

func (f *Function) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return fault.New(fault.Method, "Notify takes push requests of Pub/Sub, by POST")
	}
	id, ok, err := f.read(r)
	if err != nil {
		return err
	}
	if ok {
		if err := f.deliver(r.Context(), id); err != nil {
			return err
		}
	}
	f.outbox.Publish(r.Context()) // what others left behind
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// read returns the notification that a push request names. A message that names none is told to the operator and
// acknowledged: it would name none the next time either.
func (f *Function) read(r *http.Request) (id uuid.UUID, ok bool, err error) {
	lease := f.budget.NewLease()
	defer lease.Release()
	body, err := web.Body(r, web.BodyLimits{Wire: bodyMost, Decoded: bodyMost}, lease)
	if err != nil {
		return uuid.Nil, false, err
	}
	m, err := topic.DecodePush(body)
	if err != nil {
		return uuid.Nil, false, err
	}
	if id, err = outbox.MessageID(m); err != nil {
		f.log.ErrorContext(r.Context(), "a message names no notification and is dropped", "message_id", m.ID, "error", err)
		return uuid.Nil, false, nil
	}
	return id, true, nil
}
