package issue

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
)

// Sort is what a list is sorted by, the greatest first.
type Sort string

// The orders of a list.
const (
	ByLastSeen  Sort = "last_seen"
	ByFirstSeen Sort = "first_seen"
	ByEvents    Sort = "events"
	ByUsers     Sort = "users"
)

// AnyStatus lists issues whatever their status is.
const AnyStatus Status = "all"

// TagValue is one value of a tag.
type TagValue struct{ Key, Value string }

// tagsMost is how many conditions on tags a list takes.
const tagsMost = 5

// Filter narrows a list; zero fields do not.
type Filter struct {
	Status         Status // Unresolved when empty; AnyStatus for all
	Level          string // of the latest event
	Environment    string
	Release        string
	Tags           []TagValue // the issue has events with each of them, at most 5
	Assignee       uuid.UUID
	Unassigned     bool
	User           string    // id of a user who was affected
	Since, Until   time.Time // it was seen from Since on and before Until; with both, by the hour
	FirstSeenSince time.Time
	Search         string // in title, culprit, type, value and message, as web search engines understand it
}

// Request is what part of a list is asked for.
type Request struct {
	Sort   Sort   // ByLastSeen when empty
	Limit  int    // most rows; from 1 to 100
	Cursor string // Next of the page before; empty: the beginning
	Window Window // of Counts; LastDay when empty
}

// Page is one page of a list. Next is empty on the last one.
type Page struct {
	Issues []Issue
	Next   string
}

// List returns one page of a project's issues. Those that were merged into others are left out.
//
// Issues move in the list while it is read, because events arrive. Who reads it to the end, page by page, sees every issue
// that met the filter all the while at least once: the pages go down the list from where each of them ended, and when they
// are through, those follow that have changed since the first page was read, sorted by id, the newest first. So an issue
// comes twice only if it changed in between, or just before while another transaction ran; what is opened meanwhile may
// come too.
//
// A cursor of another filter, sort or project is a fault.Invalid.
func List(ctx context.Context, db DB, project uuid.UUID, f Filter, r Request) (Page, error) {
	r.Sort, r.Limit, r.Window = cmp.Or(r.Sort, ByLastSeen), min(max(r.Limit, 1), 100), cmp.Or(r.Window, LastDay)
	f.Status = cmp.Or(f.Status, Unresolved)
	if err := f.check(r.Sort); err != nil {
		return Page{}, err
	}
	binding := bind(project, f, r.Sort)
	c, err := parseCursor(r.Cursor, binding)
	if err != nil {
		return Page{}, err
	}
	w := walk{db: db, project: project, filter: f, sort: r.Sort, limit: r.Limit}
	found, next, err := w.page(ctx, c)
	if err != nil {
		return Page{}, fmt.Errorf("list issues: %w", err)
	}
	p := Page{Issues: make([]Issue, len(found))}
	for n := range found {
		p.Issues[n] = found[n].Issue
	}
	if next != nil {
		p.Next = next.encode(binding)
	}
	if len(p.Issues) == 0 {
		return p, nil
	}
	return p, addCounts(ctx, db, project, p.Issues, r.Window)
}

func (f Filter) check(s Sort) error {
	switch s {
	case ByLastSeen, ByFirstSeen, ByEvents, ByUsers:
	default:
		return fault.New(fault.Invalid, "issues cannot be sorted by %q; choose last_seen, first_seen, events or users", s)
	}
	if len(f.Tags) > tagsMost {
		return fault.New(fault.Invalid, "%d tags are given; at most %d can be asked for at once", len(f.Tags), tagsMost)
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return fault.New(fault.Invalid, "since has to be before until")
	}
	return nil
}

// walk reads a list from its beginning to its end.
type walk struct {
	db      DB
	project uuid.UUID
	filter  Filter
	sort    Sort
	limit   int
}

// row is an issue with where it stands in the list.
type row struct {
	Issue
	key int64 // what it is sorted by: microseconds since 1970, or a count
}

// page returns the rows behind c, and where the next page begins; nil: there is none.
func (w walk) page(ctx context.Context, c cursor) ([]row, *cursor, error) {
	var found []row
	if !c.again {
		var err error
		first := c.start()
		if found, err = w.read(ctx, &c, w.limit+1); err != nil {
			return nil, nil, err
		}
		if len(found) > w.limit {
			return w.cut(c, found)
		}
		if first {
			return found, nil, nil // read at one moment, so that nothing can have moved
		}
		c.again, c.key, c.id = true, 0, uuid.Max
	}
	changed, err := w.read(ctx, &c, w.limit-len(found)+1)
	if err != nil {
		return nil, nil, err
	}
	if len(found) == w.limit && len(changed) > 0 {
		return found, &c, nil
	}
	if found = append(found, changed...); len(found) > w.limit {
		return w.cut(c, found)
	}
	return found, nil, nil
}

// cut returns the rows of a page when one more was found.
func (w walk) cut(c cursor, found []row) ([]row, *cursor, error) {
	found = found[:w.limit]
	last := found[w.limit-1]
	c.key, c.id = last.key, last.ID
	return found, &c, nil
}

// read returns at most limit rows behind c. At the beginning it notes in c what was going on in the database.
func (w walk) read(ctx context.Context, c *cursor, limit int) ([]row, error) {
	sql, args := w.query(*c, limit)
	rows, err := w.db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	var began, running int64
	found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (row, error) {
		var out row
		var err error
		out.Issue, err = scanIssue(r, &out.key, &began, &running)
		return out, err
	})
	if c.start() {
		c.began, c.running = began, running
	}
	return found, err
}
