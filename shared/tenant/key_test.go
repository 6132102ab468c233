package tenant

import (
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestNewKey(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	chars := map[rune]int{}
	for range 2000 {
		key := NewKey()
		if seen[key] {
			t.Fatalf("%s came twice", key)
		}
		seen[key] = true
		if len(key) != 41 || !strings.HasPrefix(key, "mshr_") {
			t.Fatalf("key %q", key)
		}
		for _, c := range key[5:35] {
			chars[c]++
		}
		if i := strings.IndexFunc(key[5:], func(c rune) bool { return !strings.ContainsRune(base62, c) }); i >= 0 {
			t.Fatalf("key %q has a character that SDKs refuse", key)
		}
		hash, err := HashKey(key)
		if err != nil || hash == (KeyHash{}) {
			t.Fatalf("HashKey(%q) = %v", key, err)
		}
		prefix, lastFour, err := KeyParts(key)
		if err != nil || prefix != key[:9] || lastFour != key[37:] {
			t.Fatalf("KeyParts(%q) = %q, %q, %v", key, prefix, lastFour, err)
		}
	}
	// 60,000 characters, each of 62 about 968 times: ten standard deviations of room.
	if len(chars) != 62 {
		t.Errorf("%d characters are in use, want 62", len(chars))
	}
	for c, n := range chars {
		if n < 660 || n > 1280 {
			t.Errorf("%q came %d times, want about 968", c, n)
		}
	}
}

func TestHashKey_RefusesEveryTypingError(t *testing.T) {
	t.Parallel()
	key := NewKey()
	refused := func(s string) {
		t.Helper()
		_, err := HashKey(s)
		if !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("HashKey(%q) = %v, want it refused", s, err)
		}
		if err != nil && len(s) > 10 && strings.Contains(err.Error(), s) {
			t.Errorf("the error repeats the key: %v", err)
		}
		if _, _, err := KeyParts(s); err == nil {
			t.Errorf("KeyParts(%q) is not refused", s)
		}
	}
	for i := range key {
		for _, c := range base62 + "_ -é" {
			if wrong := key[:i] + string(c) + key[i+1:]; wrong != key {
				refused(wrong)
			}
		}
		refused(key[:i] + key[i+1:]) // one left out
		refused(key[:i])             // cut off
		if i > 0 && key[i] != key[i-1] {
			refused(key[:i-1] + key[i:i+1] + key[i-1:i] + key[i+1:]) // two swapped
		}
	}
	for _, s := range []string{"", "mshr_", key + "x", " " + key, key + "\n", strings.ToUpper(key), "sk_live_" + key} {
		refused(s)
	}
}
