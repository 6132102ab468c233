package local

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/postgres"
)

// openAdmin connects as the role that owns everything, by the rules that functions keep: no named statements,
// and no unprotected connection to another machine.
func (p *Platform) openAdmin(ctx context.Context, url string) (*postgres.Pool, error) {
	var cfg postgres.Config
	err := env.Read(func(name string) (string, bool) {
		if name == "DATABASE_URL" {
			return url, true
		}
		return p.opts.Lookup(name)
	}, &cfg)
	if err != nil {
		return nil, fmt.Errorf("read the database's settings: %w", err)
	}
	pool, err := postgres.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return pool, nil
}

// prepare brings the schema up to date, lets the functions' roles in and makes the partitions of the days
// around now.
func (p *Platform) prepare(ctx context.Context, pool *pgxpool.Pool) error {
	p.opts.Progress("preparing the database")
	if err := pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		_, err := postgres.Migrate(ctx, c.Conn(), migrations.FS, postgres.MigrateOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	if p.database != nil {
		for _, role := range []string{postgres.RoleApp, postgres.RoleIngest, postgres.RoleStore} {
			secret, err := rolePassword(p.opts.Home, role)
			if err != nil {
				return err
			}
			if err := postgres.LetLogin(ctx, pool, role, secret); err != nil {
				return fmt.Errorf("prepare the database: %w", err)
			}
		}
	}
	if _, _, _, err := postgres.PreparePartitions(ctx, pool, p.now()); err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	return nil
}

// now returns the time that the functions live in.
func (p *Platform) now() time.Time {
	if p.opts.Now != nil {
		return p.opts.Now()
	}
	return time.Now()
}

// sealKey returns the key that seals what has to be read again, making one the first time. Without the file nothing that it
// sealed can be read.
func sealKey(home string) (string, error) {
	return kept(filepath.Join(home, "seal.key"), "the key that seals secrets", func() string {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		return base64.StdEncoding.EncodeToString(key)
	})
}

// rolePassword returns the password of a role in the own database, making one the first time.
func rolePassword(home, role string) (string, error) {
	return kept(filepath.Join(home, role+".password"), "the password of "+role, rand.Text)
}

// kept returns a secret from its file, making one the first time.
func kept(path, what string, fresh func() string) (string, error) {
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) > 0 {
		return string(secret), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	made := fresh()
	if err := writeFile(path, []byte(made)); err != nil {
		return "", fmt.Errorf("keep %s: %w", what, err)
	}
	return made, nil
}

// writeFile writes a file that only its owner can read, so that a reader sees the old one or the whole new one.
func writeFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // created with mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return os.Rename(tmp.Name(), path)
}
