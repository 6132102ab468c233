package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/tenant"
)

// setupOwner is the owner that is asked for, if any.
type setupOwner struct {
	email, name string
	hasher      *account.Hasher
}

// check refuses what no user can be made of. Passwords are hashed with the settings that Auth hashes them with.
func (o *setupOwner) check(lookup env.Lookup) error {
	if o.email == "" && o.name == "" {
		return nil
	}
	if o.email == "" {
		return fmt.Errorf("%w: -owner-name is about the user of -owner", errUsage)
	}
	var err error
	if o.email, err = account.NormalEmail(o.email); err != nil {
		return fmt.Errorf("%w: -owner: %w", errUsage, err)
	}
	if o.name != "" {
		if err := tenant.CheckName("owner's name", o.name); err != nil {
			return fmt.Errorf("%w: -owner-name: %w", errUsage, err)
		}
	}
	var cost account.PasswordConfig
	if err := env.Read(lookup, &cost); err != nil {
		return fmt.Errorf("read what hashing a password costs: %w", err)
	}
	o.hasher, err = account.NewHasher(cost)
	return err
}

// seedOwner makes sure that the organization has the owner who is asked for. The password of a user who is there
// already is not touched.
func (s *setup) seedOwner(ctx context.Context, tx pgx.Tx) (string, error) {
	if s.owner.email == "" {
		return "", s.noteOwner(ctx, tx)
	}
	u, password, err := s.ensureUser(ctx, tx)
	if err != nil {
		return "", err
	}
	created := password != ""
	if err := s.ensureOwner(ctx, tx, u); err != nil {
		return "", err
	}
	s.report.Owner = &setupUser{ID: u.ID.String(), Email: u.Email, Created: created}
	if created {
		s.secrets = append(
			s.secrets,
			secret{name: "MESHER_OWNER_EMAIL", value: u.Email},
			secret{name: "MESHER_OWNER_PASSWORD", value: password},
		)
	} else if !u.Verified {
		s.report.Notes = append(s.report.Notes, u.Email+" has registered, but has not shown that the address is theirs; "+
			"mesher users link "+u.Email+" prints a link that sets a password and settles that")
	}
	return fmt.Sprintf("owner %s %s", u.Email, madeOrFound(created)), nil
}

// ensureUser returns the user, and the password if there was no such user before.
func (s *setup) ensureUser(ctx context.Context, tx pgx.Tx) (account.User, string, error) {
	u, _, err := account.FindLogin(ctx, tx, s.owner.email)
	if !fault.Is(err, fault.NotFound) {
		return u, "", err
	}
	password := rand.Text() // letters and digits, 130 bits
	hash, err := s.owner.hasher.Hash(ctx, password)
	if err != nil {
		return account.User{}, "", err
	}
	// The operator vouches for the address.
	u, created, err := account.CreateUser(ctx, tx, account.NewUser{
		Email: s.owner.email, Name: s.owner.name, PasswordHash: hash, Verified: true,
	})
	if err != nil || !created { // somebody registered it a moment ago
		return u, "", err
	}
	return u, password, tenant.Record(ctx, tx, s.in.ID, s.who, "user.create", userTarget(u), nil)
}

// ensureOwner makes the user an owner, whatever the user was before.
func (s *setup) ensureOwner(ctx context.Context, tx pgx.Tx, u account.User) error {
	added, err := tenant.AddMember(ctx, tx, s.in.ID, u.ID, tenant.Owner)
	if err != nil {
		return err
	}
	target := tenant.Target{Kind: "member", ID: u.ID, Name: u.Email}
	if added {
		return tenant.Record(ctx, tx, s.in.ID, s.who, "member.add", target, particulars{"role": tenant.Owner})
	}
	was, _, err := tenant.ChangeRole(ctx, tx, s.in.ID, u.ID, tenant.Owner, tenant.Owner)
	if err != nil || was == tenant.Owner {
		return err
	}
	return tenant.Record(ctx, tx, s.in.ID, s.who, "member.role", target,
		map[string]tenant.Change{"role": {From: was, To: tenant.Owner}})
}

// noteOwner says what is missing in an organization that nobody owns.
func (s *setup) noteOwner(ctx context.Context, tx pgx.Tx) error {
	owners, err := tenant.ListMembers(ctx, tx, s.in.ID, tenant.MemberFilter{Role: tenant.Owner}, page.Request{Limit: 1})
	if err != nil || len(owners.Rows) > 0 {
		return err
	}
	s.report.Notes = append(s.report.Notes, "the organization "+s.in.Slug+" has no owner: nobody can log in yet and see it; "+
		"run setup again with -owner and an address to add one")
	return nil
}

// userTarget names a user in the audit log.
func userTarget(u account.User) tenant.Target {
	return tenant.Target{Kind: "user", ID: u.ID, Name: u.Email}
}
