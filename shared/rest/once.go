package rest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Idempotent is embedded into the input of a creating call.
type Idempotent struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"200" doc:"makes it safe to send the call again: for 24 hours the same credential and key are answered as the first time, without creating anything"`
}

// Created is the answer to a creating call.
type Created[T any] struct {
	Replayed string `header:"Idempotency-Replayed" doc:"true when the answer is that of an earlier call with the same Idempotency-Key"`
	Body     T
}

// Once calls create in a transaction, or, when the caller sent this Idempotency-Key before, answers what was answered
// then, unless allow refuses it: the caller may have lost the right since. create sees to that by itself. in is the call's input: a key that comes again with another one is a fault.Conflict. Two calls at the same time
// wait for each other, so what is created is created once.
//
// The answer is kept encrypted with a key that follows from the caller's credential, since it may show a secret that is
// stored nowhere else. Who does not say who they are cannot use it.
func Once[T any](ctx context.Context, db postgres.Beginner, key string, in any, allow func(postgres.Tx) error,
	create func(postgres.Tx) (T, error),
) (*Created[T], error) {
	out := new(Created[T])
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if key == "" {
			out.Body, err = create(tx)
			return err
		}
		if err := allow(tx); err != nil {
			return err
		}
		k, err := newKept(callOf(ctx), key, in)
		if err != nil {
			return err
		}
		found, err := k.find(ctx, tx, &out.Body)
		if err != nil {
			return err
		}
		if found {
			out.Replayed = "true"
			return nil
		}
		if out.Body, err = create(tx); err != nil {
			return err
		}
		return k.keep(ctx, tx, out.Body)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// kept is the answer to one Idempotency-Key of one credential.
type kept struct {
	credential uuid.UUID
	key        [sha256.Size]byte
	request    []byte // what tells one request from another; 32 bytes
	seal       cipher.AEAD
}

func newKept(c *call, key string, in any) (*kept, error) {
	if c.secret == "" {
		return nil, errors.New("keep the answer to a call without a credential")
	}
	request, err := json.Marshal([]any{c.method, c.path, in})
	if err != nil {
		return nil, fmt.Errorf("encode a request: %w", err)
	}
	secrets, err := hkdf.Key(sha256.New, []byte(c.secret), []byte(key), "mesher idempotency", 64)
	if err != nil {
		return nil, fmt.Errorf("derive a key: %w", err)
	}
	block, err := aes.NewCipher(secrets[:32])
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	// With a plain hash, who reads the table could guess a short secret of the request.
	mac := hmac.New(sha256.New, secrets[32:])
	mac.Write(request)
	return &kept{credential: c.who.Credential, key: sha256.Sum256([]byte(key)), request: mac.Sum(nil), seal: seal}, nil
}

// find reads the answer that is kept, if any, into body. Until the transaction ends no other call with the key goes on.
func (k *kept) find(ctx context.Context, tx postgres.Tx, body any) (bool, error) {
	if err := k.wait(ctx, tx); err != nil {
		return false, err
	}
	if err := k.forget(ctx, tx); err != nil {
		return false, err
	}
	var request, sealed []byte
	err := tx.QueryRow(ctx, `
		select request_hash, body from mesher.idempotency_keys where credential_id = $1::uuid and key_hash = $2::bytea`,
		k.credential, k.key[:]).Scan(&request, &sealed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for an Idempotency-Key: %w", err)
	case subtle.ConstantTimeCompare(request, k.request) != 1:
		return false, fault.New(fault.Conflict, "this Idempotency-Key was used for another call; use a new one for each").Named("idempotency_key_reused")
	}
	plain, err := k.seal.Open(nil, nil, sealed, k.request)
	if err != nil {
		return false, fmt.Errorf("open a kept answer: %w", err)
	}
	if err := json.Unmarshal(plain, body); err != nil {
		return false, fmt.Errorf("read a kept answer: %w", err)
	}
	return true, nil
}

// wait returns once no other call with the key is under way, or a fault.Unavailable when that lasts too long.
func (k *kept) wait(ctx context.Context, tx postgres.Tx) error {
	_, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1::bigint)", lock(k.credential[:], k.key[:]))
	switch {
	case postgres.SQLState(err) == "55P03": // lock not available
		return fault.Wrap(err, fault.Unavailable, "another call with this Idempotency-Key is still under way; try again").After(busyWait)
	case err != nil:
		return fmt.Errorf("wait for a call with the same Idempotency-Key: %w", err)
	}
	return nil
}

// forget removes what the credential was answered long ago. Of several calls one does it for all keys, so that none waits
// for the rows of another.
func (k *kept) forget(ctx context.Context, tx postgres.Tx) error {
	if _, err := tx.Exec(ctx, `
		delete from mesher.idempotency_keys
		where credential_id = $1::uuid and created_at < now() - interval '24 hours'
			and (key_hash = $2::bytea or (select pg_try_advisory_xact_lock($3::bigint)))`,
		k.credential, k.key[:], lock(k.credential[:])); err != nil {
		return fmt.Errorf("forget old Idempotency-Keys: %w", err)
	}
	return nil
}

// lock returns the number of the advisory lock of something.
func lock(parts ...[]byte) int64 {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

func (k *kept) keep(ctx context.Context, tx postgres.Tx, body any) error {
	plain, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	sealed := k.seal.Seal(nil, nil, plain, k.request) //nolint:gosec // this cipher makes a random nonce of its own
	if _, err := tx.Exec(ctx, `
		insert into mesher.idempotency_keys (credential_id, key_hash, request_hash, status, body)
		values ($1::uuid, $2::bytea, $3::bytea, $4::int, $5::bytea)`,
		k.credential, k.key[:], k.request, http.StatusCreated, sealed); err != nil {
		return fmt.Errorf("keep an answer: %w", err)
	}
	return nil
}
