package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// pgxQuerier is a connection or a transaction on it.
type pgxQuerier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// history returns what the database has recorded, by number. A database without the table has no history.
func history(ctx context.Context, q pgxQuerier) (map[int]Migration, error) {
	var exists bool
	err := q.QueryRow(ctx, `select exists (
		select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where n.nspname = 'mesher' and c.relname = 'migrations')`, pgx.QueryExecModeExec).Scan(&exists)
	if err != nil {
		return nil, fmt.Errorf("look for mesher.migrations: %w", err)
	}
	out := map[int]Migration{}
	if !exists {
		return out, nil
	}
	rows, err := q.Query(ctx, "select number, name, checksum, applied_at, took_ms from mesher.migrations", pgx.QueryExecModeExec)
	if err != nil {
		return nil, fmt.Errorf("read mesher.migrations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var m Migration
		var ms int64
		if err := rows.Scan(&m.Number, &m.Name, &m.Checksum, &m.AppliedAt, &ms); err != nil {
			return nil, fmt.Errorf("read mesher.migrations: %w", err)
		}
		m.Took = time.Duration(ms) * time.Millisecond
		out[m.Number] = m
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read mesher.migrations: %w", err)
	}
	return out, nil
}

// compare lays the files and the recorded history side by side. Where they fit, the applied files come first.
func compare(files []file, applied map[int]Migration) ([]Migration, error) {
	last := 0
	known := make(map[int]bool, len(files))
	for _, f := range files {
		known[f.number] = true
	}
	for number, m := range applied {
		if !known[number] {
			return nil, fmt.Errorf("migration %s was applied on %s and is missing: this program is older than the database, or the file was removed",
				m.Name, m.AppliedAt.UTC().Format(time.DateOnly))
		}
		last = max(last, number)
	}
	out := make([]Migration, 0, len(files))
	for _, f := range files {
		m, ok := applied[f.number]
		switch {
		case !ok && f.number < last:
			return nil, fmt.Errorf("migration %s is not applied although %s is: give it a number above all others", f.name, applied[last].Name)
		case !ok:
			m = Migration{Number: f.number, Name: f.name, Checksum: f.checksum}
		case m.Name != f.name:
			return nil, fmt.Errorf("migration %s was applied under the name %s", f.name, m.Name)
		case m.Checksum != f.checksum:
			return nil, fmt.Errorf("migration %s was edited after it was applied on %s (%s then, %s now): undo the edit and write a new file",
				f.name, m.AppliedAt.UTC().Format(time.DateOnly), m.Checksum[:min(12, len(m.Checksum))], f.checksum[:12])
		}
		out = append(out, m)
	}
	return out, nil
}

// record notes in the file's own transaction that it was applied, and when.
func record(ctx context.Context, tx pgx.Tx, m *Migration, took time.Duration) error {
	m.Took = took.Truncate(time.Millisecond)
	err := tx.QueryRow(ctx, `insert into mesher.migrations (number, name, checksum, took_ms)
		values ($1, $2, $3, $4) returning applied_at`,
		pgx.QueryExecModeExec, m.Number, m.Name, m.Checksum, took.Milliseconds()).Scan(&m.AppliedAt)
	if err != nil {
		return fmt.Errorf("record it in mesher.migrations: %w", err)
	}
	return nil
}
