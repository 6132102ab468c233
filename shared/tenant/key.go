// Package tenant is who owns what: organizations with their members and invitations, their projects, and the API
// keys that let programs in.
package tenant

import (
	"github.com/mesherhq/mesher/shared/secret"
)

// KeyHash is the SHA-256 of an API key: what is stored and looked up.
type KeyHash = secret.Hash

// NewKey returns a fresh API key. It is shown once and never stored.
func NewKey() string { return secret.APIKey.New() }

// HashKey checks the form of an API key and returns its hash. The error says what is wrong with the key
// without repeating it.
func HashKey(key string) (KeyHash, error) { return secret.APIKey.Hash(key) }

// KeyParts returns the start and the last four characters of a key, by which people recognise it in lists.
func KeyParts(key string) (prefix, lastFour string, err error) { return secret.APIKey.Parts(key) }
