package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/postgres"
)

// migrate is one run of `mesher migrate`.
type migrate struct {
	dryRun, status bool
	via            string // address of a project of Supabase's that only HTTPS leads to
	printExecSQL   bool
	removeExecSQL  bool
	supabase       string // folder of a project of Supabase's CLI
	lookup         env.Lookup
	out            io.Writer
}

func runMigrate(ctx context.Context, args []string, out io.Writer) error {
	return migrateWith(ctx, env.OS, args, out)
}

// migrateWith runs the command with settings from anywhere.
func migrateWith(ctx context.Context, lookup env.Lookup, args []string, out io.Writer) error {
	m := migrate{lookup: lookup, out: out}
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	flags.BoolVar(&m.dryRun, "dry-run", false, "list what would be applied, apply nothing")
	flags.BoolVar(&m.status, "status", false, "list what is applied and what is not")
	flags.StringVar(&m.via, "via", "", "migrate over HTTPS, by the function exec_sql of https://<ref>.supabase.co; the key is in "+keyVariable)
	flags.BoolVar(&m.printExecSQL, "print-exec-sql", false, "print the definition of exec_sql, for the SQL editor")
	flags.BoolVar(&m.removeExecSQL, "remove-exec-sql", false, "remove exec_sql, from the project of -via or from the database of DATABASE_URL")
	flags.StringVar(&m.supabase, "supabase-dir", "", "write what is missing in <folder>/migrations, for Supabase's CLI; apply nothing")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return err
	}
	switch {
	case m.printExecSQL:
		sql, err := postgres.ExecSQL(migrations.FS)
		if err != nil {
			return fmt.Errorf("define exec_sql: %w", err)
		}
		_, err = io.WriteString(out, sql)
		return err
	case m.supabase != "":
		return m.write(time.Now())
	case m.via != "":
		return m.remotely(ctx)
	}
	return m.directly(ctx)
}

// check refuses flags that say different things.
func (m *migrate) check() error {
	wants := 0
	for _, set := range []bool{m.dryRun, m.status, m.printExecSQL, m.removeExecSQL, m.supabase != ""} {
		if set {
			wants++
		}
	}
	if wants > 1 || m.via != "" && (m.printExecSQL || m.supabase != "") {
		return fmt.Errorf("%w: give one of -dry-run, -status, -print-exec-sql, -remove-exec-sql and -supabase-dir; -via goes with all but the two that print and write", errUsage)
	}
	return nil
}

// directly works on the database of DATABASE_URL, or on that of this machine's platform.
func (m *migrate) directly(ctx context.Context) error {
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
	switch {
	case m.removeExecSQL:
		if _, err := conn.Exec(ctx, postgres.RemoveExecSQL); err != nil {
			return fmt.Errorf("remove exec_sql: %w", err)
		}
		fmt.Fprintln(m.out, "exec_sql is removed")
		return nil
	case m.status:
		all, err := postgres.Status(ctx, conn.Conn(), migrations.FS)
		return m.list(all, err)
	}
	return m.report(postgres.Migrate(ctx, conn.Conn(), migrations.FS, postgres.MigrateOptions{DryRun: m.dryRun}))
}

// report says what was done, and returns the error of it.
func (m *migrate) report(r postgres.Report, err error) error {
	for _, done := range r.Applied {
		fmt.Fprintf(m.out, "applied %s\n", done.Name)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, left := range r.Pending {
		fmt.Fprintf(m.out, "would apply %s\n", left.Name)
	}
	if len(r.Applied)+len(r.Pending) == 0 {
		fmt.Fprintln(m.out, "the database is up to date")
	}
	return nil
}

// list prints what is applied and what is not.
func (m *migrate) list(all []postgres.Migration, err error) error {
	if err != nil {
		return fmt.Errorf("read the state of the migrations: %w", err)
	}
	for _, one := range all {
		state := "pending"
		if !one.Pending() {
			state = "applied " + one.AppliedAt.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(m.out, "%-40s %s\n", one.Name, state)
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
