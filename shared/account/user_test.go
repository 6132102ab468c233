package account_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
)

func TestCreateUser(t *testing.T) {
	t.Parallel()
	f := setup(t)
	carl, created, err := account.CreateUser(t.Context(), f.app, account.NewUser{
		Email: "Carl@Example.com", Name: "Carl Ö. 🚀", PasswordHash: "hash", Verified: true,
	})
	must(t, err)
	if !created || carl.Email != "Carl@Example.com" || carl.Name != "Carl Ö. 🚀" || !carl.Verified || carl.ID.Version() != 7 || carl.CreatedAt.IsZero() {
		t.Errorf("created %t: %+v", created, carl)
	}
	found, err := account.FindUser(t.Context(), f.app, carl.ID)
	must(t, err)
	if diff := cmp.Diff(carl, found); diff != "" {
		t.Errorf("found (-created +found):\n%s", diff)
	}

	t.Run("leaves who has the address unchanged", func(t *testing.T) {
		t.Parallel()
		got, created, err := account.CreateUser(t.Context(), f.app, account.NewUser{
			Email: "cARL@example.COM", Name: "Mallory", PasswordHash: "other",
		})
		must(t, err)
		if created {
			t.Error("the address was given a second time")
		}
		if diff := cmp.Diff(carl, got); diff != "" {
			t.Errorf("the user (-was +is):\n%s", diff)
		}
		if _, hash, err := account.FindLogin(t.Context(), f.app, "carl@example.com"); err != nil || hash != "hash" {
			t.Errorf("the hash is %q, %v", hash, err)
		}
	})
	for _, tt := range []struct {
		name string
		in   account.NewUser
		says string
	}{
		{name: "an address that is none", in: account.NewUser{Email: "carl"}, says: "e-mail address"},
		{name: "a long name", in: account.NewUser{Email: "d@example.com", Name: strings.Repeat("é", 201)}, says: "201"},
		{name: "a name with a NUL", in: account.NewUser{Email: "d@example.com", Name: "a\x00b"}, says: "cannot be shown"},
		{name: "a name with half a character", in: account.NewUser{Email: "d@example.com", Name: "a\xc3"}, says: "cannot be shown"},
		{name: "a name that turns the text around", in: account.NewUser{Email: "d@example.com", Name: "a\u202eb"}, says: "cannot be shown"},
		{name: "a blank name", in: account.NewUser{Email: "d@example.com", Name: " "}, says: "space"},
	} {
		t.Run("refuses "+tt.name, func(t *testing.T) {
			t.Parallel()
			_, created, err := account.CreateUser(t.Context(), f.app, tt.in)
			wantFault(t, err, fault.Invalid, tt.says)
			if created {
				t.Error("it is created all the same")
			}
		})
	}
	t.Run("takes the longest name and none", func(t *testing.T) {
		t.Parallel()
		for email, name := range map[string]string{"long@example.com": strings.Repeat("é", 200), "none@example.com": ""} {
			if u, _, err := account.CreateUser(t.Context(), f.app, account.NewUser{Email: email, Name: name}); err != nil || u.Name != name {
				t.Errorf("%+v, %v", u, err)
			}
		}
	})
}

func TestCreateUser_Race(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var mu sync.Mutex
	var all sync.WaitGroup
	ids, made := map[uuid.UUID]int{}, 0
	for i := range 12 {
		conn := f.Conn(t, pgtest.App)
		email := strings.ToUpper("race"[:i%4]) + "race"[i%4:] + "@example.com"
		all.Go(func() {
			u, created, err := account.CreateUser(context.Background(), conn, account.NewUser{Email: email})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%s: %v", email, err)
			}
			ids[u.ID]++
			if created {
				made++
			}
		})
	}
	all.Wait()
	if len(ids) != 1 || made != 1 {
		t.Errorf("%d created, ids %v; want one", made, ids)
	}
}

func TestFindUser(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, err := account.FindUser(t.Context(), f.app, uuid.New())
	wantFault(t, err, fault.NotFound)
	for _, email := range []string{"anna@example.com", "ANNA@Example.Com", " anna@example.com "} {
		if u, hash, err := account.FindLogin(t.Context(), f.app, email); err != nil || u != f.anna || hash != "" {
			t.Errorf("%q is %+v with %q, %v; want %+v", email, u, hash, err, f.anna)
		}
	}
	for _, email := range []string{"", "nobody@example.com", "anna", "anna@example.com\x00", "anna\xc3@example.com", "%@example.com", "' or true --@example.com"} {
		_, hash, err := account.FindLogin(t.Context(), f.app, email)
		wantFault(t, err, fault.NotFound)
		if hash != "" {
			t.Errorf("%q has the hash %q", email, hash)
		}
	}
}

func TestAnyUser(t *testing.T) {
	t.Parallel()
	app := pgtest.New(t).Pool(t, pgtest.App)
	for _, want := range []bool{false, false, true} {
		if got, err := account.AnyUser(t.Context(), app); got != want || err != nil {
			t.Errorf("any user: %t, %v; want %t", got, err, want)
		}
		u, created, err := account.CreateUser(t.Context(), app, account.NewUser{Email: "anna@example.com"})
		must(t, err)
		if !created {
			must(t, account.SetEmail(t.Context(), app, u.ID, u.Email)) // verifies it
		}
	}
}

func TestChangeUser(t *testing.T) {
	t.Parallel()
	f := setup(t)
	t.Run("name", func(t *testing.T) {
		t.Parallel()
		u, err := account.RenameUser(t.Context(), f.app, f.bert.ID, "Bert")
		if err != nil || u.Name != "Bert" || u.ID != f.bert.ID {
			t.Errorf("%+v, %v", u, err)
		}
		_, err = account.RenameUser(t.Context(), f.app, f.bert.ID, strings.Repeat("b", 201))
		wantFault(t, err, fault.Invalid)
		_, err = account.RenameUser(t.Context(), f.app, uuid.New(), "Nobody")
		wantFault(t, err, fault.NotFound)
	})
	t.Run("password", func(t *testing.T) {
		t.Parallel()
		u := f.user(t, "password@example.com")
		hash := func() string {
			_, hash, err := account.FindLogin(t.Context(), f.app, u.Email)
			must(t, err)
			return hash
		}
		reset, verify := f.link(t, account.ResetPassword, u), f.link(t, account.VerifyEmail, u)
		must(t, account.SetPassword(t.Context(), f.app, u.ID, "one"))
		_, err := account.UseOneTime(t.Context(), f.app, account.ResetPassword, reset)
		wantInvalidToken(t, err)
		if _, err := account.UseOneTime(t.Context(), f.app, account.VerifyEmail, verify); err != nil {
			t.Errorf("a new password voids the link that verifies the address: %v", err)
		}
		must(t, account.UpgradePassword(t.Context(), f.app, u.ID, "one", "two"))
		if got := hash(); got != "two" {
			t.Errorf("the hash is %q after an upgrade, want two", got)
		}
		must(t, account.UpgradePassword(t.Context(), f.app, u.ID, "one", "three"))
		if got := hash(); got != "two" {
			t.Errorf("the hash is %q after the upgrade of an old password, want two", got)
		}
		wantFault(t, account.SetPassword(t.Context(), f.app, uuid.New(), "x"), fault.NotFound)
	})
	t.Run("address", func(t *testing.T) {
		t.Parallel()
		u := f.user(t, "old@example.com")
		must(t, account.SetEmail(t.Context(), f.app, u.ID, "New@example.com"))
		got, err := account.FindUser(t.Context(), f.app, u.ID)
		if err != nil || got.Email != "New@example.com" || !got.Verified {
			t.Errorf("%+v, %v; want a new address that is verified", got, err)
		}
		must(t, account.SetEmail(t.Context(), f.app, u.ID, "new@example.com"))
		must(t, account.SetEmail(t.Context(), f.app, f.bert.ID, f.bert.Email)) // verifies it
		wantFault(t, account.SetEmail(t.Context(), f.app, u.ID, "BERT@example.com"), fault.Conflict)
		wantFault(t, account.SetEmail(t.Context(), f.app, u.ID, "none"), fault.Invalid)
		wantFault(t, account.SetEmail(t.Context(), f.app, uuid.New(), "x@example.com"), fault.NotFound)
		if got, err = account.FindUser(t.Context(), f.app, u.ID); err != nil || got.Email != "new@example.com" {
			t.Errorf("after refusals %+v, %v", got, err)
		}
	})
}

func TestDeleteUser(t *testing.T) {
	t.Parallel()
	f := setup(t)
	org := f.organization(t, "acme")
	for _, u := range []account.User{f.anna, f.bert} {
		f.run(t, `insert into mesher.memberships (organization_id, user_id, role) values ($1, $2, 'owner')`, org, u.ID)
		_, _, err := account.StartSession(t.Context(), f.app, week, u.ID, home)
		must(t, err)
		_, _, err = account.IssueToken(t.Context(), f.app, u.ID, account.TokenSpec{Label: "ci", Scope: account.ScopeRead})
		must(t, err)
		_, err = account.IssueOneTime(t.Context(), f.app, account.ResetPassword, u.ID, u.Email)
		must(t, err)
	}
	must(t, account.DeleteUser(t.Context(), f.app, f.anna.ID))
	_, err := account.FindUser(t.Context(), f.app, f.anna.ID)
	wantFault(t, err, fault.NotFound)
	wantFault(t, account.DeleteUser(t.Context(), f.app, f.anna.ID), fault.NotFound)
	for _, table := range []string{"memberships", "sessions", "personal_access_tokens", "one_time_tokens"} {
		var hers, his int
		f.scan(t, &hers, `select count(*) from mesher.`+table+` where user_id = $1`, f.anna.ID)
		f.scan(t, &his, `select count(*) from mesher.`+table+` where user_id = $1`, f.bert.ID)
		if hers != 0 || his != 1 {
			t.Errorf("%s: %d rows of the deleted user, %d of the other; want 0 and 1", table, hers, his)
		}
	}
}
