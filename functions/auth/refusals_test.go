package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mesherhq/mesher/functions/auth"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	var r auth.Refusals
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	network := func(i int) netip.Prefix {
		return netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.%d/32", i>>16, i>>8&255, i&255))
	}
	if !r.Due(network(1), now) || r.Due(network(1), now.Add(59*time.Second)) || !r.Due(network(2), now.Add(59*time.Second)) {
		t.Error("not one line a network and minute")
	}
	if !r.Due(network(1), now.Add(time.Minute)) {
		t.Error("nothing is logged in the next minute")
	}
	lines := 0
	for i := range 5000 {
		if r.Due(network(i), now.Add(2*time.Minute)) {
			lines++
		}
	}
	if lines != 500 {
		t.Errorf("5000 networks cause %d lines in a minute, want 500", lines)
	}
}

// Whoever reads the log sees that somebody is being attacked, and from where, but not who.
func TestLogin_IsLoggedWhenRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const email = "Nobody.in.particular@example.com"
	limited := 0
	for range 9 {
		if a := b.post(t, "/login", map[string]any{"email": email, "password": secret1}, from("198.51.100.7")); a.status == http.StatusTooManyRequests {
			limited++
		}
	}
	sum := sha256.Sum256([]byte(strings.ToLower(email)))
	hash := `"address_hash":"` + hex.EncodeToString(sum[:4]) + `"`
	failed, refused := 0, 0
	for line := range strings.Lines(b.logs.String()) {
		if strings.Contains(strings.ToLower(line), "particular") {
			t.Errorf("the address is logged: %s", line)
		}
		named := strings.Contains(line, hash) && strings.Contains(line, `"network":"198.51.100.7/32"`) && strings.Contains(line, `"level":"INFO"`)
		switch {
		case strings.Contains(line, "a login failed"):
			failed++
		case strings.Contains(line, "attempts are refused") && strings.Contains(line, `"bucket":"login"`):
			refused++
		case strings.Contains(line, `"level":"WARN"`):
			t.Errorf("an attacker causes warnings: %s", line)
			continue
		default:
			continue
		}
		if !named {
			t.Errorf("who and from where is not told: %s", line)
		}
	}
	if limited < 2 || failed != 9-limited || refused != 1 {
		t.Errorf("%d of 9 logins are limited; %d lines of failures, want %d, and %d of refusals, want 1", limited, failed, 9-limited, refused)
	}
}
