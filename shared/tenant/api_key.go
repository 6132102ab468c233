package tenant

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/fault"
)

// DB is what a query needs: a pool, a connection or a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Access is what an API key opens: the project whose events may be written.
type Access struct {
	KeyID         uuid.UUID
	ProjectID     uuid.UUID
	ProjectNumber int64
	// Environment is given to events that name none; it may be empty.
	Environment string
	ExpiresAt   time.Time // zero when the key does not expire
}

// FindAccess returns what the key with this hash opens. A key that is unknown, revoked, expired, or of a
// project that takes no events is fault.Unauthenticated or fault.Forbidden with the reason.
func FindAccess(ctx context.Context, db DB, hash KeyHash) (Access, error) {
	var (
		a           Access
		stored      []byte
		environment *string
		expires     *time.Time
		revoked     bool
		expired     bool
		status      string
	)
	err := db.QueryRow(ctx, `
		select k.id, k.project_id, p.number, k.environment, k.hash, k.expires_at,
		       k.revoked_at is not null and k.revoked_at <= now(), coalesce(k.expires_at <= now(), false), p.status
		from mesher.api_keys k join mesher.projects p on p.id = k.project_id
		where k.hash = $1`, hash[:]).
		Scan(&a.KeyID, &a.ProjectID, &a.ProjectNumber, &environment, &stored, &expires, &revoked, &expired, &status)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Access{}, errUnknownKey()
	case err != nil:
		return Access{}, fmt.Errorf("look up an API key: %w", err)
	case subtle.ConstantTimeCompare(stored, hash[:]) != 1:
		return Access{}, errUnknownKey()
	case revoked:
		return Access{}, fault.New(fault.Unauthenticated, "the API key is revoked; use a current key of the project")
	case expired:
		return Access{}, fault.New(fault.Unauthenticated, "the API key has expired; use a current key of the project")
	case status != "active":
		return Access{}, fault.New(fault.Forbidden, "the project is not active and takes no events")
	}
	if environment != nil {
		a.Environment = *environment
	}
	if expires != nil {
		a.ExpiresAt = *expires
	}
	return a, nil
}

func errUnknownKey() error {
	return fault.New(fault.Unauthenticated, "the API key is unknown; it may be of another installation, or deleted")
}

// CreateKey stores key for the project and returns its id. Only the hash and the parts people recognise it
// by are written.
func CreateKey(ctx context.Context, db DB, projectID uuid.UUID, label, key string) (uuid.UUID, error) {
	hash, err := HashKey(key)
	if err != nil {
		return uuid.Nil, err
	}
	prefix, lastFour, err := KeyParts(key)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make a key id: %w", err)
	}
	if _, err := db.Exec(ctx, `
		insert into mesher.api_keys (id, project_id, hash, prefix, last_four, label, created_at)
		values ($1, $2, $3, $4, $5, $6, now())`, id, projectID, hash[:], prefix, lastFour, label); err != nil {
		return uuid.Nil, fmt.Errorf("create an API key: %w", err)
	}
	return id, nil
}
