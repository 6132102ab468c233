package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/postgres"
)

const (
	passwordPlaceholder = "PASSWORD"
	// Supabase's pooler: a port for sessions, which migrations may use, and one for transactions, which a
	// thousand instances can share.
	supabasePooler  = "pooler.supabase.com"
	sessionPort     = "5432"
	transactionPort = "6543"
)

// pgTarget is where the functions connect to, derived from how the operator does.
type pgTarget struct {
	base   url.URL // without user
	suffix string  // of every user name: a pooler for many servers knows the server by it
	left   []string
}

// newTarget derives it from a connection and its URL.
func newTarget(ctx context.Context, conn *pgx.Conn, admin *url.URL) (*pgTarget, error) {
	var user, database string
	if err := conn.QueryRow(ctx, "select session_user::text, current_database()::text").Scan(&user, &database); err != nil {
		return nil, fmt.Errorf("ask who is connected: %w", err)
	}
	return deriveTarget(*admin, conn.Config().User, user, database), nil
}

// deriveTarget keeps of the operator's URL what is not about the operator. connected is the user name that was
// sent, user the one that the server sees.
func deriveTarget(admin url.URL, connected, user, database string) *pgTarget {
	t := &pgTarget{base: admin}
	if suffix, ok := strings.CutPrefix(connected, user); ok && strings.HasPrefix(suffix, ".") {
		t.suffix = suffix
	}
	q := admin.Query()
	for _, name := range []string{"user", "password", "passfile", "service", "servicefile", "sslcert", "sslkey", "sslpassword"} {
		q.Del(name)
	}
	if ca := q.Get("sslrootcert"); ca != "" && ca != "system" {
		q.Del("sslrootcert")
		t.left = append(t.left, "sslrootcert names a file of this machine and is left out; give the functions its content as DATABASE_CA")
	}
	if strings.Trim(admin.Path, "/") == "" && !q.Has("dbname") && !q.Has("database") {
		t.base.Path = "/" + database // else each role would look for a database of its own name
	}
	// A plus sign is a space to some clients only.
	t.base.User, t.base.RawQuery = nil, strings.ReplaceAll(q.Encode(), "+", "%20")
	host, port := admin.Hostname(), admin.Port()
	if (host == supabasePooler || strings.HasSuffix(host, "."+supabasePooler)) && (port == "" || port == sessionPort) {
		t.base.Host = host + ":" + transactionPort
	}
	return t
}

// url returns the connection string of a role.
func (t *pgTarget) url(role, password string) string {
	u := t.base
	u.User = url.UserPassword(role+t.suffix, password)
	return u.String()
}

// notes says what an operator has to know about these connections.
func (t *pgTarget) notes(cfg postgres.Config) []string {
	out := t.left
	if host := t.base.Hostname(); strings.HasPrefix(host, "db.") && strings.HasSuffix(host, ".supabase.co") {
		out = append(out, host+" answers over IPv6 only, which Cloud Functions do not speak; run setup again with the address of "+
			"the project's pooler (*."+supabasePooler+") for connection strings that work there")
	}
	if cfg.CA != "" {
		out = append(out, "the functions need the same DATABASE_CA as this command had")
	}
	if cfg.Insecure {
		out = append(out, "DATABASE_INSECURE was set for this command; the functions refuse such a connection unless it is set for them")
	}
	return out
}
