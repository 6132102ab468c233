package check

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mesherhq/mesher/shared/monitor"
)

// postgres logs in to a database, runs a query in a read-only transaction and compares its first value.
func (l *look) postgres(ctx context.Context, c *monitor.PostgresConfig) finding {
	t, err := parseTarget(l.secrets.URL)
	if err != nil {
		return down(monitor.CodeConfiguration, "%s", detail(err))
	}
	var state *tls.ConnectionState
	wire := &wire{guard: l.guard, secure: t.mode != "disable"}
	config, err := t.config(wire, l.options.Roots, l.now, &state)
	if err != nil {
		return down(monitor.CodeConfiguration, "the connection string cannot be used")
	}
	// What pgx does after an error, it does in the background: nothing of it is waited for longer than the look.
	defer wire.close()
	conn, err := pgconn.ConnectConfig(ctx, config)
	l.details.TLSMS = milliseconds(wire.handshake())
	if err != nil {
		return l.lost(err, wire, monitor.CodeLogin)
	}
	defer func() {
		_ = conn.Close(ctx) // the result is known
		wire.close()
		<-conn.CleanupDone()
	}()
	f := l.query(ctx, conn, wire, c)
	if state == nil {
		return f
	}
	if v := l.valid(state, 0); f.status == monitor.Healthy && t.verified() {
		return v
	}
	return f
}

// query runs the query. What it changes is refused by the transaction, how long it takes is bounded at the server too.
func (l *look) query(ctx context.Context, conn *pgconn.PgConn, w *wire, c *monitor.PostgresConfig) finding {
	left := max(time.Until(deadline(ctx)).Milliseconds(), 1)
	// The select begins the snapshot, after which a transaction stays read-only.
	begin := fmt.Sprintf("begin isolation level read committed read only; set local statement_timeout = %d; select 1", left)
	if _, err := conn.Exec(ctx, begin).ReadAll(); err != nil {
		return l.lost(err, w, monitor.CodeQuery)
	}
	rows := conn.ExecParams(ctx, cmp.Or(c.Query, "select 1"), nil, nil, nil, nil)
	value, n := first(rows)
	if _, err := rows.Close(); err != nil {
		return l.lost(err, w, monitor.CodeQuery)
	}
	f := l.paced(c.DegradedAfterMS, 0)
	if _, err := conn.Exec(ctx, "rollback").ReadAll(); err != nil {
		return l.lost(err, w, monitor.CodeQuery)
	}
	if c.Expect != "" && (n == 0 || value != c.Expect) {
		return down(monitor.CodeResult, "the first value of the %d rows is not the expected one", n)
	}
	return f
}

// first reads all rows and returns the first value of the first one as text, and how many there are.
func first(rows *pgconn.ResultReader) (value string, n int) {
	for rows.NextRow() {
		if values := rows.Values(); n == 0 && len(values) > 0 {
			value = string(values[0])
		}
		n++
	}
	return value, n
}

func deadline(ctx context.Context) time.Time {
	ends, _ := ctx.Deadline() // Run sets one
	return ends
}

// lost says what an error of the database means; otherwise is the code of what the server itself refuses. Its texts are not
// shown, they may hold data and the password's user: its SQLSTATE says enough.
func (l *look) lost(err error, w *wire, otherwise string) finding {
	var refused *pgconn.PgError
	var long *pgproto3.ExceededMaxBodyLenErr
	switch {
	case errors.Is(w.failure(), errTooMuch), errors.As(err, &long):
		return down(monitor.CodeTooLarge, "the database sent more than %d bytes, or a value of more than %d", postgresMost, messageMost)
	case errors.Is(w.failure(), errRounds):
		return down(monitor.CodeProtocol, "the database asks for more than %d rounds of hashing to log in", scramMost)
	case errors.As(err, &refused) && refused.Code == "57014":
		return l.late()
	case errors.As(err, &refused) && otherwise == monitor.CodeLogin:
		return down(monitor.CodeLogin, "the database refused the login (SQLSTATE %.5q)", refused.Code)
	case refused != nil:
		return down(monitor.CodeQuery, "the database refused the query (SQLSTATE %.5q)", refused.Code)
	case w.plainOnly():
		return down(monitor.CodeTLS, "the database takes no encrypted connections; sslmode=disable would do without")
	}
	f := l.failed(err, monitor.CodeProtocol, "what the server answered is not Postgres, or it wants a way to log in that is not taken: without a verified connection no password is sent as it is")
	if errors.Is(w.failure(), errHandshake) && (f.code == monitor.CodeProtocol || f.code == monitor.CodeDisconnected) {
		return down(monitor.CodeTLS, "no encrypted connection could be agreed on: %s", whyTLS(err))
	}
	return f
}
