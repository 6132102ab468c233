package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/postgres"
)

// expirySoon is how long before its end a certificate is worth a word.
const expirySoon = 30 * 24 * time.Hour

// encryption looks at how the connection is protected. What lies behind a pooler cannot be seen from here.
func encryption(ctx context.Context, e *exam) []Finding {
	host := e.pool.Config().ConnConfig.Host
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return unknown(err, "")
	}
	defer conn.Release()
	secured, encrypted := conn.Conn().PgConn().Conn().(*tls.Conn)
	switch {
	case postgres.Local(host):
		return ok("the connection does not leave this machine")
	case !encrypted:
		return []Finding{{Level: Wrong, What: "the connection to " + host + " is not encrypted", Fix: "add sslmode=verify-full to DATABASE_URL, and do without DATABASE_INSECURE"}}
	case len(secured.ConnectionState().VerifiedChains) == 0:
		return []Finding{{Level: Wrong, What: "nobody verifies that the server is " + host, Fix: "use sslmode=verify-full, with the certificate of who signs the server's in DATABASE_CA, and do without DATABASE_INSECURE"}}
	}
	return expiry(secured.ConnectionState().VerifiedChains[0][0].NotAfter, e.Now())
}

func expiry(end, now time.Time) []Finding {
	date := end.UTC().Format(time.DateOnly)
	if left := end.Sub(now); left < expirySoon {
		return []Finding{{Level: Warning, What: "the server's certificate ends on " + date, Fix: "renew it; the functions cannot connect afterwards"}}
	}
	return ok("encrypted and verified; the server's certificate ends on " + date)
}

// oldest is the first version that the schema works on, as the server counts.
const oldest = 150000

func version(ctx context.Context, e *exam) []Finding {
	var number int
	var text string
	err := e.pool.QueryRow(ctx, "select current_setting('server_version_num')::int, current_setting('server_version')").Scan(&number, &text)
	if err != nil {
		return unknown(err, "")
	}
	if number < oldest {
		return []Finding{{Level: Wrong, What: "PostgreSQL " + text + " is older than version 15", Fix: "upgrade the server"}}
	}
	return ok("PostgreSQL " + text)
}

// extensions looks for those that are older than what the server brings along. The system needs none.
func extensions(ctx context.Context, e *exam) []Finding {
	return e.each(ctx, Warning, "alter extension … update", "every extension is as new as the server's", `
		select format('the extension %s has version %s, the server brings %s', name, installed_version, default_version)
		from pg_catalog.pg_available_extensions where installed_version <> default_version order by name`)
}

// How far the clocks may be apart. Partitions, sessions and rules go by both.
const (
	clockSome = 2 * time.Second
	clockMost = 30 * time.Second
)

// clock compares the server's clock with this machine's, as exactly as a round trip allows.
func clock(ctx context.Context, e *exam) []Finding {
	before := e.Now()
	var there time.Time
	if err := e.pool.QueryRow(ctx, "select clock_timestamp()").Scan(&there); err != nil {
		return unknown(err, "")
	}
	after := e.Now()
	apart := there.Sub(before.Add(after.Sub(before)/2)).Abs() - after.Sub(before)/2
	f := Finding{Level: OK, What: "the clocks of the server and of this machine agree"}
	if apart > clockSome {
		f = Finding{
			Level: Warning, What: fmt.Sprintf("the clocks of the server and of this machine are %s apart", apart.Round(time.Second)),
			Fix: "have this machine follow a time server (NTP); if its clock is right, tell the host of the database",
		}
	}
	if apart > clockMost {
		f.Level = Wrong
	}
	return []Finding{f}
}
