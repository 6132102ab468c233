package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/functions/retention"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

func TestRetention(t *testing.T) {
	t.Parallel()
	db := pgtest.NewCluster(t).New(t)
	pool := db.Pool(t, pgtest.Admin)
	if _, err := postgres.EnsurePartitions(t.Context(), pool, time.Now().AddDate(0, 0, -92), time.Now()); err != nil {
		t.Fatal(err)
	}
	db.Exec(t, "insert into mesher.job_runs (id, job, started_at) values (gen_random_uuid(), 'old', now() - interval '31 days')")
	tables := func() (n int) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), "select count(*) from pg_inherits where inhparent = 'mesher.events'::regclass").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	run := func(dryRun, asJSON bool) string {
		t.Helper()
		var out bytes.Buffer
		cfg := retention.Config{GraceDays: 7, DeadLetterDays: 90, Database: postgres.Config{
			URL: db.URL(pgtest.Store), PoolSize: 1, IdleTimeout: time.Minute, ConnectTimeout: 5 * time.Second, Insecure: true,
		}}
		if err := retain(t.Context(), cfg, dryRun, asJSON, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	contains(t, run(true, false), "days", "job_runs", "TO THE DISK", "a dry run: nothing was removed")
	type summary struct {
		Done   map[string]int64
		Report retention.Report
	}
	if s := decoded[summary](t, run(true, true)); s.Done["days"] != 2 || len(s.Report.Days) != 2 || s.Report.BytesReturned == 0 || tables() != 93 {
		t.Errorf("dry run = %+v and %d partitions, want two to be dropped, and all there", s, tables())
	}
	if s := decoded[summary](t, run(false, true)); s.Done["days"] != 2 || s.Done["job_runs"] != 1 || tables() != 91 {
		t.Errorf("run = %+v and %d partitions, want 91", s, tables())
	}
	if out := run(false, false); !strings.Contains(out, "nothing is older than it is to be kept") {
		t.Errorf("second run shows\n%s", out)
	}
	for args, want := range map[string]string{"-dry-run=maybe": "invalid", "now": "takes no argument"} {
		if err := runRetention(t.Context(), []string{args}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("mesher retention %s: %v, want it refused", args, err)
		}
	}
}
