package postgres

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/local/cluster"
)

// The exchange of RFC 7677, section 3. A verifier is right when it accepts the client's proof and gives the
// server's signature.
func TestScramVerifier_OfTheStandardsExample(t *testing.T) {
	t.Parallel()
	decode := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const (
		salt     = "W22ZaJ0SNY7soEsUEjb6gQ=="
		exchange = "n=user,r=rOprNGfwEbeRWgbNEkqO," +
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=" + salt + ",i=4096," +
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	)
	got, err := scramVerifier("pencil", decode(salt), 4096)
	if err != nil {
		t.Fatal(err)
	}
	keys, ok := strings.CutPrefix(got, "SCRAM-SHA-256$4096:"+salt+"$")
	stored, server, cut := strings.Cut(keys, ":")
	if !ok || !cut {
		t.Fatalf("verifier = %s", got)
	}

	client := decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=") // the proof
	subtle.XORBytes(client, client, scramMAC(decode(stored), exchange))
	if hash := sha256.Sum256(client); !bytes.Equal(hash[:], decode(stored)) {
		t.Errorf("the verifier %s does not accept the proof", got)
	}
	if signature := scramMAC(decode(server), exchange); !bytes.Equal(signature, decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")) {
		t.Errorf("the verifier %s gives the signature %x", got, signature)
	}
}

func TestScramVerifier(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$`)
	seen := map[string]bool{}
	for range 3 {
		got, err := ScramVerifier("hunter2")
		if err != nil || !form.MatchString(got) || seen[got] {
			t.Errorf("ScramVerifier = %q, %v; want another of the form %s each time", got, err, form)
		}
		seen[got] = true
	}
	for _, password := range []string{"", "naïve", "tab\t", "nul\x00", "del\x7f", "\xff"} {
		got, err := ScramVerifier(password)
		if err == nil || got != "" {
			t.Errorf("ScramVerifier(%q) = %q, want it refused", password, got)
		}
		if err != nil && password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}

func TestLetLogin(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer // written until the server has ended
	running, err := cluster.Start(t.Context(), cluster.Options{
		Dir: filepath.Join(os.TempDir(), "mesher-test-"+strings.ToLower(rand.Text()[:12])), FetchDir: cluster.CacheDir(), Log: &log,
		Settings: map[string]string{"log_statement": "all", "password_encryption": "md5"},
	})
	if errors.Is(err, cluster.ErrNoBinaries) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceValue(func() error { return running.Stop(context.Background()) })
	t.Cleanup(func() {
		if err := errors.Join(stop(), cluster.Remove(context.Background(), running.Dir())); err != nil {
			t.Error(err)
		}
	})
	server := running.URL()
	conn, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	const role, password = `a "quoted" role`, "it's 100% of \\printable\\ $ASCII$"
	if err := LetLogin(t.Context(), conn, role, password); SQLState(err) != "42704" {
		t.Errorf("a role that does not exist: %v", err)
	}
	if _, err := conn.Exec(t.Context(), `create role "a ""quoted"" role" nologin`); err != nil {
		t.Fatal(err)
	}
	login := func(password string) error {
		u, err := url.Parse(server)
		if err != nil {
			return err
		}
		u.User = url.UserPassword(role, password)
		c, err := pgx.Connect(t.Context(), u.String())
		if err == nil {
			err = c.Close(t.Context())
		}
		return err
	}
	for _, secret := range []string{password, "another"} {
		if err := LetLogin(t.Context(), conn, role, secret); err != nil {
			t.Fatal(err)
		}
		if err := login(secret); err != nil {
			t.Errorf("the role cannot log in: %v", err)
		}
	}
	if err := login(password); SQLState(err) != "28P01" {
		t.Errorf("with the password before: %v, want it refused", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "alter role") || strings.Contains(text, password) || strings.Contains(text, "another") {
		t.Errorf("the server's log holds a password, or nothing:\n%s", text)
	}
}
