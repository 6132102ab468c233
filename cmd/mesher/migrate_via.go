package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/postgres"
)

// keyVariable is where the key of a project is looked for: on the command line, others of the machine would see it.
const keyVariable = "SUPABASE_SECRET_KEY"

// viaMost is how long one migration may take over HTTPS. The Data API gives up sooner.
const viaMost = 3 * time.Minute

// remotely works on a project that only HTTPS leads to.
func (m *migrate) remotely(ctx context.Context) error {
	r := postgres.Remote{URL: m.via, HTTP: &http.Client{
		Timeout: viaMost,
		// The key is for this address only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	r.Key, _ = m.lookup(keyVariable)
	if err := r.Check(); err != nil {
		return fmt.Errorf("migrate over HTTPS (-via and %s): %w", keyVariable, err)
	}
	switch {
	case m.removeExecSQL:
		if err := postgres.RemoveVia(ctx, r); err != nil {
			return fmt.Errorf("remove exec_sql: %w", err)
		}
		fmt.Fprintln(m.out, "exec_sql is removed")
		return nil
	case m.status:
		all, err := postgres.StatusVia(ctx, r, migrations.FS)
		return m.list(all, err)
	}
	return m.report(postgres.MigrateVia(ctx, r, migrations.FS, postgres.MigrateOptions{DryRun: m.dryRun}))
}
