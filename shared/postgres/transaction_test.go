package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestInTx(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t, pgtest.Admin)
	db.Exec(t, "create table notes (note text)")
	note := func(ctx context.Context, tx postgres.Tx, s string) error {
		_, err := tx.Exec(ctx, "insert into notes values ($1)", s)
		return err
	}
	stored := func(s string) (n int) {
		if err := pool.QueryRow(t.Context(), "select count(*) from notes where note = $1", s).Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	boom := errors.New("boom")
	t.Run("keeps what was done when f returns nil", func(t *testing.T) {
		err := postgres.InTx(t.Context(), pool, func(tx postgres.Tx) error { return note(t.Context(), tx, "kept") })
		if err != nil || stored("kept") != 1 {
			t.Errorf("err = %v, stored %d", err, stored("kept"))
		}
	})
	t.Run("undoes it and passes the error on", func(t *testing.T) {
		err := postgres.InTx(t.Context(), pool, func(tx postgres.Tx) error {
			return errors.Join(note(t.Context(), tx, "error"), boom)
		})
		if !errors.Is(err, boom) || stored("error") != 0 {
			t.Errorf("err = %v, stored %d", err, stored("error"))
		}
	})
	t.Run("undoes it when f panics", func(t *testing.T) {
		defer func() {
			if recover() == nil || stored("panic") != 0 || pool.Stat().AcquiredConns() != 0 {
				t.Errorf("stored %d, connections in use: %d", stored("panic"), pool.Stat().AcquiredConns())
			}
		}()
		_ = postgres.InTx(t.Context(), pool, func(tx postgres.Tx) error {
			if err := note(t.Context(), tx, "panic"); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	})
	t.Run("does not take a failed statement that f overlooks for success", func(t *testing.T) {
		err := postgres.InTx(t.Context(), pool, func(tx postgres.Tx) error {
			_ = note(t.Context(), tx, "overlooked")
			_, _ = tx.Exec(t.Context(), "select 1/0")
			return nil
		})
		if err == nil || stored("overlooked") != 0 {
			t.Errorf("err = %v, stored %d", err, stored("overlooked"))
		}
	})
	t.Run("within another, undoes only its own part", func(t *testing.T) {
		err := postgres.InTx(t.Context(), pool, func(tx postgres.Tx) error {
			inner := postgres.InTx(t.Context(), tx, func(tx postgres.Tx) error {
				return errors.Join(note(t.Context(), tx, "inner"), boom)
			})
			if !errors.Is(inner, boom) {
				t.Errorf("inner = %v", inner)
			}
			return note(t.Context(), tx, "outer")
		})
		if err != nil || stored("inner") != 0 || stored("outer") != 1 {
			t.Errorf("err = %v, stored %d and %d", err, stored("inner"), stored("outer"))
		}
	})
}
