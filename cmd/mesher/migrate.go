package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/postgres"
)

func runMigrate(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	dryRun := flags.Bool("dry-run", false, "list what would be applied, apply nothing")
	status := flags.Bool("status", false, "list what is applied and what is not")
	if err := parse(flags, args); err != nil {
		return err
	}
	pool, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Release()
	if *status {
		return printStatus(ctx, conn.Conn(), out)
	}
	report, err := postgres.Migrate(ctx, conn.Conn(), migrations.FS, postgres.MigrateOptions{DryRun: *dryRun})
	for _, m := range report.Applied {
		fmt.Fprintf(out, "applied %s\n", m.Name)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, m := range report.Pending {
		fmt.Fprintf(out, "would apply %s\n", m.Name)
	}
	if len(report.Applied)+len(report.Pending) == 0 {
		fmt.Fprintln(out, "the database is up to date")
	}
	return nil
}

func printStatus(ctx context.Context, conn *pgx.Conn, out io.Writer) error {
	all, err := postgres.Status(ctx, conn, migrations.FS)
	if err != nil {
		return fmt.Errorf("read the state of the migrations: %w", err)
	}
	for _, m := range all {
		state := "pending"
		if !m.Pending() {
			state = "applied " + m.AppliedAt.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(out, "%-40s %s\n", m.Name, state)
	}
	return nil
}

// openDatabase connects to DATABASE_URL if that is set, else to the database of the platform on this machine.
func openDatabase(ctx context.Context) (*pgxpool.Pool, error) {
	var cfg postgres.Config
	if err := env.Read(lookupDatabase, &cfg); err != nil {
		return nil, fmt.Errorf("find the database (is the platform running? make run): %w", err)
	}
	pool, err := postgres.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return pool, nil
}

// lookupDatabase finds settings in the environment, and the database of the platform on this machine unless DATABASE_URL is
// set.
func lookupDatabase(name string) (string, bool) {
	if v, ok := env.OS(name); ok && v != "" || name != "DATABASE_URL" {
		return v, ok
	}
	info, err := local.ReadInfo(home())
	return info.DatabaseURL, err == nil
}
