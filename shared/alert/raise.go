// Package alert is what people want to be told of, and that it happened: rules, alerts and the channels that carry them.
package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

// DB is what a query needs: a pool, a connection or a transaction.
type DB = postgres.DB

// MonitorChanged raises and resolves the alerts of all rules about a monitor. Call it in the transaction that changes the
// monitor's status; at is when that happened, and facts, which become the alert's snapshot, must hold no secret. It returns
// the notifications to hand to outbox.Publish once that is committed.
func MonitorChanged(ctx context.Context, tx DB, monitor uuid.UUID, status string, facts map[string]any, at time.Time) ([]uuid.UUID, error) {
	text, err := json.Marshal(facts)
	if err != nil {
		return nil, fmt.Errorf("encode the facts of an alert: %w", err)
	}
	rows, err := tx.Query(ctx, `select * from mesher.monitor_changed($1::uuid, $2::text, $3::text::jsonb, $4::timestamptz)`,
		monitor, status, string(text), at)
	if err != nil {
		return nil, fmt.Errorf("alert that a monitor is %s: %w", status, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("alert that a monitor is %s: %w", status, err)
	}
	return ids, nil
}
