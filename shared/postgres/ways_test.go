package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
)

// project is a database as Supabase hands one out, to a user who is no superuser, with the roles of the Data API.
type project struct {
	*pgtest.Database
	t *testing.T
}

func newProject(t *testing.T) project {
	t.Helper()
	return newHost(t)(t)
}

// newHost returns what makes projects on one server, which knows none of our roles until the first is migrated.
func newHost(t *testing.T) func(t *testing.T) project {
	t.Helper()
	c := pgtest.NewCluster(t)
	c.DropTemplate(t)
	c.Empty(t).Exec(t, "drop role mesher_app; drop role mesher_ingest; drop role mesher_store; drop role mesher_owner",
		`create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
		create role authenticator login noinherit password 'authenticator'; grant anon, authenticated, service_role to authenticator;
		create role postgres_like login createrole createdb password 'postgres_like'`)
	return func(t *testing.T) project {
		db := c.Empty(t)
		db.Exec(t, "alter database "+db.Name()+" owner to postgres_like", "grant all on schema public to postgres_like",
			"grant usage on schema public to anon, authenticated, service_role")
		p := project{db, t}
		p.exec(p.as("postgres_like"), "alter default privileges in schema public grant all on tables to anon, authenticated, service_role",
			"alter default privileges in schema public grant all on functions to anon, authenticated, service_role")
		return p
	}
}

// as connects as a user whose password is the name.
func (p project) as(user string) *pgx.Conn {
	p.t.Helper()
	u, err := url.Parse(p.URL(pgtest.Admin))
	if err != nil {
		p.t.Fatal(err)
	}
	u.User = url.UserPassword(user, user)
	conn, err := pgx.Connect(p.t.Context(), u.String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (p project) exec(conn *pgx.Conn, statements ...string) {
	p.t.Helper()
	for _, sql := range statements {
		if _, err := conn.PgConn().Exec(p.t.Context(), sql).ReadAll(); err != nil {
			p.t.Fatalf("%.200s: %v", sql, err)
		}
	}
}

// objects is everything in the schema, who owns it and who may do what, and what is recorded of the migrations.
func (p project) objects() []string {
	p.t.Helper()
	found, err := p.as("postgres_like").Query(p.t.Context(), `
		select concat_ws(' ', 'relation', c.relkind, c.oid::regclass, c.relowner::regrole, c.relrowsecurity, c.relacl::text) from pg_class c
		where c.relnamespace = 'mesher'::regnamespace
		union all select concat_ws(' ', 'column', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attacl::text,
			pg_get_expr(d.adbin, d.adrelid))
		from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
		where c.relnamespace = 'mesher'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0
		union all select concat_ws(' ', 'function', p.oid::regprocedure, p.proowner::regrole, p.prosecdef, p.proconfig::text, p.proacl::text, md5(p.prosrc)) from pg_proc p
		where p.pronamespace = 'mesher'::regnamespace
		union all select concat_ws(' ', 'policy', polrelid::regclass, polname, polcmd, polroles::regrole[]::text, pg_get_expr(polqual, polrelid)) from pg_policy
		union all select concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint where connamespace = 'mesher'::regnamespace
		union all select concat_ws(' ', 'index', pg_get_indexdef(indexrelid)) from pg_index i join pg_class c on c.oid = i.indrelid where c.relnamespace = 'mesher'::regnamespace
		union all select concat_ws(' ', 'schema', nspname, nspowner::regrole, nspacl::text) from pg_namespace where nspname = 'mesher'
		union all select concat_ws(' ', 'default', defaclrole::regrole, defaclobjtype, defaclacl::text) from pg_default_acl where defaclnamespace = 0
		union all select concat_ws(' ', 'role', rolname, rolcanlogin, rolinherit, rolconfig::text) from pg_roles where rolname like 'mesher%'
		union all select concat_ws(' ', 'member', roleid::regrole, member::regrole) from pg_auth_members where roleid::regrole::text like 'mesher%'
		union all select concat_ws(' ', 'migration', number, name, checksum, applied_at > now() - interval '1 hour', took_ms >= 0) from mesher.migrations
		order by 1`)
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// upToDate fails the test unless the usual way finds nothing to do.
func (p project) upToDate() {
	p.t.Helper()
	report, err := postgres.Migrate(p.t.Context(), p.as("postgres_like"), migrations.FS, postgres.MigrateOptions{})
	if err != nil || len(report.Applied) > 0 {
		p.t.Errorf("a direct run applies %v, %v; want nothing", names(report.Applied), err)
	}
}

// api serves what PostgREST serves of a function: each request is a transaction of the user authenticator, in the role
// of its key.
func (p project) api(keys map[string]string) *httptest.Server {
	var mu sync.Mutex
	conn := p.as("authenticator")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fail := func(status int, code, message, hint string) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message, "details": nil, "hint": hint})
		}
		name, ok := strings.CutPrefix(r.URL.Path, "/rest/v1/rpc/")
		var args map[string]any
		if err := json.NewDecoder(r.Body).Decode(&args); err != nil || !ok || r.Method != http.MethodPost {
			fail(http.StatusBadRequest, "PGRST102", "not a call", "")
			return
		}
		key := r.Header.Get("Apikey")
		role, known := keys[key]
		if !known || strings.HasPrefix(key, "sb_") && r.Header.Get("Authorization") != "" {
			fail(http.StatusUnauthorized, "", "Invalid API key", "")
			return
		}
		var parts []string
		var values []any
		for k, v := range args {
			values = append(values, v)
			parts = append(parts, fmt.Sprintf("%s := $%d::text", pgx.Identifier{k}.Sanitize(), len(values)))
		}
		var result []byte
		err := pgx.BeginFunc(r.Context(), conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(r.Context(), "set local role "+role); err != nil {
				return err
			}
			return tx.QueryRow(r.Context(), "select public."+pgx.Identifier{name}.Sanitize()+"("+strings.Join(parts, ", ")+")::text",
				append([]any{pgx.QueryExecModeExec}, values...)...).Scan(&result)
		})
		var e *pgconn.PgError
		switch {
		case errors.As(err, &e) && e.Code == "42883":
			fail(http.StatusNotFound, "PGRST202", "Could not find the function public."+name, "")
		case errors.As(err, &e) && e.Code == "42501":
			fail(http.StatusForbidden, e.Code, e.Message, e.Hint)
		case errors.As(err, &e):
			fail(http.StatusBadRequest, e.Code, e.Message, e.Hint)
		case err != nil:
			fail(http.StatusServiceUnavailable, "PGRST001", err.Error(), "")
		default:
			_, _ = w.Write(result)
		}
	}))
	p.t.Cleanup(srv.Close)
	return srv
}

const (
	secretKey = "sb_secret_a"
	jwtKey    = "eyJhbGciOi.service.role"
	anonKey   = "eyJhbGciOi.anon.anon"
	userKey   = "eyJhbGciOi.some.body"
)

// define runs the definition of exec_sql as the user of the SQL editor.
func (p project) define() {
	p.t.Helper()
	sql, err := postgres.ExecSQL(migrations.FS)
	if err != nil {
		p.t.Fatal(err)
	}
	p.exec(p.as("postgres_like"), sql)
}

func TestMigrate_LeadsToTheSameByEveryWay(t *testing.T) {
	t.Parallel()
	fresh := newHost(t)
	var want []string
	t.Run("directly", func(t *testing.T) {
		p := fresh(t)
		if _, err := postgres.Migrate(t.Context(), p.as("postgres_like"), migrations.FS, postgres.MigrateOptions{}); err != nil {
			t.Fatal(err)
		}
		if want = p.objects(); len(want) < 100 {
			t.Errorf("only %d objects", len(want))
		}
	})
	for name, way := range map[string]func(*testing.T, project){
		"by exec_sql": func(t *testing.T, p project) {
			p.define()
			r := postgres.Remote{URL: p.api(map[string]string{secretKey: "service_role"}).URL, Key: secretKey, HTTP: http.DefaultClient}
			for _, pending := range []bool{true, false} {
				report, err := postgres.MigrateVia(t.Context(), r, migrations.FS, postgres.MigrateOptions{})
				if err != nil || (len(report.Applied) > 0) != pending || len(report.Pending) > 0 {
					t.Fatalf("applied %v, %v", names(report.Applied), err)
				}
			}
			if err := postgres.RemoveVia(t.Context(), r); err != nil {
				t.Error(err)
			}
			if _, err := postgres.StatusVia(t.Context(), r, migrations.FS); !fault.Is(err, fault.NotConfigured) {
				t.Errorf("after its removal: %v", err)
			}
		},
		"by scripts, statement by statement": func(t *testing.T, p project) {
			conn := p.as("postgres_like")
			for _, s := range scripts(t) {
				for _, statement := range postgres.Split(t, s.Text) {
					p.exec(conn, statement)
				}
			}
		},
		"by scripts, each at once": func(t *testing.T, p project) {
			conn := p.as("postgres_like")
			for _, s := range scripts(t) {
				p.exec(conn, s.Text)
			}
		},
		"by scripts, as Supabase's CLI sends them": func(t *testing.T, p project) {
			conn := p.as("postgres_like").PgConn()
			for _, s := range scripts(t) {
				batch := &pgconn.Batch{}
				for _, statement := range postgres.Split(t, s.Text) {
					batch.ExecParams(statement, nil, nil, nil, nil)
				}
				batch.ExecParams("select 1", nil, nil, nil, nil) // its own record
				if _, err := conn.ExecBatch(t.Context(), batch).ReadAll(); err != nil {
					t.Fatalf("%s: %v", s.Name, err)
				}
			}
		},
		"by scripts, by psql": func(t *testing.T, p project) {
			psql, err := exec.LookPath("psql")
			if err != nil {
				t.Skip(err)
			}
			u, err := url.Parse(p.URL(pgtest.Admin))
			if err != nil {
				t.Fatal(err)
			}
			u.User = url.UserPassword("postgres_like", "postgres_like")
			for _, s := range scripts(t) {
				cmd := exec.CommandContext(t.Context(), psql, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", u.String())
				cmd.Stdin = strings.NewReader(s.Text)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", s.Name, err, out)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := fresh(t)
			way(t, p)
			if diff := cmp.Diff(want, p.objects()); diff != "" {
				t.Errorf("objects (-direct +this way):\n%s", diff)
			}
			p.upToDate()
		})
	}
}

func scripts(t *testing.T) []postgres.Script {
	t.Helper()
	out, err := postgres.Scripts(migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestScripts_RunInTheirOrderAndOnce(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	conn := p.as("postgres_like")
	all := scripts(t)
	run := func(i int) error {
		_, err := conn.PgConn().Exec(t.Context(), all[i].Text).ReadAll()
		if err != nil {
			p.exec(conn, "rollback")
		}
		return err
	}
	if err := run(1); err == nil || !strings.Contains(err.Error(), "follows number 1, and the last one applied is number 0") {
		t.Errorf("the second script before the first: %v", err)
	}
	for i := range 3 {
		if err := run(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(1); err == nil || !strings.Contains(err.Error(), "is applied already") {
		t.Errorf("a script once more: %v", err)
	}
	report, err := postgres.Migrate(t.Context(), conn, migrations.FS, postgres.MigrateOptions{})
	if err != nil || len(report.Applied) != len(all)-3 {
		t.Errorf("a direct run after three scripts applies %d of %d, %v", len(report.Applied), len(all), err)
	}
}

// Nobody but the service role, and the service role nothing but the next migration as it is.
func TestExecSQL_IsShut(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.define()
	p.define() // as for another release
	srv := p.api(map[string]string{secretKey: "service_role", jwtKey: "service_role", anonKey: "anon", userKey: "authenticated"})
	attempt := func(key, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/rest/v1/rpc/exec_sql", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Apikey", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer strings.Builder
		if err := resp.Write(&answer); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, answer.String()
	}
	first := scriptBody(t, "0001_create_schema.sql", "")
	for _, granted := range []bool{false, true} {
		if granted {
			// What many a project does at some time.
			p.exec(p.as("postgres_like"), "grant execute on all functions in schema public to public, anon, authenticated")
		}
		for _, key := range []string{anonKey, userKey} {
			for _, body := range []string{"{}", first, `{"file":"remove"}`} {
				if status, answer := attempt(key, body); status != http.StatusForbidden {
					t.Errorf("with %s, granted: %t: %d %s", key, granted, status, answer)
				}
			}
			r := postgres.Remote{URL: srv.URL, Key: key, HTTP: http.DefaultClient}
			if _, err := postgres.MigrateVia(t.Context(), r, migrations.FS, postgres.MigrateOptions{}); !fault.Is(err, fault.Forbidden) {
				t.Errorf("with %s, granted: %t: %v, want forbidden", key, granted, err)
			}
		}
		for name, body := range map[string]string{
			"other SQL":                  `{"file":"0001_create_schema.sql","sql":"create role evil superuser login"}`,
			"more SQL":                   scriptBody(t, "0001_create_schema.sql", "\ncreate table public.evil (n int);"),
			"a later file":               scriptBody(t, "0002_create_tenants.sql", ""),
			"a file under another name":  strings.Replace(scriptBody(t, "0002_create_tenants.sql", ""), "0002_create_tenants", "0001_create_schema", 1),
			"no file":                    `{"sql":"create role evil"}`,
			"a file that there is not":   `{"file":"evil","sql":"create role evil"}`,
			"a file and nothing of it":   `{"file":"0001_create_schema.sql"}`,
			"a name that goes somewhere": `{"file":"'; create role evil; --","sql":""}`,
		} {
			status, answer := attempt(secretKey, body)
			if refused := status == http.StatusBadRequest; refused == (name == "no file") {
				t.Errorf("%s with the secret key: %d %s", name, status, answer)
			}
		}
	}
	var found int
	err := p.as("postgres_like").QueryRow(t.Context(), `select (select count(*) from pg_roles where rolname = 'evil' or rolname like 'mesher%')
		+ (select count(*) from pg_class where relname = 'evil') + (select count(*) from pg_namespace where nspname = 'mesher')`).Scan(&found)
	if err != nil || found != 0 {
		t.Errorf("%d objects came into being, %v", found, err)
	}

	// The other key of the service role does; a file is applied once.
	r := postgres.Remote{URL: srv.URL, Key: jwtKey, HTTP: http.DefaultClient}
	report, err := postgres.MigrateVia(t.Context(), r, migrations.FS, postgres.MigrateOptions{})
	if err != nil || len(report.Applied) == 0 {
		t.Errorf("applied %v, %v", names(report.Applied), err)
	}
	if status, answer := attempt(secretKey, first); status != http.StatusBadRequest {
		t.Errorf("a file once more: %d %s", status, answer)
	}
}

// scriptBody is the call for a file with something added.
func scriptBody(t *testing.T, file, more string) string {
	t.Helper()
	text, err := migrations.FS.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]string{"file": file, "sql": string(text) + more})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMigrateVia_GoesOnAndGivesUp(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	srv := p.api(map[string]string{secretKey: "service_role"})
	r := postgres.Remote{URL: srv.URL + "/", Key: secretKey, HTTP: http.DefaultClient}
	dir := files("0002_create_a.sql", "set local role mesher_owner;\ncreate table mesher.a (n int);\nreset role;\n",
		"0003_fail.sql", "set local role mesher_owner;\ncreate table mesher.b (n int);\ninsert into mesher.a values ('x');\nreset role;\n")
	dir["0001_create_schema.sql"].Data = []byte("create role mesher_owner; grant mesher_owner to current_user;\n" +
		"create schema mesher authorization mesher_owner;\nset local role mesher_owner;\n" +
		"create table mesher.migrations (number int primary key, name text not null, checksum text not null, applied_at timestamptz not null default now(), took_ms int not null);\nreset role;\n")
	define := func() {
		t.Helper()
		sql, err := postgres.ExecSQL(dir)
		if err != nil {
			t.Fatal(err)
		}
		p.exec(p.as("postgres_like"), sql)
	}
	if _, err := postgres.MigrateVia(t.Context(), r, dir, postgres.MigrateOptions{}); !fault.Is(err, fault.NotConfigured) || !strings.Contains(err.Error(), "--print-exec-sql") {
		t.Errorf("without the function: %v", err)
	}
	define()
	dry, err := postgres.MigrateVia(t.Context(), r, dir, postgres.MigrateOptions{DryRun: true})
	if err != nil || len(dry.Pending) != 3 || len(dry.Applied) != 0 {
		t.Errorf("dry run: %v, %v", names(dry.Pending), err)
	}
	report, err := postgres.MigrateVia(t.Context(), r, dir, postgres.MigrateOptions{})
	if err == nil || !strings.Contains(err.Error(), "0003_fail.sql") || !strings.Contains(err.Error(), "invalid input syntax") || len(report.Applied) != 2 {
		t.Errorf("applied %v, %v; want two, and the third to fail", names(report.Applied), err)
	}
	var tables int
	if err := p.as("postgres_like").QueryRow(t.Context(), "select count(*) from pg_tables where schemaname = 'mesher'").Scan(&tables); err != nil || tables != 2 {
		t.Errorf("tables = %d, %v; want the failed file to leave none", tables, err)
	}
	// A newer release than the function knows.
	dir["0003_fail.sql"].Data = []byte("set local role mesher_owner;\ncreate table mesher.b (n int);\nreset role;\n")
	if _, err := postgres.MigrateVia(t.Context(), r, dir, postgres.MigrateOptions{}); err == nil || !strings.Contains(err.Error(), "define exec_sql again") {
		t.Errorf("a file that the function does not know: %v", err)
	}
	define()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := postgres.MigrateVia(t.Context(), r, dir, postgres.MigrateOptions{}); err != nil {
				t.Errorf("one of several runners: %v", err)
			}
		})
	}
	wg.Wait()
	state, err := postgres.StatusVia(t.Context(), r, dir)
	if err != nil || len(state) != 3 || state[2].Pending() {
		t.Errorf("status: %v, %v", state, err)
	}
}

func TestExecSQL_RefusesFilesThatItCannotRun(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"set local role mesher_owner;\nselect 1;\n",
		"reset role;\nselect 1;\n",
		"set local role mesher_owner;\nset local role mesher_owner;\n",
		"set local role other;\nselect 1;\nreset role;\n",
		"  set local role mesher_owner;\nselect 1;\nreset role;\n",
		"set role mesher_owner; select 1; reset role;",
	} {
		if _, err := postgres.ExecSQL(files("0002_x.sql", text)); err == nil || !strings.Contains(err.Error(), "0002_x.sql") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRemote_Check(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url, key string
		ok       bool
	}{
		{"https://abc.supabase.co", secretKey, true},
		{"http://127.0.0.1:54321", jwtKey, true},
		{"http://abc.supabase.co", secretKey, false},
		{"abc.supabase.co", secretKey, false},
		{"https://abc.supabase.co", "", false},
		{"https://abc.supabase.co", "sb_publishable_a", false},
		{"https://abc.supabase.co", "sb_secret_a\n", false},
	} {
		if err := (postgres.Remote{URL: tt.url, Key: tt.key}).Check(); (err == nil) != tt.ok || err != nil && !fault.Is(err, fault.NotConfigured) {
			t.Errorf("%s with %q: %v", tt.url, tt.key, err)
		}
	}
}
