package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// The user whom a laptop's platform has from the start.
const (
	devEmail = "dev@mesher.local"
	devName  = "Developer"
)

// seed makes sure that there is an organization, a project and a key to send a first event with, and a user to log in
// as.
func seed(ctx context.Context, db tenant.DB, home, url string, database string) (Info, error) {
	last, err := ReadInfo(home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Info{}, err
	}
	org, err := tenant.EnsureOrganization(ctx, db, "Local", devSlug)
	if err != nil {
		return Info{}, fmt.Errorf("seed: %w", err)
	}
	project, err := tenant.EnsureProject(ctx, db, org.ID, "First project", "first")
	if err != nil {
		return Info{}, fmt.Errorf("seed: %w", err)
	}
	key, err := tenant.EnsureKey(ctx, db, project.ID, "mesher dev", last.APIKey)
	if err != nil {
		return Info{}, fmt.Errorf("seed: %w", err)
	}
	password, err := seedUser(ctx, db, org.ID, last.Password)
	if err != nil {
		return Info{}, fmt.Errorf("seed: %w", err)
	}
	scheme, host, _ := strings.Cut(url, "://")
	return Info{
		URL: url, APIKey: key, DatabaseURL: database, Email: devEmail, Password: password,
		DSN:            scheme + "://" + key + "@" + host + "/" + strconv.FormatInt(project.Number, 10),
		OrganizationID: org.ID, ProjectID: project.ID,
	}, nil
}

// seedMonitors makes sure that the platform's own parts are watched.
func seedMonitors(ctx context.Context, db *postgres.Pool, organization uuid.UUID) error {
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) error {
		_, err := monitor.EnsurePlatform(ctx, tx, organization, clock.Of(ctx)())
		return err
	})
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

// seedUser makes sure that the user can log in, and is a member of the organization: an owner, unless somebody made
// something else of the user since. It returns the password: the remembered one if that is still good, else a fresh
// one.
func seedUser(ctx context.Context, db tenant.DB, organization uuid.UUID, remembered string) (string, error) {
	var cost account.PasswordConfig
	if err := env.Read(env.Map(nil), &cost); err != nil {
		return "", fmt.Errorf("read what hashing a password costs: %w", err)
	}
	hasher, err := account.NewHasher(cost)
	if err != nil {
		return "", err
	}
	u, _, err := account.CreateUser(ctx, db, account.NewUser{Email: devEmail, Name: devName, Verified: true})
	if err != nil {
		return "", err
	}
	if _, err := tenant.AddMember(ctx, db, organization, u.ID, tenant.Owner); err != nil {
		return "", err
	}
	_, stored, err := account.FindLogin(ctx, db, devEmail)
	if err != nil {
		return "", err
	}
	if ok, _, err := hasher.Verify(ctx, remembered, stored); err != nil || ok {
		return remembered, err
	}
	fresh := rand.Text() // letters and digits, 130 bits
	hash, err := hasher.Hash(ctx, fresh)
	if err != nil {
		return "", err
	}
	return fresh, account.SetPassword(ctx, db, u.ID, hash)
}
