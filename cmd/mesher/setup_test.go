package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher"
	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local/pubsub"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestSetup_FromNothingToLater(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	out := mustSetUp(t, h.url, "-organization", "Acme, Inc.", "-project", "Web Shop")
	contains(t, out, "applied 0001_", "made 16 partitions", "mesher_store can log in now", "mesher_app can log in now",
		"organization acme-inc (Acme, Inc.) created", "project acme-inc/web-shop (Web Shop), number 1, created", "API key mshr_")
	first := variables(out)
	if len(first) != 5 {
		t.Fatalf("variables = %v", first)
	}
	secrets := []string{first["MESHER_API_KEY"], first["MESHER_API_KEY"][9:37]}
	for name, role := range map[string]string{"DATABASE_URL_INGEST": "mesher_ingest", "DATABASE_URL_STORE": "mesher_store", "DATABASE_URL_APP": "mesher_app"} {
		if user, err := login(t, first[name]); err != nil || user != role {
			t.Errorf("%s lets in %q, %v; want %s", name, user, err, role)
		}
		p := password(t, first[name])
		if !regexp.MustCompile(`^[A-Za-z0-9]{26,}$`).MatchString(p) {
			t.Errorf("the password of %s has %d characters, or others than letters and digits", role, len(p))
		}
		secrets = append(secrets, p)
		contains(t, first[name], "/hosted?sslmode=disable")
	}
	if want := "https://" + first["MESHER_API_KEY"] + "@INGEST_HOST/1"; first["MESHER_DSN"] != want {
		t.Errorf("DSN = %s, want %s", first["MESHER_DSN"], want)
	}
	if strings.Contains(out, "postgres-like") {
		t.Error("the operator's own password is printed")
	}

	out = mustSetUp(t, h.url, "-organization", "Acme, Inc.", "-project", "Web Shop")
	contains(t, out, "the schema is up to date", "made 0 partitions", "mesher_store can log in already; its password is left alone",
		"mesher_app can log in already", "organization acme-inc (Acme, Inc.) exists already", "number 1, exists already", "1 active of 1",
		"There is no new secret", "# DATABASE_URL_APP=postgres://mesher_app:PASSWORD@")
	if again := variables(out); len(again) != 0 {
		t.Errorf("the second run shows %v", again)
	}
	for name := range map[string]bool{"DATABASE_URL_INGEST": true, "DATABASE_URL_STORE": true, "DATABASE_URL_APP": true} {
		if _, err := login(t, first[name]); err != nil {
			t.Errorf("%s after the second run: %v", name, err)
		}
	}

	out = mustSetUp(t, h.url, "-rotate-passwords", "-organization", "Acme, Inc.", "-project", "Other")
	contains(t, out, "mesher_store has a new password", "mesher_app has a new password", "exists already", "number 2, created", "API key mshr_")
	rotated := variables(out)
	for _, name := range []string{"DATABASE_URL_INGEST", "DATABASE_URL_STORE", "DATABASE_URL_APP"} {
		if _, err := login(t, rotated[name]); err != nil {
			t.Errorf("the new %s: %v", name, err)
		}
		if _, err := login(t, first[name]); postgres.SQLState(err) != "28P01" {
			t.Errorf("the old %s: %v, want its password refused", name, err)
		}
		secrets = append(secrets, password(t, rotated[name]))
	}
	h.hides(t, append(secrets, rotated["MESHER_API_KEY"], rotated["MESHER_API_KEY"][9:37])...)
}

// An event goes its whole way on nothing but what the command printed.
func TestSetup_GivesTheFunctionsWhatTheyNeed(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	values := variables(mustSetUp(t, h.url))
	queue, err := pubsub.Open(t.Context(), pubsub.Options{Path: filepath.Join(t.TempDir(), "messages.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = queue.Close(context.Background()) })
	serve := func(name, database string) string {
		for _, f := range mesher.Functions() {
			if f.Name != name {
				continue
			}
			l := boot.New(name, f.Build, env.Map(map[string]string{
				"DATABASE_URL": values[database], "GOOGLE_CLOUD_PROJECT": "test", "PUBSUB_EMULATOR_HOST": queue.Addr(),
			}), slog.New(slog.DiscardHandler))
			s := httptest.NewServer(l)
			t.Cleanup(s.Close)
			return s.URL
		}
		t.Fatalf("there is no function %s", name)
		return ""
	}
	ingest, store := serve("Ingest", "DATABASE_URL_INGEST"), serve("Store", "DATABASE_URL_STORE")
	if err := pubsub.Declare(t.Context(), queue.Addr(), "test", pubsub.Topology{Topic: "events", Subscription: "store", Endpoint: store}); err != nil {
		t.Fatal(err)
	}
	a, err := send(ingest, values["MESHER_API_KEY"], []byte(`{"message":"hello","level":"error","timestamp":1}`))
	if err != nil || a.status != 202 {
		t.Fatalf("answer = %+v, %v; want 202", a, err)
	}
	app, err := pgx.Connect(t.Context(), values["DATABASE_URL_APP"])
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close(t.Context())
	wait(t, "the event is stored, counted and reported", func() bool {
		var events, counted, accepted int
		if err := app.QueryRow(t.Context(), `select (select count(*) from mesher.events), (select coalesce(sum(event_count), 0)::int from mesher.issues),
			(select coalesce(sum(accepted), 0)::int from mesher.usage)`).Scan(&events, &counted, &accepted); err != nil {
			t.Fatal(err)
		}
		return events == 1 && counted == 1
	})
	if out := mustSetUp(t, h.url, "-rotate-passwords"); strings.Contains(out, "mshr_") {
		t.Errorf("a key that is in use has a second beside it:\n%s", out)
	}
	h.hides(t, values["MESHER_API_KEY"], password(t, values["DATABASE_URL_APP"]), password(t, values["DATABASE_URL_STORE"]))
}

func TestSetup_Together(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	outs := make([]string, 5)
	var wg sync.WaitGroup
	for i := range outs {
		wg.Go(func() { outs[i] = mustSetUp(t, h.url) })
	}
	wg.Wait()
	var full map[string]string
	for _, out := range outs {
		switch v := variables(out); len(v) {
		case 0:
			contains(t, out, "left alone", "exists already")
		case 5:
			if full != nil {
				t.Error("two runs made the passwords")
			}
			full = v
		default:
			t.Errorf("a run shows a part of what the functions need:\n%s", out)
		}
	}
	for _, name := range []string{"DATABASE_URL_INGEST", "DATABASE_URL_STORE", "DATABASE_URL_APP"} {
		if _, err := login(t, full[name]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	contains(t, mustSetUp(t, h.url), "1 active of 1", "made 0 partitions")
}

func TestSetup_RefusesWithoutSecrets(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	server, err := url.Parse(h.super)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, database string
		args           []string
		want           string
	}{
		{"no database", "", nil, "DATABASE_URL"},
		{"a wrong password", h.as(t, "postgres_like", "hunter2-hunter2"), nil, "28P01"},
		{"a user who may do nothing", h.as(t, "powerless", "powerless"), nil, "grant create on database hosted to powerless"},
		{"words instead of a URL", "host=" + server.Hostname() + " port=" + server.Port() + " user=postgres_like password=hunter2-hunter2", nil, "of the form postgres://"},
		{"no host", "postgres://postgres_like:hunter2-hunter2@/hosted", nil, "of the form postgres://"},
		{"garbage", "postgres://postgres_like:hunter2-hunter2%@x:y/", nil, "of the form postgres://"},
		{"an unprotected connection", "postgres://postgres_like:hunter2-hunter2@example.com/hosted", nil, "not encrypted and verified"},
		{"nobody there", "postgres://postgres_like:hunter2-hunter2@127.0.0.1:1/hosted", nil, "connect"},
		{"no organization", h.url, []string{"-organization", " "}, "usage: the organization's name"},
		{"a broken name", h.url, []string{"-project", "a\nb"}, "usage: the project's name"},
		{"an argument", h.url, []string{"now"}, "takes no argument"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, err := setUp(t, tt.database, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %s", err, tt.want)
			}
			for _, secret := range []string{"hunter2", "postgres-like"} {
				if strings.Contains(fmt.Sprintf("%+v %s", err, out), secret) {
					t.Errorf("a secret is shown: %+v\n%s", err, out)
				}
			}
		})
	}
}

// From version 16 on, CREATEROLE alone is not enough to change a role that somebody else made.
func TestSetup_SaysWhatTheUserLacks(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	mustSetUp(t, h.url)
	h.exec(t, "alter role postgres_like nocreaterole")
	// Where the creator of a role keeps the admin option, that has to go too.
	h.exec(t, `do $$ begin if current_setting('server_version_num')::int >= 160000 then
		revoke admin option for mesher_store from postgres_like; end if; end $$`)
	out, err := setUp(t, h.url, "-rotate-passwords")
	if err == nil || !strings.Contains(err.Error(), "needs CREATEROLE") || strings.Contains(err.Error(), "SCRAM") {
		t.Errorf("error = %v, want what the user lacks\n%s", err, out)
	}
	contains(t, mustSetUp(t, h.url), "left alone")
}

// The key is found by nothing but its hash, and the connection strings stay with the roles that they are for.
func TestSetup_KeepsRolesApart(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	values := variables(mustSetUp(t, h.url))
	app, err := pgx.Connect(t.Context(), values["DATABASE_URL_APP"])
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close(t.Context())
	hash, err := tenant.HashKey(values["MESHER_API_KEY"])
	if err != nil {
		t.Fatal(err)
	}
	if access, err := tenant.FindAccess(t.Context(), app, hash); err != nil || access.ProjectNumber != 1 {
		t.Errorf("the key opens %+v, %v", access, err)
	}
	for _, sql := range []string{"delete from mesher.events", "set role mesher_owner", "alter role mesher_store password 'x'", "update mesher.api_keys set hash = hash", "delete from mesher.audit_log"} {
		if _, err := app.Exec(t.Context(), sql); postgres.SQLState(err) != "42501" {
			t.Errorf("%s as mesher_app: %v, want permission denied", sql, err)
		}
	}
}
