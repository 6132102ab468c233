// Package secret is the form of everything that lets somebody in: a prefix that says what it is, random characters,
// and a checksum that tells a typing error from a secret that is no longer good without a look at the database.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

// Hash is the SHA-256 of a secret: what is stored and looked up. A slow hash would add nothing to so much
// randomness.
type Hash [sha256.Size]byte

// Kind is a kind of secret.
type Kind struct {
	Prefix string // with the underscore at its end, such as mshr_
	Random int    // random base62 characters: 43 are 256 bits, 30 are 178
	Name   string // as an error calls it, such as "API key"
}

// The kinds. Their secrets are letters, digits and the underscore only: several SDKs refuse anything else in a DSN.
var (
	APIKey        = Kind{Prefix: "mshr_", Random: 30, Name: "API key"}
	PersonalToken = Kind{Prefix: "mshp_", Random: 30, Name: "personal access token"}
	Session       = Kind{Prefix: "mshs_", Random: 43, Name: "session token"}
	OneTime       = Kind{Prefix: "msho_", Random: 43, Name: "one-time token"}
	Webhook       = Kind{Prefix: "mshw_", Random: 43, Name: "signing secret of a webhook"}
	Heartbeat     = Kind{Prefix: "mshb_", Random: 30, Name: "heartbeat token"}
)

const (
	checksumLength = 6
	base62         = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// shownRandom is how many random characters people recognise a secret by at its start, shownEnd at its end.
	shownRandom, shownEnd = 4, 4
)

// New returns a fresh secret. It is shown once and never stored.
func (k Kind) New() string {
	var b strings.Builder
	b.WriteString(k.Prefix)
	buf := make([]byte, 1)
	for b.Len() < len(k.Prefix)+k.Random {
		// Bytes from 248 on are thrown away, so that each character is equally likely. crypto/rand never fails.
		_, _ = rand.Read(buf)
		if buf[0] < 248 {
			b.WriteByte(base62[buf[0]%62])
		}
	}
	b.WriteString(checksum(b.String()))
	return b.String()
}

// Hash checks the form of a secret and returns its hash. The error, a fault.Unauthenticated, says what is wrong
// without repeating the secret.
func (k Kind) Hash(s string) (Hash, error) {
	body, end := k.length()-checksumLength, k.length()
	switch {
	case !strings.HasPrefix(s, k.Prefix):
		return Hash{}, fault.New(fault.Unauthenticated, "this is not a Mesher %s: one starts with %s", k.Name, k.Prefix)
	case len(s) != end:
		return Hash{}, fault.New(fault.Unauthenticated, "the %s has %d characters instead of %d; copy it again as a whole", k.Name, len(s), end)
	case checksum(s[:body]) != s[body:]:
		return Hash{}, fault.New(fault.Unauthenticated, "the %s has a typing error: its checksum does not fit; copy it again", k.Name)
	}
	return sha256.Sum256([]byte(s)), nil
}

// Parts returns the start and the end of a secret, by which people recognise it in lists.
func (k Kind) Parts(s string) (prefix, lastFour string, err error) {
	if _, err := k.Hash(s); err != nil {
		return "", "", err
	}
	return s[:len(k.Prefix)+shownRandom], s[len(s)-shownEnd:], nil
}

func (k Kind) length() int { return len(k.Prefix) + k.Random + checksumLength }

func checksum(s string) string {
	n := crc32.ChecksumIEEE([]byte(s))
	var out [checksumLength]byte
	for i := checksumLength - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return string(out[:])
}
