package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// migrationLock is the advisory lock that runners take, one at a time: "mesher" as a number.
const migrationLock = 0x6d6573686572

// MigrateOptions changes what Migrate does.
type MigrateOptions struct {
	DryRun bool              // only list what would be applied
	Notice func(name string) // called before each file that is applied; may be nil
}

// Migration is one file and what the database knows of it.
type Migration struct {
	Number    int
	Name      string
	Checksum  string        // SHA-256 of the file, hexadecimal
	AppliedAt time.Time     // zero: pending
	Took      time.Duration // of an applied one, to the millisecond
}

// Pending reports whether the migration is not applied yet.
func (m Migration) Pending() bool { return m.AppliedAt.IsZero() }

// Report is the outcome of Migrate.
type Report struct {
	Applied []Migration // by this call, in order
	Pending []Migration // what is left: everything on a dry run, nothing after a success
}

// Migrate applies the files of fsys that the database has not seen, in the order of their numbers, each in a
// transaction of its own, and records them in mesher.migrations. Any number of runners may run at once: each
// file is applied by one of them, and all succeed. It works through a transaction-mode pooler. The user of conn
// needs CREATEROLE, and CREATE on the database.
//
// It is forward only. A file that was edited after it was applied, one that was applied and is gone, and one
// that comes before a file already applied are refused with an error that names the file, before anything is
// done. When a statement fails, its whole file is rolled back, those before it stay applied, and the error names
// file, statement, line and the server's message. The report is valid beside an error.
func Migrate(ctx context.Context, conn *pgx.Conn, fsys fs.FS, o MigrateOptions) (Report, error) {
	var report Report
	files, err := readFiles(fsys)
	if err != nil {
		return report, err
	}
	for {
		state, err := status(ctx, conn, files)
		if err != nil {
			return report, err
		}
		report.Pending = pending(state)
		if o.DryRun || len(report.Pending) == 0 {
			return report, nil
		}
		next := files[len(files)-len(report.Pending)]
		m, err := apply(ctx, conn, files, next, o.Notice)
		if err != nil {
			return report, fmt.Errorf("migration %s, %w", next.name, err)
		}
		if !m.Pending() {
			report.Applied = append(report.Applied, m)
		}
	}
}

// pending returns the migrations that are not applied yet.
func pending(state []Migration) []Migration {
	var out []Migration
	for _, m := range state {
		if m.Pending() {
			out = append(out, m)
		}
	}
	return out
}

// Status lists every migration of fsys, applied or pending, in order. It changes nothing and returns the errors
// of Migrate for a history that does not fit the files.
func Status(ctx context.Context, conn *pgx.Conn, fsys fs.FS) ([]Migration, error) {
	files, err := readFiles(fsys)
	if err != nil {
		return nil, err
	}
	return status(ctx, conn, files)
}

func status(ctx context.Context, q pgxQuerier, files []file) ([]Migration, error) {
	applied, err := history(ctx, q)
	if err != nil {
		return nil, err
	}
	return compare(files, applied)
}

// apply runs one file in a transaction. It returns a pending migration when another runner was faster.
func apply(ctx context.Context, conn *pgx.Conn, files []file, f file, notice func(string)) (Migration, error) {
	m := Migration{Number: f.number, Name: f.name, Checksum: f.checksum}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return m, fmt.Errorf("begin: %w", err)
	}
	// After a commit this does nothing. The connection is closed by pgx should the rollback fail.
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()

	// Only ctx bounds the wait for another runner, and a migration as a whole.
	for _, sql := range []string{
		"set local statement_timeout = 0",
		"set local lock_timeout = 0",
		fmt.Sprintf("select pg_advisory_xact_lock(%d)", migrationLock),
		// A table lock that does not come soon would hold up everybody who queues behind it.
		"set local lock_timeout = '5s'",
	} {
		if err := exec(ctx, conn, sql); err != nil {
			return m, fmt.Errorf("take the lock: %w", err)
		}
	}
	state, err := status(ctx, tx, files)
	if err != nil {
		return m, fmt.Errorf("after taking the lock: %w", err)
	}
	for _, now := range state {
		if now.Number == f.number && !now.Pending() {
			return m, nil
		}
	}

	if notice != nil {
		notice(f.name)
	}
	begin := time.Now()
	for i, s := range f.statements {
		if err := exec(ctx, conn, s.text); err != nil {
			return m, fmt.Errorf("statement %d (line %d, %q): %w", i+1, s.line+offset(err, s.text), s.words(), err)
		}
	}
	took := time.Since(begin)
	if err := record(ctx, tx, &m, took); err != nil {
		return m, err
	}
	if err := tx.Commit(ctx); err != nil {
		m.AppliedAt = time.Time{}
		return m, fmt.Errorf("commit: %w", err)
	}
	return m, nil
}

// exec sends one statement by the simple protocol, which takes every statement there is.
func exec(ctx context.Context, conn *pgx.Conn, sql string) error {
	_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// offset returns how many lines below the beginning of a statement the server found the error.
func offset(err error, sql string) int {
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Position <= 1 {
		return 0
	}
	lines, left := 0, int(e.Position) // in characters, counted from 1
	for _, r := range sql {
		if left--; left <= 0 {
			break
		}
		if r == '\n' {
			lines++
		}
	}
	return lines
}
