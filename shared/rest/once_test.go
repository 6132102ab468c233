package rest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/pgtest"
)

// make asks for a thing with an Idempotency-Key.
func (s *server) make(t testing.TB, name, key, credential string) answer {
	t.Helper()
	return s.send(t, http.MethodPost, "/api/v1/things", `{"name":"`+name+`"}`, "Idempotency-Key", key, "Authorization", "Bearer "+credential)
}

// times returns how often a thing of the name was made.
func (s *server) times(name string) int { s.mu.Lock(); defer s.mu.Unlock(); return s.made[name] }

func (s *server) hook(name string, f func()) { s.mu.Lock(); defer s.mu.Unlock(); s.hooks[name] = f }

func (s *server) rows(t testing.TB) (n int) {
	t.Helper()
	must(t, s.app.QueryRow(t.Context(), "select count(*) from mesher.idempotency_keys").Scan(&n))
	return n
}

func TestOnce(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(*testing.T, *server){
		"without a key each call creates": func(t *testing.T, s *server) {
			a, b := s.make(t, "n", "", s.session), s.make(t, "n", "", s.session)
			if a.StatusCode != 201 || b.StatusCode != 201 || a.text == b.text || s.times("n") != 2 || s.rows(t) != 0 {
				t.Errorf("%s and %s, made %d times", a.text, b.text, s.times("n"))
			}
		},
		"with one the second is answered as the first": func(t *testing.T, s *server) {
			a, b := s.make(t, "n", "k", s.session), s.make(t, "n", "k", s.session)
			if a.StatusCode != 201 || b.StatusCode != 201 || a.text != b.text || s.times("n") != 1 {
				t.Errorf("%d %s and %d %s, made %d times", a.StatusCode, a.text, b.StatusCode, b.text, s.times("n"))
			}
			if a.Header["Idempotency-Replayed"] != nil || b.Header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("headers %v and %v", a.Header, b.Header)
			}
		},
		"who may not any more gets no answer again": func(t *testing.T, s *server) {
			s.make(t, "n", "k", s.session)
			s.refuses.Store(true)
			if a := s.make(t, "n", "k", s.session); !a.is(403, "forbidden") || strings.Contains(a.text, "the-secret") {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		},
		"ten at once create once": func(t *testing.T, s *server) {
			var wg sync.WaitGroup
			answers := make([]string, 10)
			for i := range answers {
				wg.Go(func() { answers[i] = s.make(t, "n", "k", s.session).text })
			}
			wg.Wait()
			for _, a := range answers {
				if diff := cmp.Diff(answers[0], a); diff != "" || !strings.Contains(a, "the-secret-of-n") {
					t.Errorf("answers differ: %s", diff)
				}
			}
			if s.times("n") != 1 {
				t.Errorf("made %d times", s.times("n"))
			}
		},
		"another input is a conflict": func(t *testing.T, s *server) {
			s.make(t, "n", "k", s.session)
			if a := s.make(t, "m", "k", s.session); !a.is(409, "idempotency_key_reused") || s.times("m") != 0 {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		},
		"another key or credential is another call": func(t *testing.T, s *server) {
			s.make(t, "n", "k", s.session)
			s.make(t, "n", "K", s.session)
			s.make(t, "n", "k", s.login(t))
			s.make(t, "n", "k", s.token(t, account.ScopeWrite))
			if s.times("n") != 4 || s.rows(t) != 4 {
				t.Errorf("made %d times, %d rows", s.times("n"), s.rows(t))
			}
		},
		"what fails is kept nowhere and may be tried again": func(t *testing.T, s *server) {
			for range 2 {
				if a := s.make(t, "fails", "k", s.session); !a.is(409, "name_taken") {
					t.Errorf("%d %s", a.StatusCode, a.text)
				}
			}
			s.hook("n", func() { panic("boom") })
			if a := s.make(t, "n", "k", s.session); a.StatusCode != 500 || s.rows(t) != 0 {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
			s.hook("n", nil)
			if a := s.make(t, "n", "k", s.session); a.StatusCode != 201 || s.times("fails") != 2 || s.times("n") != 2 {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		},
		"nobody can read or guess what is kept": func(t *testing.T, s *server) {
			s.make(t, "n", "my-key", s.session)
			s.make(t, "n", "my-key", s.login(t))
			rows, err := s.db.Pool(t, pgtest.Admin).Query(t.Context(), "select body, request_hash, to_jsonb(k)::text from mesher.idempotency_keys k")
			must(t, err)
			defer rows.Close()
			seen := map[string]bool{}
			for rows.Next() {
				var body, request []byte
				var all string
				must(t, rows.Scan(&body, &request, &all))
				if strings.Contains(string(body), "secret") || strings.Contains(all, "my-key") || seen[string(request)] {
					t.Errorf("a row shows %s", all)
				}
				seen[string(request)] = true
			}
			must(t, rows.Err())
			if len(seen) != 2 {
				t.Errorf("%d rows", len(seen))
			}
		},
		"a row of another secret is not opened": func(t *testing.T, s *server) {
			other := s.login(t)
			s.make(t, "n", "k", other)
			_, err := s.db.Pool(t, pgtest.Admin).Exec(t.Context(), "update mesher.idempotency_keys set credential_id = $1", s.who.Credential)
			must(t, err)
			if a := s.make(t, "n", "k", s.session); !a.is(409, "idempotency_key_reused") || strings.Contains(a.text, "the-secret") {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		},
		"a row that somebody changed is not answered": func(t *testing.T, s *server) {
			s.make(t, "n", "k", s.session)
			_, err := s.db.Pool(t, pgtest.Admin).Exec(t.Context(), "update mesher.idempotency_keys set body = set_byte(body, 20, get_byte(body, 20) # 1)")
			must(t, err)
			if a := s.make(t, "n", "k", s.session); !a.is(500, "internal") || s.times("n") != 1 {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		},
		"after a day it is forgotten, with all of the credential's": func(t *testing.T, s *server) {
			s.make(t, "n", "k", s.session)
			s.make(t, "n", "k2", s.session)
			s.make(t, "n", "k", s.login(t))
			age := func(interval string) {
				_, err := s.db.Pool(t, pgtest.Admin).Exec(t.Context(), "update mesher.idempotency_keys set created_at = now() - $1::text::interval", interval)
				must(t, err)
			}
			age("23 hours 59 minutes")
			if a := s.make(t, "n", "k", s.session); a.Header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
			age("24 hours 1 minute")
			if a := s.make(t, "m", "k", s.session); a.StatusCode != 201 || s.times("m") != 1 || s.rows(t) != 2 {
				t.Errorf("%d %s, %d rows", a.StatusCode, a.text, s.rows(t))
			}
		},
		"a call that lasts lets others with the key come back later": func(t *testing.T, s *server) {
			began, end := make(chan struct{}), make(chan struct{})
			s.hook("n", func() { close(began); <-end })
			var wg sync.WaitGroup
			wg.Go(func() {
				if a := s.make(t, "n", "k", s.session); a.StatusCode != 201 {
					t.Errorf("%d %s", a.StatusCode, a.text)
				}
			})
			<-began
			if a := s.make(t, "n", "k", s.session); !a.is(503, "unavailable") || a.Header.Get("Retry-After") != "1" || !strings.Contains(a.text, "under way") {
				t.Errorf("%d %s %v", a.StatusCode, a.text, a.Header)
			}
			if a := s.make(t, "fails", "k2", s.session); a.StatusCode != 409 {
				t.Errorf("another key: %d %s", a.StatusCode, a.text)
			}
			close(end)
			wg.Wait()
			if a := s.make(t, "n", "k", s.session); a.Header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		},
		"who does not say who they are cannot keep anything": func(t *testing.T, s *server) {
			path, body := "/api/v1/anonymous", `{"name":"n"}`
			if a := s.send(t, "POST", path, body); a.StatusCode != 200 {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
			if a := s.send(t, "POST", path, body, "Idempotency-Key", "k"); a.StatusCode != 500 || s.times("n") != 1 || s.rows(t) != 0 {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		},
		"a key that is too long is refused": func(t *testing.T, s *server) {
			a := s.make(t, "n", strings.Repeat("k", 201), s.session)
			if !a.is(400, "invalid") || !strings.Contains(a.text, "header.Idempotency-Key") {
				t.Errorf("%d %s", a.StatusCode, a.text)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, setup(t))
		})
	}
}

// TestOnce_ManyKeys has calls with other keys meet while old rows are forgotten.
func TestOnce_ManyKeys(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, key := range []string{"a", "b", "c", "d"} {
		s.make(t, "fails-not", key, s.session)
	}
	_, err := s.db.Pool(t, pgtest.Admin).Exec(t.Context(), "update mesher.idempotency_keys set created_at = now() - interval '2 days'")
	must(t, err)
	began, end := make(chan struct{}), make(chan struct{})
	s.hook("n", func() { close(began); <-end })
	var wg sync.WaitGroup
	wg.Go(func() { s.make(t, "n", "x", s.session) }) // forgets all and lasts
	<-began
	if a := s.make(t, "fails", "y", s.session); !a.is(409, "name_taken") {
		t.Errorf("a call with another key waited: %d %s", a.StatusCode, a.text)
	}
	close(end)
	wg.Wait()
	if s.rows(t) != 1 {
		t.Errorf("%d rows", s.rows(t))
	}
	var got thing
	must(t, json.Unmarshal([]byte(s.make(t, "n", "x", s.session).text), &got))
	if got.Secret != "the-secret-of-n" {
		t.Errorf("got %+v", got)
	}
}
