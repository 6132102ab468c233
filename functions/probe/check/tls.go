package check

import (
	"cmp"
	"context"
	"crypto/tls"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/monitor"
)

// tls looks whether the certificate of an address is valid for its host, and for how long.
func (l *look) tls(ctx context.Context, c *monitor.TLSConfig) finding {
	now := clock.Of(ctx)
	conn, err := l.guard.DialTLS(ctx, "tcp", place(c.Host, c.Port), &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: l.options.Roots, Time: now, ServerName: c.ServerName,
	})
	if err != nil {
		return l.failed(err, monitor.CodeTLS, "no encrypted connection could be agreed on")
	}
	defer conn.Close()
	state := conn.ConnectionState()
	return l.valid(&state, now(), cmp.Or(c.DegradedDays, daysUsual))
}
