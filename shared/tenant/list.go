package tenant

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/page"
)

// pageMost is the most rows of a page, whatever is asked for.
const pageMost = 1000

// listing is a list that is read a page at a time, sorted by a time and an id, the newest first.
type listing[T any] struct {
	name   string // as an error calls it
	query  string // up to the end of a where clause; $1 to $3 are the page's, its own arguments follow
	at, id string // the columns that it is sorted by
	scan   pgx.RowToFunc[T]
	mark   func(T) page.Mark
}

// read returns one page. args are the query's own, from $4 on.
func (l listing[T]) read(ctx context.Context, db DB, r page.Request, args ...any) (page.Of[T], error) {
	r.Limit = min(max(r.Limit, 1), pageMost)
	at, id := r.After.Args()
	rows, err := db.Query(ctx, fmt.Sprintf(`%s
		and ($1::timestamptz is null or (%[2]s, %[3]s) < ($1::timestamptz, $2::uuid))
		order by %[2]s desc, %[3]s desc
		limit $3::bigint`, l.query, l.at, l.id), append([]any{at, id, r.Limit + 1}, args...)...)
	if err != nil {
		return page.Of[T]{}, fmt.Errorf("list %s: %w", l.name, err)
	}
	found, err := pgx.CollectRows(rows, l.scan)
	if err != nil {
		return page.Of[T]{}, fmt.Errorf("list %s: %w", l.name, err)
	}
	return page.Cut(r, found, l.mark), nil
}

// storable replaces what Postgres takes in no text, so that what somebody sends, to be looked for or to be noted,
// is never the reason for an error.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
