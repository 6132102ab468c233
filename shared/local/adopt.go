package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/postgres"
)

// devSlug is the organization that a laptop's platform makes for itself.
const devSlug = "local"

// foreignMost is how many organizations of others are named.
const foreignMost = 3

// where names a database without what is secret in its URL.
func where(url string) string {
	c, err := pgconn.ParseConfig(url)
	if err != nil {
		return "one that cannot be told from its URL"
	}
	return fmt.Sprintf("%s on %s port %d", cmp.Or(c.Database, c.User), c.Host, c.Port)
}

// mayUse refuses a database that belongs to an installation: a platform gives it a developer who owns an
// organization, lets anybody register, and migrates it. One that this home used the last time is its own.
func (p *Platform) mayUse(ctx context.Context, db *postgres.Pool) error {
	if p.opts.DatabaseURL == "" || p.opts.Adopt {
		return nil
	}
	last, err := ReadInfo(p.opts.Home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if last.DatabaseURL == p.opts.DatabaseURL {
		return nil
	}
	slugs, err := foreign(ctx, db)
	if err != nil || len(slugs) == 0 {
		return err
	}
	return fmt.Errorf("the database %s has organizations that the platform did not make (%s): it would get a developer's login "+
		"there, and registration would be open to anybody; unset DATABASE_URL to start a Postgres of its own, or give -adopt to use "+
		"that one all the same", where(p.opts.DatabaseURL), strings.Join(slugs, ", "))
}

// foreign returns some organizations that no platform made; none when there is no schema yet.
func foreign(ctx context.Context, db *postgres.Pool) ([]string, error) {
	var slugs []string
	err := db.QueryRow(ctx, `
		select coalesce(array_agg(slug), '{}') from (
			select slug from mesher.organizations where slug <> $1::text order by created_at, id limit $2::bigint) o`,
		devSlug, foreignMost).Scan(&slugs)
	switch postgres.SQLState(err) {
	case "42P01", "3F000":
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look whose database it is: %w", err)
	}
	return slugs, nil
}
