package auth_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mesherhq/mesher/functions/auth"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/rest"
)

// BenchmarkLogin_DuringAFlood logs a user in from a known network while 300 connections send wrong passwords, each from
// another IPv6 /64, as fast as they are answered. It reports how long the user waits, with all that is to be tried again.
func BenchmarkLogin_DuringAFlood(b *testing.B) {
	for name, address := range map[string]string{
		"of one site":   "2001:db8:1:%x::1",
		"of many sites": "2001:db8:%x::1",
	} {
		b.Run(name, func(b *testing.B) { flood(b, address) })
	}
}

func flood(b *testing.B, address string) {
	db := pgtest.New(b)
	pool := db.Pool(b, pgtest.App)
	passwords := account.PasswordConfig{Memory: 19456, Iterations: 2, Parallelism: 1, Concurrency: 2}
	log := slog.New(slog.DiscardHandler)
	sessions := account.SessionConfig{Idle: 168 * time.Hour, Lifetime: 720 * time.Hour}
	f, err := auth.Compose(auth.Config{Config: rest.Config{Sessions: sessions, Hops: 1}, Passwords: passwords, Registration: auth.Open},
		pool, outbox.New(pool, new(queue), log), log)
	check(b, err)
	server := httptest.NewServer(f)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 400}}
	login := func(email, password, ip string) (int, time.Duration) {
		body := fmt.Sprintf(`{"email":%q,"password":%q}`, email, password)
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/auth/v1/login", bytes.NewReader([]byte(body)))
		if err != nil {
			return 0, 0
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", ip)
		res, err := client.Do(r)
		if err != nil {
			return 0, 0
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		wait, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return res.StatusCode, time.Duration(wait) * time.Second
	}
	hasher, err := account.NewHasher(passwords)
	check(b, err)
	hash, err := hasher.Hash(b.Context(), secret1)
	check(b, err)
	_, _, err = account.CreateUser(b.Context(), pool, account.NewUser{Email: "ada@example.com", PasswordHash: hash, Verified: true})
	check(b, err)
	if status, _ := login("ada@example.com", secret1, "192.0.2.1"); status != http.StatusOK {
		b.Fatalf("status %d before the flood", status)
	}

	var next, answered atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 300 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := next.Add(1)
				login(fmt.Sprintf("u%d@example.com", n), secret2, fmt.Sprintf(address, n%0xffff))
				answered.Add(1)
			}
		})
	}
	for answered.Load() < 300 { // the flood is at its height
		time.Sleep(10 * time.Millisecond)
	}
	var took []time.Duration
	var again int
	for b.Loop() {
		start := time.Now()
		for {
			status, wait := login("ada@example.com", secret1, "192.0.2.1")
			if status == http.StatusOK {
				break
			}
			again++
			time.Sleep(max(wait, 10*time.Millisecond)) // as the answer asks
		}
		took = append(took, time.Since(start))
	}
	close(stop)
	wg.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "median-ms")
	b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "longest-ms")
	b.ReportMetric(float64(again), "refusals")
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
