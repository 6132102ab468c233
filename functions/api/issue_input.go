package api

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
)

// me stands for the caller where a member is named.
const me = "me"

// readMember reads the id of a user, or me.
func readMember(field, text string, caller uuid.UUID) (uuid.UUID, error) {
	if text == me {
		return caller, nil
	}
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, fault.New(fault.Invalid, "%s: expected a user's id, or me for yourself", field)
	}
	return id, nil
}

// readTag reads key:value; a value may hold colons.
func readTag(text string) (issue.TagValue, error) {
	key, value, ok := strings.Cut(text, ":")
	if !ok || key == "" {
		return issue.TagValue{}, fault.New(fault.Invalid, "query.tag: expected key:value, such as region:eu")
	}
	return issue.TagValue{Key: key, Value: value}, nil
}

// worker returns the caller as the activity of issues names it.
func worker(ctx context.Context) issue.Actor {
	u := rest.Who(ctx).User
	return issue.Actor{ID: u.ID, Name: cmp.Or(u.Name, u.Email)}
}

// attempts is how often a change of issues is tried: one of many issues and a batch of events may each wait for an issue
// that the other has.
const attempts = 4

// persist calls do until it does not end in a deadlock, which takes a second to be found each time.
func persist(do func() error) error {
	var err error
	for range attempts {
		if err = do(); postgres.SQLState(err) != "40P01" {
			return err
		}
	}
	return err
}

// changeIssues calls do in a transaction, as change does, and again after a deadlock.
func changeIssues[T any](ctx context.Context, f *Function, do func(postgres.Tx) (T, error)) (out *rest.Body[T], err error) {
	err = persist(func() (err error) {
		out, err = change(ctx, f, do)
		return err
	})
	return out, err
}

// from returns the time in so many minutes, with the microseconds that Postgres keeps; the zero time for none.
func from(now time.Time, minutes int64) time.Time {
	if minutes == 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(minutes) * time.Minute).UTC().Truncate(time.Microsecond)
}
