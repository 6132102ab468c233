package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// verdict is what every predicate says of one error.
type verdict struct{ Transient, Data, Missing, Duplicate bool }

func judge(err error) verdict {
	return verdict{postgres.Transient(err), postgres.Data(err), postgres.MissingPartition(err), postgres.Duplicate(err)}
}

var (
	neither   = verdict{}
	transient = verdict{Transient: true}
	data      = verdict{Data: true}
)

func TestErrors_ByCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want verdict
	}{
		{"nil", nil, neither},
		{"anything", errors.New("x"), neither},
		{"no rows", pgx.ErrNoRows, neither},
		{"connection failure", &pgconn.PgError{Code: "08006"}, transient},
		{"protocol violation", &pgconn.PgError{Code: "08P01"}, transient},
		{"serialization failure", &pgconn.PgError{Code: "40001"}, transient},
		{"deadlock", &pgconn.PgError{Code: "40P01"}, transient},
		{"too many connections", &pgconn.PgError{Code: "53300"}, transient},
		{"disk full", &pgconn.PgError{Code: "53100"}, transient},
		{"lock timeout", &pgconn.PgError{Code: "55P03"}, transient},
		{"object in use", &pgconn.PgError{Code: "55006"}, neither},
		{"statement timeout", &pgconn.PgError{Code: "57014"}, transient},
		{"terminated", &pgconn.PgError{Code: "57P01"}, transient},
		{"starting up", &pgconn.PgError{Code: "57P03"}, transient},
		{"database dropped", &pgconn.PgError{Code: "57P04"}, neither},
		{"read only", &pgconn.PgError{Code: "25006"}, transient},
		{"aborted transaction", &pgconn.PgError{Code: "25P02"}, neither},
		{"pooler full", &pgconn.PgError{Code: "XX000", Severity: "FATAL"}, transient},
		{"server bug", &pgconn.PgError{Code: "XX000", Severity: "ERROR"}, neither},
		{"wrong password", &pgconn.PgError{Code: "28P01", Severity: "FATAL"}, neither},
		{"invalid text", &pgconn.PgError{Code: "22P02"}, data},
		{"not null", &pgconn.PgError{Code: "23502"}, data},
		{"check", &pgconn.PgError{Code: "23514", ConstraintName: "events_level_check"}, data},
		{"row too big", &pgconn.PgError{Code: "54000"}, data},
		{"no partition", &pgconn.PgError{Code: "23514"}, verdict{Missing: true}},
		{"unique", &pgconn.PgError{Code: "23505"}, verdict{Duplicate: true}},
		{"odd code", &pgconn.PgError{Code: "2"}, neither},
		{"undefined table", &pgconn.PgError{Code: "42P01"}, neither},
		{"deadline", context.DeadlineExceeded, transient},
		{"cancelled", context.Canceled, transient},
		{"end of file", io.ErrUnexpectedEOF, transient},
		{"refused", &net.OpError{Op: "dial", Err: errors.New("refused")}, transient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.err
			if err != nil {
				err = fmt.Errorf("wrapped: %w", err)
			}
			if got := judge(err); got != tt.want {
				t.Errorf("verdict on %v = %+v, want %+v", err, got, tt.want)
			}
		})
	}
}

func TestErrors_OfAServer(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	if _, err := postgres.EnsurePartitions(t.Context(), db.Pool(t, pgtest.Store), day(1), day(1)); err != nil {
		t.Fatal(err)
	}
	const insert = `insert into mesher.events (project_id, received_at, id, event_id, fingerprint, occurred_at, level, message, tags, extra)
		values (gen_random_uuid(), '%s', gen_random_uuid(), '00000000-0000-0000-0000-000000000001', gen_random_uuid(), now(), '%s', %s, '%s', '{}')`
	tests := []struct {
		name, sql string
		code      string
		want      verdict
	}{
		{"no partition", fmt.Sprintf(insert, "2026-05-01", "error", "'m'", "{}"), "23514", verdict{Missing: true}},
		{"unknown level", fmt.Sprintf(insert, "2026-03-01", "loud", "'m'", "{}"), "23514", data},
		{"null message", fmt.Sprintf(insert, "2026-03-01", "error", "null", "{}"), "23502", data},
		{"malformed JSON", fmt.Sprintf(insert, "2026-03-01", "error", "'m'", "{"), "22P02", data},
		{"null character", fmt.Sprintf(insert, "2026-03-01", "error", "'m'", `{"a":"\u0000"}`), "22P05", data},
		{"same number", "insert into mesher.migrations values (1, 'a', 'b', now(), 1)", "23505", verdict{Duplicate: true}},
		{"statement timeout", "set statement_timeout = '1ms'; select pg_sleep(1)", "57014", transient},
		{"terminates itself", "select pg_terminate_backend(pg_backend_pid())", "57P01", transient},
		{"unknown table", "select * from mesher.nothing", "42P01", neither},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := db.Conn(t, pgtest.Admin).PgConn().Exec(t.Context(), tt.sql).ReadAll()
			if got := postgres.SQLState(err); got != tt.code {
				t.Errorf("code = %q (%v), want %q", got, err, tt.code)
			}
			if got := judge(err); got != tt.want {
				t.Errorf("verdict on %v = %+v, want %+v", err, got, tt.want)
			}
		})
	}
}

func TestErrors_OfConnections(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	t.Run("terminated from outside", func(t *testing.T) {
		t.Parallel()
		conn := db.Conn(t, pgtest.Admin)
		db.Exec(t, fmt.Sprintf("select pg_terminate_backend(%d, 5000)", conn.PgConn().PID()))
		_, err := conn.Exec(t.Context(), "select 1")
		if !postgres.Transient(err) {
			t.Errorf("not transient: %v", err)
		}
		if _, err = conn.Exec(t.Context(), "select 1"); !postgres.Transient(err) {
			t.Errorf("on the dead connection: not transient: %v", err)
		}
	})
	t.Run("lock timeout", func(t *testing.T) {
		t.Parallel()
		holder, waiter := db.Conn(t, pgtest.Store), db.Conn(t, pgtest.Store)
		for _, sql := range []string{"begin", "lock table mesher.usage"} {
			if _, err := holder.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		_, err := waiter.PgConn().Exec(t.Context(), "set lock_timeout = '20ms'; select * from mesher.usage").ReadAll()
		if postgres.SQLState(err) != "55P03" || !postgres.Transient(err) {
			t.Errorf("error = %v, want a transient 55P03", err)
		}
	})
	t.Run("own deadline", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := db.Conn(t, pgtest.Admin).Exec(ctx, "select pg_sleep(10)"); !postgres.Transient(err) {
			t.Errorf("not transient: %v", err)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		_, err := pgx.Connect(t.Context(), "postgres://u:p@127.0.0.1:1/db?sslmode=disable")
		if !postgres.Transient(err) {
			t.Errorf("not transient: %v", err)
		}
	})
	t.Run("wrong database", func(t *testing.T) {
		t.Parallel()
		c := db.Session(t, pgtest.Store).Config() // a pooler says of its own what it could not connect to
		c.Database = "no_such"
		_, err := pgx.ConnectConfig(t.Context(), c)
		if postgres.SQLState(err) != "3D000" || postgres.Transient(err) {
			t.Errorf("error = %v, want a lasting 3D000", err)
		}
	})
}

func day(n int) time.Time { return time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC) }
