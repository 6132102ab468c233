package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/account"
)

// rounds is how often each of two kinds of calls is timed, in random order.
const rounds = 60

// TestTiming_TellsNothing compares what those learn who ask about an address that has an account and about one that has
// none: the same answer, after the same time. Times are printed for people to compare; a busy machine decides too much of
// them for a test to judge.
func TestTiming_TellsNothing(t *testing.T) {
	t.Parallel()
	p := start(t, newHome(t))
	db, err := pgxpool.New(t.Context(), p.DatabaseURL)
	fatal(t, err)
	defer db.Close()
	hasher, err := account.NewHasher(account.PasswordConfig{Memory: 19456, Iterations: 2, Parallelism: 1, Concurrency: 2})
	fatal(t, err)
	hash, err := hasher.Hash(t.Context(), "the password of everybody here")
	fatal(t, err)
	known := func() string {
		email := uuid.NewString() + "@example.com"
		_, _, err := account.CreateUser(t.Context(), db, account.NewUser{Email: email, PasswordHash: hash, Verified: true})
		fatal(t, err)
		return email
	}
	unknown := func() string { return uuid.NewString() + "@example.com" }

	for _, c := range []struct{ path, body string }{
		{"login", `{"email":"%s","password":"not the right password"}`},
		{"register", `{"email":"%s","password":"violet tractor 9 moons"}`},
		{"password/forgot", `{"email":"%s"}`},
		{"verify/resend", `{"email":"%s"}`},
	} {
		times := map[string][]time.Duration{}
		answers := map[string]bool{}
		for range rounds {
			kinds := []string{"known", "unknown"}
			rand.Shuffle(2, func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
			for _, kind := range kinds {
				email := unknown()
				if kind == "known" {
					email = known()
				}
				_, err := db.Exec(t.Context(), "delete from mesher.throttles")
				fatal(t, err)
				began := time.Now()
				status, _, text := call(t, http.MethodPost, p.URL+"/auth/v1/"+c.path, "", fmt.Sprintf(c.body, email))
				times[kind] = append(times[kind], time.Since(began))
				answers[fmt.Sprint(status, strings.ReplaceAll(text, email, "…"))] = true
			}
		}
		if len(answers) != 1 {
			t.Errorf("%s has several answers: %v", c.path, answers)
		}
		t.Logf("%-16s known %s; unknown %s; a known one takes longer in %.0f %% of pairs (50 tells nothing)", c.path,
			spread(times["known"]), spread(times["unknown"]), 100*longer(times["known"], times["unknown"]))
	}
}

// spread returns quartiles.
func spread(d []time.Duration) string {
	s := slices.Sorted(slices.Values(d))
	at := func(share float64) time.Duration { return s[int(share*float64(len(s)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("p25 %v p50 %v p75 %v", at(0.25), at(0.5), at(0.75))
}

// longer returns the share of all pairs of one of a and one of b in which that of a took longer.
func longer(a, b []time.Duration) float64 {
	n := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				n++
			case x == y:
				n += 0.5
			}
		}
	}
	return n / float64(len(a)*len(b))
}
