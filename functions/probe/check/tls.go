package check

import (
	"cmp"
	"context"
	"crypto/tls"

	"github.com/mesherhq/mesher/shared/monitor"
)

// tls looks whether the certificate of an address is valid for its host, and for how long.
func (l *look) tls(ctx context.Context, c *monitor.TLSConfig) finding {
	conn, err := l.guard.DialTLS(ctx, "tcp", place(c.Host, c.Port), &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: l.options.Roots, Time: l.now, ServerName: c.ServerName,
	})
	if err != nil {
		return l.failed(err, monitor.CodeTLS, "no encrypted connection could be agreed on")
	}
	defer conn.Close()
	state := conn.ConnectionState()
	return l.valid(&state, cmp.Or(c.DegradedDays, daysUsual))
}
