package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// waiting is a notification that is not delivered, as operators see it.
type waiting struct {
	ID        uuid.UUID       `json:"id"`
	Template  outbox.Template `json:"template"`
	Recipient string          `json:"recipient"`
	Status    outbox.Status   `json:"status"`
	CreatedAt time.Time       `json:"created_at"`
	Attempts  int             `json:"attempts"`
	LastError string          `json:"last_error,omitempty"`
}

func runNotifications(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("notifications", flag.ContinueOnError)
	retry := flags.String("retry", "", "id of one that failed, or waits, to be delivered again")
	limit := flags.Int("limit", 50, "most rows")
	asJSON := flags.Bool("json", false, "print JSON, for scripts")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *limit < 1 {
		return fmt.Errorf("%w: -limit must be at least 1", errUsage)
	}
	var id uuid.UUID
	if *retry != "" {
		var err error
		if id, err = uuid.Parse(*retry); err != nil {
			return fmt.Errorf("%w: -retry takes an id, as the list shows it", errUsage)
		}
	}
	db, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, keysMost)
	defer cancel()
	if id != uuid.Nil {
		return explainDatabase(retryNotification(ctx, db, id, queueOf(env.OS), out))
	}
	return explainDatabase(showNotifications(ctx, db, *limit, *asJSON, out))
}

func showNotifications(ctx context.Context, db *postgres.Pool, limit int, asJSON bool, out io.Writer) error {
	rows, err := db.Query(ctx, `
		select id, template, recipient, status, created_at, attempts, coalesce(last_error, '')
		from mesher.notifications where status in ('pending', 'failed')
		order by status desc, created_at desc, id limit $1::bigint`, limit)
	if err != nil {
		return fmt.Errorf("list notifications: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[waiting])
	if err != nil {
		return fmt.Errorf("list notifications: %w", err)
	}
	if asJSON {
		return printJSON(out, append([]waiting{}, found...)) // an empty list, not null
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATUS\tAGE\tATTEMPTS\tTEMPLATE\tRECIPIENT\tID\tLAST ERROR")
	for _, n := range found {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", n.Status, age(time.Since(n.CreatedAt)), n.Attempts, printable(string(n.Template)),
			printable(n.Recipient), n.ID, orDash(printable(n.LastError)))
	}
	switch len(found) {
	case 0:
		fmt.Fprintln(w, "(nothing waits, and nothing failed)")
	case limit:
		fmt.Fprintln(w, "(there may be more; -limit says how many are shown)")
	}
	return w.Flush()
}

// age shows how long something is there, in its largest unit.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", max(0, d/time.Second))
}

// retryNotification lets a notification be delivered once more, as if it were new.
func retryNotification(ctx context.Context, db *postgres.Pool, id uuid.UUID, p publish, out io.Writer) error {
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		template, organization, err := outbox.Retry(ctx, tx, id)
		if err != nil {
			return err
		}
		return tenant.Record(ctx, tx, organization, operator("notifications"), "notification.retry",
			tenant.Target{Kind: "notification", ID: id, Name: string(template)}, nil)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, p.say(ctx, "The notification", id))
	return err
}
