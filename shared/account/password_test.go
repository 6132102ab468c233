package account_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
)

// standard are the parameters that a deployment has by default.
var standard = account.PasswordConfig{Memory: 19456, Iterations: 2, Parallelism: 1, Concurrency: 2}

const passphrase = "violet tractor 9 moons"

func newHasher(t testing.TB, c account.PasswordConfig) *account.Hasher {
	t.Helper()
	h, err := account.NewHasher(c)
	must(t, err)
	return h
}

func hashed(t testing.TB, h *account.Hasher, password string) string {
	t.Helper()
	phc, err := h.Hash(t.Context(), password)
	must(t, err)
	return phc
}

func TestNewHasher(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name               string
		memory, iterations uint32
		lanes              uint8
		concurrency        int
		refused            string
	}{
		{"the default", 19456, 2, 1, 2, ""},
		{"one pass", 47104, 1, 1, 1, ""},
		{"three passes", 12288, 3, 1, 1, ""},
		{"four passes", 9216, 4, 1, 1, ""},
		{"five passes", 7168, 5, 1, 1, ""},
		{"more of everything", 65536, 4, 4, 8, ""},
		{"the most", 262144, 16, 16, 1, ""},
		{"too little memory for two passes", 19455, 2, 1, 2, "too cheaply"},
		{"too little memory for one pass", 47103, 1, 1, 2, "too cheaply"},
		{"too little memory for five passes", 7167, 9, 1, 2, "too cheaply"},
		{"no pass", 65536, 0, 1, 2, "too cheaply"},
		{"no lane", 19456, 2, 0, 2, "1 to 16"},
		{"too many lanes", 19456, 2, 17, 2, "1 to 16"},
		{"too much memory", 262145, 2, 1, 2, "at most 262144"},
		{"too many passes", 19456, 17, 1, 2, "at most 262144, 16"},
		{"nobody's turn", 19456, 2, 1, 0, "PASSWORD_CONCURRENCY is 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := account.NewHasher(account.PasswordConfig{
				Memory: tt.memory, Iterations: tt.iterations, Parallelism: tt.lanes, Concurrency: tt.concurrency,
			})
			if tt.refused == "" {
				must(t, err)
			} else if !fault.Is(err, fault.NotConfigured) || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("err = %v, want %q", err, tt.refused)
			}
		})
	}
}

func TestHasher(t *testing.T) {
	t.Parallel()
	h := newHasher(t, standard)
	phc := hashed(t, h, passphrase)
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("hash %s", phc)
	}
	if again := hashed(t, h, passphrase); again == phc {
		t.Error("a password has the same hash twice")
	}
	for _, tt := range []struct {
		name, password string
		want           bool
	}{
		{"the password", passphrase, true},
		{"another one", passphrase + "!", false},
		{"another case", strings.ToUpper(passphrase), false},
		{"none", "", false},
		{"a long one", strings.Repeat("x", 4096), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ok, outdated, err := h.Verify(t.Context(), tt.password, phc)
			must(t, err)
			if ok != tt.want || outdated {
				t.Errorf("Verify = %v, outdated %v", ok, outdated)
			}
		})
	}
	t.Run("a user who has none", func(t *testing.T) {
		t.Parallel()
		for _, password := range []string{"", passphrase} {
			if ok, outdated, err := h.Verify(t.Context(), password, ""); ok || outdated || err != nil {
				t.Errorf("Verify(%q) = %v, %v, %v", password, ok, outdated, err)
			}
		}
	})
}

func TestHasher_TellsWhatIsOutdated(t *testing.T) {
	t.Parallel()
	phc := hashed(t, newHasher(t, standard), passphrase)
	for _, tt := range []struct {
		name string
		now  account.PasswordConfig
		want bool
	}{
		{"more memory", account.PasswordConfig{Memory: 20480, Iterations: 2, Parallelism: 1, Concurrency: 1}, true},
		{"more passes", account.PasswordConfig{Memory: 19456, Iterations: 3, Parallelism: 1, Concurrency: 1}, true},
		{"more lanes", account.PasswordConfig{Memory: 19456, Iterations: 2, Parallelism: 2, Concurrency: 1}, true},
		{"less memory, more passes", account.PasswordConfig{Memory: 12288, Iterations: 3, Parallelism: 1, Concurrency: 1}, true},
		{"the same", standard, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ok, outdated, err := newHasher(t, tt.now).Verify(t.Context(), passphrase, phc)
			if err != nil || !ok || outdated != tt.want {
				t.Errorf("Verify = %v, outdated %v, %v", ok, outdated, err)
			}
		})
	}
	t.Run("less than it was made with", func(t *testing.T) {
		t.Parallel()
		strong := hashed(t, newHasher(t, account.PasswordConfig{Memory: 24576, Iterations: 3, Parallelism: 1, Concurrency: 1}), passphrase)
		if ok, outdated, err := newHasher(t, standard).Verify(t.Context(), passphrase, strong); !ok || outdated || err != nil {
			t.Errorf("Verify = %v, outdated %v, %v", ok, outdated, err)
		}
	})
}

func TestHasher_RefusesWhatItCannotHaveStored(t *testing.T) {
	t.Parallel()
	h := newHasher(t, standard)
	const salt, key = "c2FsdHNhbHRzYWx0c2FsdA", "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U"
	for name, phc := range map[string]string{
		"a password":        passphrase,
		"another algorithm": "$2a$10$" + strings.Repeat("a", 53),
		"argon2i":           "$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key,
		"another version":   "$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + key,
		"gigabytes":         "$argon2id$v=19$m=4194304,t=2,p=1$" + salt + "$" + key,
		"no end of passes":  "$argon2id$v=19$m=19456,t=4000000000,p=1$" + salt + "$" + key,
		"no pass":           "$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key,
		"no lane":           "$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + key,
		"an empty key":      "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$",
		"a short key":       "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$a2V5",
		"a huge key":        "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + strings.Repeat("a2V5", 40000),
		"a huge salt":       "$argon2id$v=19$m=19456,t=2,p=1$" + strings.Repeat("a2V5", 40000) + "$" + key,
		"a cut-off hash":    "$argon2id$v=19$m=19456,t=2,p=1$" + salt,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ok, _, err := h.Verify(t.Context(), passphrase, phc)
			if ok || !fault.Is(err, fault.Internal) {
				t.Fatalf("Verify = %v, %v", ok, err)
			}
			for _, secret := range []string{passphrase, salt, key} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells %s: %v", secret, err)
				}
			}
		})
	}
}

func TestHasher_WaitsForItsTurn(t *testing.T) {
	t.Parallel()
	one := standard
	one.Concurrency = 1
	h := newHasher(t, one)
	phc := hashed(t, h, passphrase)
	for name, call := range map[string]func(context.Context, *account.Hasher) error{
		"Hash": func(ctx context.Context, h *account.Hasher) error {
			_, err := h.Hash(ctx, passphrase)
			return err
		},
		"Verify": func(ctx context.Context, h *account.Hasher) error {
			_, _, err := h.Verify(ctx, passphrase, phc)
			return err
		},
		"Verify of nobody": func(ctx context.Context, h *account.Hasher) error {
			_, _, err := h.Verify(ctx, passphrase, "")
			return err
		},
	} {
		t.Run(name+" gives up after five seconds", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHasher(t, one)
				release := h.Hold()
				start := time.Now()
				wantBusy(t, call(t.Context(), h), context.DeadlineExceeded)
				if waited := time.Since(start); waited != 5*time.Second {
					t.Errorf("gave up after %s", waited)
				}
				release()
				must(t, call(t.Context(), h))
			})
		})
		t.Run(name+" gives up with its caller", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHasher(t, one)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				defer h.Hold()()
				start := time.Now()
				wantBusy(t, call(ctx, h), context.Canceled)
				if waited := time.Since(start); waited != time.Second {
					t.Errorf("gave up after %s", waited)
				}
			})
		})
		t.Run(name+" goes on when it is its turn", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHasher(t, one)
				time.AfterFunc(4*time.Second, h.Hold())
				must(t, call(t.Context(), h))
			})
		})
		t.Run(name+" does nothing for a caller who is gone", func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			wantBusy(t, call(ctx, newHasher(t, one)), context.Canceled)
		})
	}
}

func wantBusy(t *testing.T, err, cause error) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Unavailable || f.RetryAfter <= 0 || !errors.Is(err, cause) {
		t.Errorf("err = %#v, want unavailable by %v", err, cause)
	}
}

func TestHasher_ServesManyAtOnce(t *testing.T) {
	t.Parallel()
	h := newHasher(t, standard)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			password := fmt.Sprint(passphrase, i)
			phc, err := h.Hash(t.Context(), password)
			if err != nil {
				t.Error(err)
				return
			}
			if ok, _, err := h.Verify(t.Context(), password, phc); !ok || err != nil {
				t.Errorf("Verify = %v, %v", ok, err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkVerify(b *testing.B) {
	h := newHasher(b, standard)
	phc := hashed(b, h, passphrase)
	for _, bench := range []struct{ name, phc string }{{"a user", phc}, {"nobody", ""}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := h.Verify(b.Context(), passphrase, bench.phc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
