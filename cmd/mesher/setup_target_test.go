package main

import (
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/postgres"
)

func TestDeriveTarget(t *testing.T) {
	t.Parallel()
	const ref = ".abcdefghijklmnopqrst"
	for _, tt := range []struct {
		name, admin, user, want string
		notes                   string // a part of each, "" for none
	}{
		{
			"a plain server", "postgres://u:secret@db.example.com/app?sslmode=verify-full", "u",
			"postgres://mesher_app:pw@db.example.com/app?sslmode=verify-full", "",
		},
		{
			"Supabase's pooler in session mode", "postgresql://postgres" + ref + ":secret@aws-0-eu.pooler.supabase.com:5432/postgres?sslmode=verify-full", "postgres",
			"postgresql://mesher_app" + ref + ":pw@aws-0-eu.pooler.supabase.com:6543/postgres?sslmode=verify-full", "",
		},
		{
			"its default port", "postgres://postgres" + ref + ":secret@aws-0-eu.pooler.supabase.com/postgres", "postgres",
			"postgres://mesher_app" + ref + ":pw@aws-0-eu.pooler.supabase.com:6543/postgres", "",
		},
		{
			"in transaction mode", "postgres://postgres" + ref + ":secret@aws-0-eu.pooler.supabase.com:6543/postgres", "postgres",
			"postgres://mesher_app" + ref + ":pw@aws-0-eu.pooler.supabase.com:6543/postgres", "",
		},
		{
			"a host that only sounds like it", "postgres://u:secret@notpooler.supabase.com:5432/app", "u",
			"postgres://mesher_app:pw@notpooler.supabase.com:5432/app", "",
		},
		{
			"a user with a dot in the name", "postgres://jane.doe:secret@h:5432/app", "jane.doe",
			"postgres://mesher_app:pw@h:5432/app", "",
		},
		{
			"other parameters", "postgres://u:secret@h/app?sslmode=require&search_path=a%20b&x=1%2B1", "u",
			"postgres://mesher_app:pw@h/app?search_path=a%20b&sslmode=require&x=1%2B1", "",
		},
		{
			"what is the operator's own", "postgres://h/app?user=u&password=secret&passfile=p&sslcert=c&sslkey=k&sslpassword=secret&sslmode=verify-full", "u",
			"postgres://mesher_app:pw@h/app?sslmode=verify-full", "",
		},
		{
			"a certificate of this machine", "postgres://u@h/app?sslrootcert=/root/ca.pem", "u",
			"postgres://mesher_app:pw@h/app", "DATABASE_CA",
		},
		{
			"the system's certificates", "postgres://u@h/app?sslrootcert=system", "u",
			"postgres://mesher_app:pw@h/app?sslrootcert=system", "",
		},
		{"no database", "postgres://u@h", "u", "postgres://mesher_app:pw@h/current", ""},
		{"a socket", "postgres://u@/app?host=/run/postgresql", "u", "postgres://mesher_app:pw@/app?host=%2Frun%2Fpostgresql", ""},
		{"IPv6", "postgres://u@[::1]:5433/app", "u", "postgres://mesher_app:pw@[::1]:5433/app", ""},
		{
			"Supabase without the pooler", "postgres://postgres:secret@db.abcdefghijklmnopqrst.supabase.co:5432/postgres", "postgres",
			"postgres://mesher_app:pw@db.abcdefghijklmnopqrst.supabase.co:5432/postgres", "IPv6",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(tt.admin)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := pgxpool.ParseConfig(strings.ReplaceAll(strings.NewReplacer("sslrootcert=/root/ca.pem", "", "sslcert=c&sslkey=k&", "").Replace(tt.admin), "sslrootcert=system", ""))
			if err != nil {
				t.Fatal(err)
			}
			to := deriveTarget(*u, cfg.ConnConfig.User, tt.user, "current")
			got := to.url("mesher_app", "pw")
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if notes := strings.Join(to.notes(postgres.Config{}), "\n"); !strings.Contains(notes, tt.notes) || tt.notes == "" && notes != "" {
				t.Errorf("notes = %q, want %q", notes, tt.notes)
			}
		})
	}
	if notes := (&pgTarget{}).notes(postgres.Config{CA: "x", Insecure: true}); len(notes) != 2 {
		t.Errorf("notes = %q, want that the functions need both settings", notes)
	}
}

// A shell reads back what was written.
func TestEnvLines(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.env")
	want := "postgres://a.b:c@h:1/d?x=1&y=it's%20$HOME `x` \"y\""
	text := envLines([]secret{{name: "A", value: want}, {name: "B", value: "unknown & unquoted", unknown: true}, {name: "C", value: "plain@host:1/x?y=z"}})
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", `. "$0" && printf '%s\n' "$A" "${B-none}" "$C"`, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(want+"\nnone\nplain@host:1/x?y=z\n", string(out)); diff != "" {
		t.Errorf("a shell reads (-want +got):\n%s", diff)
	}
	contains(t, text, "\nC=plain@host:1/x?y=z\n") // no quotes that need not be
	if diff := cmp.Diff([]string{"A", "C"}, envNames([]byte(text))); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"D", "E"}, envNames([]byte("export D=1\n  E='x'\n# F=1\n"+strings.Repeat("x", 100_000)))); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// pooler is a pooler in front of many servers, which finds out by the user's name which one is meant: it cuts the
// suffix off and passes everything else on.
func pooler(t *testing.T, server, suffix string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	behind := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go passOn(conn, behind, suffix)
		}
	}()
	secret, _ := u.User.Password()
	u.Host, u.User = listener.Addr().String(), url.UserPassword(u.User.Username()+suffix, secret)
	return u.String()
}

func passOn(conn net.Conn, behind, suffix string) {
	defer conn.Close()
	first, err := pgproto3.NewBackend(conn, conn).ReceiveStartupMessage()
	start, ok := first.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return
	}
	if start.Parameters["user"], ok = strings.CutSuffix(start.Parameters["user"], suffix); !ok {
		refusal, _ := (&pgproto3.ErrorResponse{Severity: "FATAL", Code: "XX000", Message: "Tenant or user not found"}).Encode(nil)
		_, _ = conn.Write(refusal)
		return
	}
	server, err := net.Dial("tcp", behind)
	if err != nil {
		return
	}
	defer server.Close()
	message, err := start.Encode(nil)
	if err == nil {
		_, err = server.Write(message)
	}
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(server, conn)
		_ = server.Close()
	}()
	_, _ = io.Copy(conn, server)
}

func TestSetup_ThroughAPoolerForManyServers(t *testing.T) {
	t.Parallel()
	h := newHosted(t)
	const ref = ".abcdefghijklmnopqrst"
	through := pooler(t, h.url, ref)
	values := variables(mustSetUp(t, through))
	for name, role := range map[string]string{"DATABASE_URL_INGEST": "mesher_ingest", "DATABASE_URL_STORE": "mesher_store", "DATABASE_URL_APP": "mesher_app"} {
		contains(t, values[name], "postgres://"+role+ref+":")
		if user, err := login(t, values[name]); err != nil || user != role {
			t.Errorf("%s lets in %q, %v; want %s", name, user, err, role)
		}
		if _, err := login(t, strings.Replace(values[name], ref, "", 1)); err == nil {
			t.Errorf("%s works without the suffix: the pooler of this test is of no use", name)
		}
	}
	if _, err := setUp(t, through, "-organization", ""); !errors.Is(err, errUsage) {
		t.Errorf("err = %v, want one of usage", err)
	}
}
