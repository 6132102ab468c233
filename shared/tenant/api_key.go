package tenant

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
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
	found, err := FindAccesses(ctx, db, []KeyHash{hash})
	if err != nil {
		return Access{}, err
	}
	return found[0].Access, found[0].Err
}

// Finding is what FindAccesses found for one key: an Access, or the error that FindAccess returns.
type Finding struct {
	Access Access
	Err    error
}

// FindAccesses returns what each of the keys opens, in their order, in one round trip.
func FindAccesses(ctx context.Context, db DB, hashes []KeyHash) ([]Finding, error) {
	out := make([]Finding, len(hashes))
	wanted := make([]string, len(hashes))
	for i, h := range hashes {
		out[i].Err = errUnknownKey()
		wanted[i] = hex.EncodeToString(h[:])
	}
	rows, err := db.Query(ctx, `
		select w.place::int - 1, k.hash, k.id, k.project_id, p.number, coalesce(k.environment, ''), k.expires_at,
		       k.revoked_at is not null and k.revoked_at <= now(), coalesce(k.expires_at <= now(), false), p.status
		from unnest($1::text[]) with ordinality as w (hash, place)
		join mesher.api_keys k on k.hash = decode(w.hash, 'hex')
		join mesher.projects p on p.id = k.project_id`, wanted)
	if err != nil {
		return nil, fmt.Errorf("look up API keys: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			place            int
			stored           []byte
			a                Access
			expires          *time.Time
			revoked, expired bool
			status           string
		)
		if err := rows.Scan(&place, &stored, &a.KeyID, &a.ProjectID, &a.ProjectNumber, &a.Environment, &expires,
			&revoked, &expired, &status); err != nil {
			return nil, fmt.Errorf("look up API keys: %w", err)
		}
		if expires != nil {
			a.ExpiresAt = *expires
		}
		if subtle.ConstantTimeCompare(stored, hashes[place][:]) == 1 {
			out[place] = judge(a, revoked, expired, status)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look up API keys: %w", err)
	}
	return out, nil
}

// judge says whether a key that exists opens what it is for.
func judge(a Access, revoked, expired bool, status string) Finding {
	switch {
	case revoked:
		return Finding{Err: fault.New(fault.Unauthenticated, "the API key is revoked; use a current key of the project")}
	case expired:
		return Finding{Err: fault.New(fault.Unauthenticated, "the API key has expired; use a current key of the project")}
	case status != "active":
		return Finding{Err: fault.New(fault.Forbidden, "the project is not active and takes no events")}
	}
	return Finding{Access: a}
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
