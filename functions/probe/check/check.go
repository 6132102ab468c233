// Package check looks at one service once: over HTTP, TCP, DNS, TLS or Postgres, and says what it found. Everything it
// connects to was chosen by a user, so it connects only through package outbound, believes nothing, and ends in time
// whatever the other side does.
package check

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/outbound"
)

// Limits of what is read. That of an HTTP body is outbound.BodyDefault, of its headers 64 KiB.
const (
	tcpMost      = 4 << 10   // bytes in which a text is looked for
	postgresMost = 1 << 20   // bytes that a database may send
	messageMost  = 256 << 10 // bytes of one message of a database
	scramMost    = 1_000_000 // rounds of hashing that a database may ask for, about a third of a second
	recordsMost  = 20        // DNS records that are reported
	recordMost   = 255       // characters of each of them
	depthMost    = 100       // nested arrays and objects of JSON
	excerptMost  = 80        // characters of a value that a text repeats
	timeoutUsual = 10 * time.Second
	daysUsual    = 14 // before which a certificate's expiry is no matter
)

// Options are what checks need besides the guard. The zero value is fine.
type Options struct {
	Region      string         // where this runs, for the details
	Roots       *x509.CertPool // authorities that are trusted; nil: the system's
	NameServers []string       // host:port of those that are asked where a monitor names none; nil: the system's
}

// Checker looks at services. It keeps nothing between looks, and is for any number of goroutines.
type Checker struct {
	guard   *outbound.Guard
	log     *slog.Logger
	options Options
}

// New returns a checker that connects through guard.
func New(guard *outbound.Guard, log *slog.Logger, o Options) *Checker {
	return &Checker{guard: guard, log: log, options: o}
}

// finding is what one look comes to.
type finding struct {
	status monitor.Status
	code   string
	text   string
}

func healthy() finding { return finding{status: monitor.Healthy, code: monitor.CodeOK} }

func down(code, format string, args ...any) finding {
	return finding{monitor.Down, code, fmt.Sprintf(format, args...)}
}

func degraded(code, format string, args ...any) finding {
	return finding{monitor.Degraded, code, fmt.Sprintf(format, args...)}
}

// look is one look under way.
type look struct {
	*Checker
	began   time.Time // by the real clock
	now     clock.Clock
	timeout time.Duration
	trace   *outbound.Trace
	secrets monitor.Secrets
	details monitor.Details
}

// elapsed returns how long the look has taken so far.
func (l *look) elapsed() time.Duration { return time.Since(l.began) }

// Run looks at a service once, and ends within timeout, or ten seconds when that is 0. Config must hold what the kind needs.
// When ctx ends earlier the result has the code cancelled and the status unknown, and says nothing of the service.
func (c *Checker) Run(ctx context.Context, kind monitor.Kind, config monitor.Config, secrets monitor.Secrets, timeout time.Duration) monitor.Look {
	if timeout <= 0 {
		timeout = timeoutUsual
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	l := &look{Checker: c, timeout: timeout, secrets: secrets, began: time.Now(), now: clock.Of(ctx)}
	ctx, l.trace = outbound.WithTrace(ctx)
	f := l.safely(ctx, kind, config)
	if outer.Err() != nil {
		f = finding{monitor.Unknown, monitor.CodeCancelled, "the look was stopped before it had ended"}
	}
	return l.result(f)
}

// safely runs the look of a kind; a panic is its result.
func (l *look) safely(ctx context.Context, kind monitor.Kind, config monitor.Config) (f finding) {
	defer func() {
		if p := recover(); p != nil {
			// What panicked may hold what the service sent.
			l.log.ErrorContext(ctx, "a check panicked", "kind", kind, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			f = down(monitor.CodeInternal, "the check itself failed; this is not the service's fault")
		}
	}()
	switch {
	case kind == monitor.HTTP && config.HTTP != nil:
		return l.http(ctx, config.HTTP)
	case kind == monitor.TCP && config.TCP != nil:
		return l.tcp(ctx, config.TCP)
	case kind == monitor.DNS && config.DNS != nil:
		return l.dns(ctx, config.DNS)
	case kind == monitor.TLS && config.TLS != nil:
		return l.tls(ctx, config.TLS)
	case kind == monitor.Postgres && config.Postgres != nil:
		return l.postgres(ctx, config.Postgres)
	}
	return down(monitor.CodeConfiguration, "a monitor of kind %q cannot be looked at as it is configured", kind)
}

func (l *look) result(f finding) monitor.Look {
	d := l.details
	d.Code, d.Error, d.Region = f.code, f.text, l.options.Region
	d.DNSMS = max(d.DNSMS, milliseconds(l.trace.DNS()))
	d.ConnectMS = milliseconds(l.trace.Connect())
	d.TLSMS = max(d.TLSMS, milliseconds(l.trace.TLS()))
	if to := l.trace.Address(); to.IsValid() {
		d.Address = to.String()
	}
	out := monitor.Look{Status: f.status, Details: d}
	if l.trace.Stage() != "" || d.DNSMS > 0 {
		out.Latency = l.elapsed()
	}
	return out
}

// milliseconds rounds to microseconds.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// paced returns whether a healthy service answered fast enough; a limit of 0 is none.
func (l *look) paced(degradedMS, downMS int) finding {
	took := l.elapsed()
	for _, limit := range []struct {
		ms     int
		status monitor.Status
	}{{downMS, monitor.Down}, {degradedMS, monitor.Degraded}} {
		if limit.ms > 0 && took > time.Duration(limit.ms)*time.Millisecond {
			return finding{limit.status, monitor.CodeSlow, fmt.Sprintf("it took %d ms, more than %d ms", took.Milliseconds(), limit.ms)}
		}
	}
	return healthy()
}
