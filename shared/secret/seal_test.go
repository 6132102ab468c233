package secret_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/secret"
)

func key(t *testing.T) string {
	t.Helper()
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func sealer(t *testing.T, keys string) *secret.Sealer {
	t.Helper()
	s, err := secret.NewSealer(secret.SealConfig{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealer(t *testing.T) {
	t.Parallel()
	old, next := key(t), key(t)
	plain, owner := []byte("https://hooks.example.com/secret"), []byte("row 1")
	sealed, err := sealer(t, old).Seal(plain, owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("opens with the key, also when there is a newer one", func(t *testing.T) {
		t.Parallel()
		for _, keys := range []string{old, next + ", " + old} {
			if got, err := sealer(t, keys).Open(sealed, owner); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("opened %q, %v", got, err)
			}
		}
	})
	t.Run("hides what it seals, another way each time", func(t *testing.T) {
		t.Parallel()
		again, err := sealer(t, old).Seal(plain, owner)
		if err != nil || bytes.Equal(again, sealed) || bytes.Contains(sealed, plain) {
			t.Errorf("sealed %x and %x, %v", sealed, again, err)
		}
	})
	t.Run("opens for nobody else", func(t *testing.T) {
		t.Parallel()
		altered := bytes.Clone(sealed)
		altered[len(altered)-1] ^= 1
		for what, open := range map[string]func() ([]byte, error){
			"another key": func() ([]byte, error) { return sealer(t, next).Open(sealed, owner) },
			"no key":      func() ([]byte, error) { return sealer(t, "").Open(sealed, owner) },
			"another row": func() ([]byte, error) { return sealer(t, old).Open(sealed, []byte("row 2")) },
			"altered":     func() ([]byte, error) { return sealer(t, old).Open(altered, owner) },
			"nothing":     func() ([]byte, error) { return sealer(t, old).Open(nil, owner) },
		} {
			if got, err := open(); !fault.Is(err, fault.NotConfigured) {
				t.Errorf("%s: opened %q, %v", what, got, err)
			}
		}
	})
	t.Run("refuses keys of another form without repeating them", func(t *testing.T) {
		t.Parallel()
		for _, bad := range []string{"short", base64.StdEncoding.EncodeToString([]byte("sixteen bytes...")), old + ",x"} {
			_, err := secret.NewSealer(secret.SealConfig{Keys: bad})
			if !fault.Is(err, fault.NotConfigured) || bytes.Contains([]byte(err.Error()), []byte(bad)) {
				t.Errorf("%v", err)
			}
		}
	})
}
