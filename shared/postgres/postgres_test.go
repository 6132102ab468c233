package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

// read returns the settings for a connection string and further settings.
func read(t *testing.T, url string, more map[string]string) postgres.Config {
	t.Helper()
	values := map[string]string{"DATABASE_URL": url}
	for k, v := range more {
		values[k] = v
	}
	var c postgres.Config
	if err := env.Read(env.Map(values), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOpen_RefusesUnverifiedConnections(t *testing.T) {
	t.Parallel()
	insecure := map[string]string{"DATABASE_INSECURE": "true"}
	tests := []struct {
		name, url string
		more      map[string]string
		ok        bool
	}{
		{"this machine by name", "postgres://u:secret@localhost/db", nil, true},
		{"this machine by address", "postgres://u:secret@127.0.0.2:5432/db?sslmode=disable", nil, true},
		{"this machine by IPv6", "postgres://u:secret@[::1]/db", nil, true},
		{"a socket", "postgres://u:secret@/db?host=/run/postgresql", nil, true},
		{"verified", "postgres://u:secret@db.example.com/db?sslmode=verify-full", nil, true},
		{"verified words", "host=db.example.com user=u password=secret sslmode=verify-full", nil, true},
		{"default mode", "postgres://u:secret@db.example.com/db", nil, false},
		{"not encrypted", "postgres://u:secret@db.example.com/db?sslmode=disable", nil, false},
		{"not verified", "postgres://u:secret@db.example.com/db?sslmode=require", nil, false},
		{"certificate verified, name not", "postgres://u:secret@db.example.com/db?sslmode=verify-ca", nil, false},
		{"encrypted if the server likes", "postgres://u:secret@db.example.com/db?sslmode=prefer", nil, false},
		{"plain if the server likes", "postgres://u:secret@db.example.com/db?sslmode=allow", nil, false},
		{"verified hosts", "postgres://u:secret@db.example.com,db2.example.com:6543/db?sslmode=verify-full", nil, true},
		{"hosts of which none is verified", "postgres://u:secret@db.example.com,db2.example.com/db?sslmode=require", nil, false},
		{"a socket, else another machine", "host=/run/postgresql,db.example.com user=u password=secret sslmode=disable", nil, false},
		{"a socket, else another machine, verified", "host=/run/postgresql,db.example.com user=u password=secret sslmode=verify-full", nil, true},
		{"an abstract socket", "host=@postgresql user=u password=secret", nil, true},
		{"named like this machine", "postgres://u:secret@localhost.example.com/db", nil, false},
		{"any address of this machine", "postgres://u:secret@0.0.0.0/db?sslmode=disable", nil, false},
		{"Supabase", "postgres://u.ref:secret@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?sslmode=verify-full", nil, true},
		{"Supabase, not verified", "postgres://u.ref:secret@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?sslmode=require", nil, false},
		{"second host elsewhere", "postgres://u:secret@localhost,db.example.com/db?sslmode=disable", nil, false},
		{"private network", "postgres://u:secret@10.0.0.3/db?sslmode=disable", nil, false},
		{"allowed by the operator", "postgres://u:secret@10.0.0.3/db?sslmode=disable", insecure, true},
		{"not a connection string", "postgres://u:secret@host:port:x/db", insecure, false},
		{"password not encoded", "postgres://u:sec/ret%@db.example.com/db", insecure, false},
		{"no connections", "postgres://u:secret@localhost/db", map[string]string{"DATABASE_POOL_SIZE": "0"}, false},
		{"no certificate", "postgres://u:secret@h/db?sslmode=verify-full", map[string]string{"DATABASE_CA": "secret"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pool, err := postgres.Open(t.Context(), read(t, tt.url, tt.more))
			if tt.ok {
				if err != nil {
					t.Fatal(err)
				}
				if n := pool.Stat().TotalConns(); n != 0 {
					t.Errorf("connections right after Open = %d, want 0", n)
				}
				pool.Close()
				return
			}
			if !fault.Is(err, fault.NotConfigured) {
				t.Fatalf("error = %v, want one of kind NotConfigured", err)
			}
			for _, secret := range []string{"secret", "sec/ret", "ret%"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows the password: %v", err)
				}
			}
		})
	}
}

func TestOpen_GivesAPoolThatNamesNoStatement(t *testing.T) {
	t.Parallel()
	c := read(t, pgtest.New(t).URL(pgtest.Admin), map[string]string{"DATABASE_INSECURE": "true"})
	c.Application = "mesher-test"
	pool, err := postgres.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var name string
	var statements int
	for range 3 {
		err := pool.QueryRow(t.Context(), `select current_setting('application_name'), count(*)
			from pg_prepared_statements where $1::int = 1 group by 1 union all select current_setting('application_name'), 0 limit 1`, 1).
			Scan(&name, &statements)
		if err != nil {
			t.Fatal(err)
		}
	}
	if name != "mesher-test" || statements != 0 {
		t.Errorf("application %q with %d prepared statements, want mesher-test with 0", name, statements)
	}
	if got := pool.Config().MaxConns; got != 2 {
		t.Errorf("MaxConns = %d, want the default of 2", got)
	}
}

func TestEnsurePartitions_CoversEveryDay(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t, pgtest.Store)
	tokyo := time.FixedZone("JST", 9*60*60)
	// Early on the 3rd in Tokyo is still the 2nd in UTC.
	for _, want := range []int{3, 0} {
		got, err := postgres.EnsurePartitions(t.Context(), pool, time.Date(2026, 3, 3, 1, 0, 0, 0, tokyo), day(4))
		if err != nil || got != want {
			t.Errorf("created = %d, %v; want %d", got, err, want)
		}
	}
	if _, err := postgres.EnsurePartitions(t.Context(), db.Pool(t, pgtest.App), day(9), day(9)); postgres.SQLState(err) != "42501" {
		t.Errorf("as mesher_app: %v, want permission denied", err)
	}
}
