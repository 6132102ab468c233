package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Tx is a transaction.
type Tx = pgx.Tx

// Beginner begins transactions: a pool, a connection, or a transaction, which begins one within itself.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// InTx calls f in a transaction, which is committed when f returns nil and rolled back otherwise.
func InTx(ctx context.Context, db Beginner, f func(Tx) error) error {
	return pgx.BeginFunc(ctx, db, f)
}
