package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What PostgreSQL itself uses when it is given a password in clear text.
const (
	scramIterations = 4096
	scramSalt       = 16 // bytes
)

// Execer is what LetLogin needs: a pool, a connection or a transaction.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// The roles that functions connect as. The migrations create them without LOGIN.
const (
	RoleStore  = "mesher_store"  // of what writes events
	RoleIngest = "mesher_ingest" // of what takes events from anybody
	RoleApp    = "mesher_app"    // of everything else
)

// LetLogin gives a role LOGIN and a password, in one statement. Servers log such statements, so it holds what
// the server would store instead of the password. The user of db needs CREATEROLE, and from version 16 on the
// admin option for the role, which whoever created it has.
func LetLogin(ctx context.Context, db Execer, role, password string) error {
	verifier, err := ScramVerifier(password)
	if err != nil {
		return fmt.Errorf("let %s log in: %w", role, err)
	}
	// ALTER ROLE takes no parameters; a verifier holds nothing that ends a quote.
	if _, err := db.Exec(ctx, "alter role "+pgx.Identifier{role}.Sanitize()+" login password '"+verifier+"'"); err != nil {
		return fmt.Errorf("let %s log in: %w", role, err)
	}
	return nil
}

// ScramVerifier returns what PostgreSQL stores for a password (RFC 5802 and 7677), with a fresh salt. It is
// enough to recognise the password, not to log in with. Characters beyond printable ASCII are refused: they
// would have to be normalised as every client does it.
func ScramVerifier(password string) (string, error) {
	if password == "" || strings.ContainsFunc(password, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", errors.New("a password must consist of printable ASCII characters")
	}
	salt := make([]byte, scramSalt)
	_, _ = rand.Read(salt) // never fails
	return scramVerifier(password, salt, scramIterations)
}

func scramVerifier(password string, salt []byte, iterations int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive a key from the password: %w", err)
	}
	stored := sha256.Sum256(scramMAC(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(scramMAC(salted, "Server Key"))), nil
}

func scramMAC(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(message))
	return mac.Sum(nil)
}
