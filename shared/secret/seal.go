package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

// sealVersion is the first byte of what is sealed.
const sealVersion = 1

// sealKeyBytes is the length of a key: AES-256.
const sealKeyBytes = 32

// SealConfig holds the keys of a Sealer.
type SealConfig struct {
	Keys string `env:"SEAL_KEY" envDefault:"" doc:"key that seals what has to be read again, such as webhook URLs and passwords of probes: 32 random bytes in base64; to change it, put the new one in front of the old one with a comma. Without it nothing of that kind can be kept"`
}

// Sealer encrypts what is kept and has to be read again, so that nobody reads it who only has the database.
type Sealer struct{ keys []cipher.AEAD }

// NewSealer returns a Sealer of the keys. Without a key it can neither seal nor open, and says so; a key of another form is
// a fault.NotConfigured.
func NewSealer(c SealConfig) (*Sealer, error) {
	s := new(Sealer)
	for text := range strings.SplitSeq(c.Keys, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != sealKeyBytes {
			return nil, fault.New(fault.NotConfigured, "SEAL_KEY is not 32 bytes in base64; make one with: openssl rand -base64 32")
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		seal, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, seal)
	}
	return s, nil
}

var errNoKey = fault.New(fault.NotConfigured, "SEAL_KEY is not set: secrets of monitors and channels can neither be kept nor read")

// Seal encrypts plain for owner, such as the row's id: it opens for no other.
func (s *Sealer) Seal(plain, owner []byte) ([]byte, error) {
	if len(s.keys) == 0 {
		return nil, errNoKey
	}
	return s.keys[0].Seal([]byte{sealVersion}, nil, plain, owner), nil //nolint:gosec // this cipher makes a random nonce of its own
}

// Open decrypts what was sealed for owner. What no key opens is a fault.NotConfigured: the key was changed, or the row was
// tampered with.
func (s *Sealer) Open(sealed, owner []byte) ([]byte, error) {
	if len(s.keys) == 0 {
		return nil, errNoKey
	}
	if len(sealed) > 0 && sealed[0] == sealVersion {
		for _, key := range s.keys {
			if plain, err := key.Open(nil, nil, sealed[1:], owner); err == nil {
				return plain, nil
			}
		}
	}
	return nil, fault.New(fault.NotConfigured, "a secret does not open with SEAL_KEY: it was sealed with another key, or altered")
}
