package account

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	"github.com/alexedwards/argon2id"

	"github.com/mesherhq/mesher/shared/fault"
)

// PasswordConfig says what hashing a password costs.
type PasswordConfig struct {
	Memory      uint32 `env:"PASSWORD_MEMORY" envDefault:"19456" doc:"KiB of memory that hashing a password takes (argon2id); raised values take effect at the next login"`
	Iterations  uint32 `env:"PASSWORD_ITERATIONS" envDefault:"2" doc:"passes over that memory"`
	Parallelism uint8  `env:"PASSWORD_PARALLELISM" envDefault:"1" doc:"lanes of that memory"`
	Concurrency int    `env:"PASSWORD_CONCURRENCY" envDefault:"2" doc:"passwords that one instance hashes at a time, and one more for who logs in from where they did before; others wait up to 5 s, eight for each, then are answered 503"`
}

const (
	saltLength, keyLength = 16, 32
	// What a hash may cost at most. A stored hash names its own parameters, and whoever can write to the database
	// must not be able to take an instance's memory with them.
	mostMemory, mostIterations, mostParallelism = 256 << 10, 16, 16
	mostBytes                                   = 64 // of salt and of key
)

// least are OWASP's least parameters: with fewer passes goes more memory (KiB).
var least = [...]struct{ memory, iterations uint32 }{{47104, 1}, {19456, 2}, {12288, 3}, {9216, 4}, {7168, 5}}

// Hasher hashes passwords with argon2id, a few at a time.
type Hasher struct {
	params argon2id.Params
	turns  turns
	known  bool   // may use the reserved turn
	nobody string // a hash that no password has
}

// NewHasher returns a Hasher. Parameters below OWASP's least (19 MiB and 2 passes, or their like) are a
// fault.NotConfigured.
func NewHasher(c PasswordConfig) (*Hasher, error) {
	p := argon2id.Params{
		Memory: c.Memory, Iterations: c.Iterations, Parallelism: c.Parallelism, SaltLength: saltLength, KeyLength: keyLength,
	}
	switch {
	case !enough(p):
		return nil, fault.New(fault.NotConfigured, "PASSWORD_MEMORY=%d with PASSWORD_ITERATIONS=%d hashes passwords too cheaply; "+
			"the least are 19456 with 2, 47104 with 1, 12288 with 3, 9216 with 4 or 7168 with 5", c.Memory, c.Iterations)
	case !affordable(p):
		return nil, fault.New(fault.NotConfigured, "PASSWORD_MEMORY, PASSWORD_ITERATIONS and PASSWORD_PARALLELISM are %d, %d and %d; "+
			"expected at most %d, %d and 1 to %d", c.Memory, c.Iterations, c.Parallelism, mostMemory, mostIterations, mostParallelism)
	case c.Concurrency < 1:
		return nil, fault.New(fault.NotConfigured, "PASSWORD_CONCURRENCY is %d, expected at least 1", c.Concurrency)
	}
	return &Hasher{params: p, turns: newTurns(c.Concurrency), nobody: unmatched(p)}, nil
}

func enough(p argon2id.Params) bool {
	for _, l := range least {
		if p.Memory >= l.memory && p.Iterations >= l.iterations {
			return true
		}
	}
	return false
}

// affordable also holds for what argon2 panics at.
func affordable(p argon2id.Params) bool {
	return p.Memory <= mostMemory && p.Iterations >= 1 && p.Iterations <= mostIterations &&
		p.Parallelism >= 1 && p.Parallelism <= mostParallelism
}

// unmatched returns a well-formed hash whose key is random: it costs nothing to make, and a comparison with it costs
// what any other costs.
func unmatched(p argon2id.Params) string {
	b := make([]byte, p.SaltLength+p.KeyLength)
	_, _ = rand.Read(b) // never fails
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.Memory, p.Iterations, p.Parallelism,
		encode(b[:p.SaltLength]), encode(b[p.SaltLength:]))
}

// Hash returns the PHC string of a password. When too many are hashed at the time it is a fault.Unavailable.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	done, err := h.turn(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	phc, err := argon2id.CreateHash(password, &h.params)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return phc, nil
}

// Verify reports whether the password is the one of a PHC string, and whether that was made with lower parameters than
// today's. An empty string, for a user who is unknown or has no password, costs the same and is false; so does a wrong
// password whose hash is outdated, which costs less by itself.
func (h *Hasher) Verify(ctx context.Context, password, phc string) (ok, outdated bool, err error) {
	known := phc != ""
	if !known {
		phc = h.nobody
	}
	p, err := stored(phc)
	if err != nil {
		return false, false, err
	}
	done, err := h.turn(ctx)
	if err != nil {
		return false, false, err
	}
	defer done()
	ok, err = argon2id.ComparePasswordAndHash(password, phc)
	if err != nil {
		return false, false, fmt.Errorf("compare a password with its hash: %w", err)
	}
	outdated = h.outdated(p)
	if !ok && outdated {
		err = h.pad(password, p)
	}
	return ok && known, outdated, err
}

// pad does the work that comparing with a hash of today's parameters is more than comparing with one of p.
func (h *Hasher) pad(password string, p argon2id.Params) error {
	more := uint64(h.params.Memory)*uint64(h.params.Iterations) - uint64(p.Memory)*uint64(p.Iterations) // KiB that are passed over
	if more > mostMemory*mostIterations || more < 8*uint64(h.params.Parallelism) {
		return nil // it was not less, or by less than can be hashed
	}
	rest := h.params
	rest.Iterations = uint32((more + uint64(rest.Memory) - 1) / uint64(rest.Memory))
	rest.Memory = uint32(more / uint64(rest.Iterations))
	if _, err := argon2id.CreateHash(password, &rest); err != nil {
		return fmt.Errorf("hash a password once more: %w", err)
	}
	return nil
}

// stored returns the parameters of a hash. One that is not argon2id's, or that costs more than any made here, is a
// fault.Internal, whose text has nothing of the hash.
func stored(phc string) (argon2id.Params, error) {
	p, salt, key, err := argon2id.DecodeHash(phc)
	if err != nil {
		return argon2id.Params{}, fault.Wrap(err, fault.Internal, "the stored hash of a password is none of argon2id")
	}
	// An empty key would equal the one of every password.
	if !affordable(*p) || len(salt) > mostBytes || len(key) < saltLength || len(key) > mostBytes {
		return argon2id.Params{}, fault.New(fault.Internal,
			"the stored hash of a password has parameters that it cannot have been made with: m=%d, t=%d, p=%d, %d bytes of salt, %d of key",
			p.Memory, p.Iterations, p.Parallelism, len(salt), len(key))
	}
	return *p, nil
}

func (h *Hasher) outdated(p argon2id.Params) bool {
	return p.Memory < h.params.Memory || p.Iterations < h.params.Iterations || p.Parallelism < h.params.Parallelism ||
		p.SaltLength < h.params.SaltLength || p.KeyLength != h.params.KeyLength
}
