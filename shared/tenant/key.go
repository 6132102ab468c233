// Package tenant is who owns what: organizations, their projects, and the API keys that let programs in.
package tenant

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

// An API key is `mshr_`, 30 random base62 characters (178 bits) and 6 base62 characters of CRC-32 over what
// stands before them. Letters, digits and the underscore only: several SDKs refuse anything else in a DSN.
// The checksum tells a typo from a revoked key without a look at the database.
const (
	keyPrefix   = "mshr_"
	keyRandom   = 30
	keyChecksum = 6
	keyLength   = len(keyPrefix) + keyRandom + keyChecksum
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// KeyHash is the SHA-256 of an API key: what is stored and looked up. A slow hash would add nothing to 178
// bits of randomness.
type KeyHash [sha256.Size]byte

// NewKey returns a fresh API key. It is shown once and never stored.
func NewKey() string {
	var b strings.Builder
	b.WriteString(keyPrefix)
	buf := make([]byte, 1)
	for b.Len() < len(keyPrefix)+keyRandom {
		// Bytes from 248 on are thrown away, so that each character is equally likely. crypto/rand never fails.
		_, _ = rand.Read(buf)
		if buf[0] < 248 {
			b.WriteByte(base62[buf[0]%62])
		}
	}
	b.WriteString(checksum(b.String()))
	return b.String()
}

// HashKey checks the form of an API key and returns its hash. The error says what is wrong with the key
// without repeating it.
func HashKey(key string) (KeyHash, error) {
	switch {
	case !strings.HasPrefix(key, keyPrefix):
		return KeyHash{}, fault.New(fault.Unauthenticated, "this is not a Mesher API key: a key starts with %s", keyPrefix)
	case len(key) != keyLength:
		return KeyHash{}, fault.New(fault.Unauthenticated,
			"the API key has %d characters instead of %d; copy it again as a whole", len(key), keyLength)
	case checksum(key[:keyLength-keyChecksum]) != key[keyLength-keyChecksum:]:
		return KeyHash{}, fault.New(fault.Unauthenticated, "the API key has a typing error: its checksum does not fit; copy it again")
	}
	return sha256.Sum256([]byte(key)), nil
}

// KeyParts returns the start and the last four characters of a key, by which people recognise it in lists.
func KeyParts(key string) (prefix, lastFour string, err error) {
	if _, err := HashKey(key); err != nil {
		return "", "", fmt.Errorf("parts of a key: %w", err)
	}
	return key[:len(keyPrefix)+4], key[keyLength-4:], nil
}

func checksum(s string) string {
	n := crc32.ChecksumIEEE([]byte(s))
	var out [keyChecksum]byte
	for i := keyChecksum - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return string(out[:])
}
