package tenant

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/fault"
)

const (
	slugNumbers  = 100 // what is tried of a derived slug: without a number, then -2 to -100
	slugAttempts = 50  // how often the first free one is asked for, when others are quicker each time
	deletedMark  = "-deleted-"
)

var (
	slugForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	deletedForm = regexp.MustCompile(deletedMark + `[0-9a-f]{8}$`)
)

// checkSlug refuses a slug that somebody chose and that cannot be one, or that looks like one of something deleted:
// that could be in the way when something is.
func checkSlug(slug string) error {
	switch {
	case !slugForm.MatchString(slug):
		return fault.New(fault.Invalid,
			"a slug has 1 to %d lower-case letters without accents, digits and hyphens, and does not begin with a hyphen", slugMost)
	case deletedForm.MatchString(slug):
		return fault.New(fault.Invalid, "a slug may not end in %s and eight digits: so do those of what is deleted", deletedMark)
	}
	return nil
}

// takeSlug calls take with slugs to choose the first free one from, until one was free. take returns pgx.ErrNoRows when
// somebody else was quicker.
func takeSlug(derived string, take func(slugs []string) error) error {
	for range slugAttempts {
		if err := take(slugChoice(derived)); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
	return errSlugTaken(derived)
}

// slugChoice returns a derived slug, the same with numbers, and one that nobody has.
func slugChoice(derived string) []string {
	var out []string
	if !deletedForm.MatchString(derived) {
		out = append(out, derived)
	}
	for n := 2; n <= slugNumbers; n++ {
		out = append(out, withEnd(derived, fmt.Sprint("-", n)))
	}
	random := uuid.New()
	return append(out, withEnd(derived, "-"+hex.EncodeToString(random[:4])))
}

// withEnd appends an end to a slug, which is cut where that would make it too long.
func withEnd(slug, end string) string {
	return strings.TrimRight(slug[:min(len(slug), slugMost-len(end))], "-") + end
}

// deletedSlug is what the slug of something deleted becomes, so that the slug is free again.
func deletedSlug(slug string, id uuid.UUID) string {
	return withEnd(revivedSlug(slug, id), deletedEnd(id))
}

// revivedSlug is what the slug of something deleted was, as far as it was not cut.
func revivedSlug(slug string, id uuid.UUID) string { return strings.TrimSuffix(slug, deletedEnd(id)) }

// deletedEnd tells two slugs apart that were the same by the random end of an id: its start is a time, which two
// may share.
func deletedEnd(id uuid.UUID) string { return deletedMark + hex.EncodeToString(id[12:]) }

func errSlugTaken(slug string) error {
	return fault.New(fault.Conflict, "the slug %s is taken; choose another", slug).Named("slug_taken")
}

// violates reports whether the server refused a statement because of a constraint.
func violates(err error, constraint string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.ConstraintName == constraint
}
