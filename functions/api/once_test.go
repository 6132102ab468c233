package api_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/shared/tenant"
)

const idempotency = "Idempotency-Key"

// TestIdempotency repeats each creating call.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	b := setup(t, "open")
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	k := b.key(t, shop, "key")
	inAcme, inShop := "/organizations/"+acme.ID.String(), "/projects/"+shop.ID.String()
	for _, tt := range []struct{ name, path, body, other, rows string }{
		{"tokens", "/user/tokens", `{"label":"x","scope":"read","password":"` + password + `"}`, `{"label":"y","scope":"read","password":"` + password + `"}`, "personal_access_tokens"},
		{"organizations", "/organizations", `{"name":"X"}`, `{"name":"Y"}`, "organizations"},
		{"invitations", inAcme + "/invitations", `{"email":"x@example.com","role":"member"}`, `{"email":"x@example.com","role":"admin"}`, "notifications"},
		{"projects", inAcme + "/projects", `{"name":"X"}`, `{"name":"X","rate_limit":1}`, "projects"},
		{"keys", inShop + "/keys", `{"label":"x"}`, `{"label":"x","environment":"y"}`, "api_keys"},
		{"rotations", inShop + "/keys/" + k.ID.String() + "/rotate", `{"overlap":"1h"}`, `{"overlap":"2h"}`, "api_keys"},
	} {
		t.Run("repeats "+tt.name, func(t *testing.T) {
			before, entries := b.count(t, "select count(*) from mesher."+tt.rows), len(b.trail(t))
			first := b.post(t, anna, tt.path, tt.body, idempotency, tt.name).is(http.StatusCreated)
			again := b.post(t, anna, tt.path, tt.body, idempotency, tt.name).is(http.StatusCreated)
			if diff := cmp.Diff(string(first.body), string(again.body)); diff != "" {
				t.Errorf("the answers differ (-first +again):\n%s", diff)
			}
			if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
				t.Error("the answers do not tell which is the first")
			}
			b.post(t, anna, tt.path, tt.other, idempotency, tt.name).refused(http.StatusConflict, "idempotency_key_reused", "another call")
			if n := b.count(t, "select count(*) from mesher."+tt.rows); n != before+1 {
				t.Errorf("%d more rows, want 1", n-before)
			}
			if n := len(b.trail(t)); n != entries+1 {
				t.Errorf("%d more entries in the audit log, want 1", n-entries)
			}
		})
	}
	if n := len(b.queue.published()); n != 1 {
		t.Errorf("%d mails were published, want 1", n)
	}
}

func TestIdempotency_OfKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	ben := b.member(t, acme, "ben", tenant.Admin)
	path := "/projects/" + b.project(t, acme, "Shop").ID.String() + "/keys"
	create := func(p person, key, label string) answer {
		return b.post(t, p, path, `{"label":"`+label+`"}`, idempotency, key)
	}
	labelled := func(label string) int {
		return b.count(t, `select count(*) from mesher.api_keys where label = $1`, label)
	}

	t.Run("creates once for many at a time", func(t *testing.T) {
		got := make([]answer, 10)
		var calls sync.WaitGroup
		for i := range got {
			calls.Go(func() { got[i] = create(anna, "parallel", "parallel") })
		}
		calls.Wait()
		secrets := map[string]bool{}
		for _, a := range got {
			secrets[read[api.IssuedKey](a, http.StatusCreated).Secret] = true
		}
		if len(secrets) != 1 || labelled("parallel") != 1 {
			t.Errorf("%d secrets of %d keys, want one", len(secrets), labelled("parallel"))
		}
	})

	t.Run("is of each user's own", func(t *testing.T) {
		annas := read[api.IssuedKey](create(anna, "same", "same"), http.StatusCreated)
		bens := read[api.IssuedKey](create(ben, "same", "same"), http.StatusCreated)
		if annas.Secret == bens.Secret || labelled("same") != 2 {
			t.Error("two users who chose the same Idempotency-Key got one API key")
		}
	})

	t.Run("keeps no secret that can be read", func(t *testing.T) {
		secret := read[api.IssuedKey](create(anna, "secret", "secret"), http.StatusCreated).Secret
		for _, text := range []string{secret, secret[:20], anna.Secret, "secret"} {
			if n := b.count(t, `select count(*) from mesher.idempotency_keys
				where position($1::text::bytea in body) > 0 or position($1::text::bytea in key_hash) > 0`, text); n != 0 {
				t.Errorf("%d rows hold %q", n, text)
			}
		}
		if n := b.count(t, `select count(*) from mesher.idempotency_keys`); n == 0 {
			t.Error("nothing is kept that could hold it")
		}
	})

	t.Run("is forgotten after a day", func(t *testing.T) {
		first := read[api.IssuedKey](create(anna, "old", "old"), http.StatusCreated)
		b.Exec(t, `update mesher.idempotency_keys set created_at = now() - interval '23 hours 59 minutes'`)
		if again := read[api.IssuedKey](create(anna, "old", "old"), http.StatusCreated); again.Secret != first.Secret {
			t.Error("it is forgotten before a day is over")
		}
		b.Exec(t, `update mesher.idempotency_keys set created_at = now() - interval '24 hours 1 second'`)
		if again := read[api.IssuedKey](create(anna, "old", "old"), http.StatusCreated); again.Secret == first.Secret || labelled("old") != 2 {
			t.Error("it is remembered after a day")
		}
	})

	t.Run("does not stand in the way of a call that failed", func(t *testing.T) {
		create(anna, "failed", "").is(http.StatusBadRequest)
		create(anna, "failed", "failed ").is(http.StatusBadRequest)
		create(anna, "failed", "failed").is(http.StatusCreated)
	})

	t.Run("is not too long", func(t *testing.T) {
		long := make([]byte, 201)
		for i := range long {
			long[i] = 'x'
		}
		create(anna, string(long), "long").refused(http.StatusBadRequest, "invalid", "header.Idempotency-Key: ")
	})

	t.Run("creates each time without one", func(t *testing.T) {
		for range 2 {
			b.post(t, anna, path, `{"label":"twice"}`).is(http.StatusCreated)
		}
		if labelled("twice") != 2 {
			t.Errorf("%d keys, want 2", labelled("twice"))
		}
	})
}
