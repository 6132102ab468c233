package secret_test

import (
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/secret"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

var kinds = []struct {
	kind   secret.Kind
	prefix string
	length int
}{
	{secret.APIKey, "mshr_", 41},
	{secret.PersonalToken, "mshp_", 41},
	{secret.Session, "mshs_", 54},
	{secret.OneTime, "msho_", 54},
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.kind.Name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			chars := map[rune]int{}
			for range 2000 {
				s := k.kind.New()
				if seen[s] {
					t.Fatalf("%s came twice", s)
				}
				seen[s] = true
				wellFormed(t, k.kind, s, k.prefix, k.length)
				for _, c := range s[len(k.prefix) : k.length-6] {
					chars[c]++
				}
			}
			evenly(t, chars, 2000*k.kind.Random)
		})
	}
}

func wellFormed(t *testing.T, kind secret.Kind, s, prefix string, length int) {
	t.Helper()
	if len(s) != length || !strings.HasPrefix(s, prefix) {
		t.Fatalf("secret %q, want %d characters that start with %s", s, length, prefix)
	}
	if i := strings.IndexFunc(s[len(prefix):], func(c rune) bool { return !strings.ContainsRune(base62, c) }); i >= 0 {
		t.Fatalf("secret %q has a character that SDKs refuse", s)
	}
	hash, err := kind.Hash(s)
	if err != nil || hash == (secret.Hash{}) {
		t.Fatalf("Hash(%q) = %v", s, err)
	}
	start, lastFour, err := kind.Parts(s)
	if err != nil || start != s[:9] || lastFour != s[length-4:] {
		t.Fatalf("Parts(%q) = %q, %q, %v", s, start, lastFour, err)
	}
}

// evenly checks that each of the 62 characters came about as often as the others: ten standard deviations of room.
func evenly(t *testing.T, chars map[rune]int, total int) {
	t.Helper()
	if len(chars) != 62 {
		t.Errorf("%d characters are in use, want 62", len(chars))
	}
	want := total / 62
	for c, n := range chars {
		if n < want*68/100 || n > want*132/100 {
			t.Errorf("%q came %d times, want about %d", c, n, want)
		}
	}
}

func TestHash_RefusesEveryTypingError(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.kind.Name, func(t *testing.T) {
			t.Parallel()
			s := k.kind.New()
			for i := range s {
				for _, c := range base62 + "_ -é" {
					if wrong := s[:i] + string(c) + s[i+1:]; wrong != s {
						refused(t, k.kind, wrong)
					}
				}
				refused(t, k.kind, s[:i]+s[i+1:]) // one left out
				refused(t, k.kind, s[:i])         // cut off
				if i > 0 && s[i] != s[i-1] {
					refused(t, k.kind, s[:i-1]+s[i:i+1]+s[i-1:i]+s[i+1:]) // two swapped
				}
			}
			for _, wrong := range []string{"", k.prefix, s + "x", " " + s, s + "\n", strings.ToUpper(s), "sk_live_" + s} {
				refused(t, k.kind, wrong)
			}
		})
	}
}

func TestHash_RefusesOtherKinds(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		for _, other := range kinds {
			if k.kind != other.kind {
				refused(t, k.kind, other.kind.New())
			}
		}
	}
}

func refused(t *testing.T, kind secret.Kind, s string) {
	t.Helper()
	_, err := kind.Hash(s)
	if !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("Hash(%q) = %v, want it refused", s, err)
	}
	if err != nil && !strings.Contains(err.Error(), kind.Name) {
		t.Errorf("the error does not say that a %s is expected: %v", kind.Name, err)
	}
	if err != nil && len(s) > 10 && strings.Contains(err.Error(), s) {
		t.Errorf("the error repeats the secret: %v", err)
	}
	if _, _, err := kind.Parts(s); err == nil {
		t.Errorf("Parts(%q) is not refused", s)
	}
}
