package issue

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Change is what is to be changed of issues; zero fields stay.
type Change struct {
	Status       Status
	NextRelease  bool      // with Resolved: events of releases that are known already do not open it again
	IgnoreUntil  time.Time // with Ignored: it ends then,
	IgnoreEvents int64     // or after so many more events, whichever comes first; with neither it does not end by itself
	Assignee     uuid.UUID // a member of the project's organization
	Unassign     bool
}

// ChangesMost is how many issues one call changes.
const ChangesMost = 1000

// Changed says what became of the issues of a call. Those that were as they should be are unchanged.
type Changed struct {
	Changed, Unchanged []uuid.UUID
	NotFound           []uuid.UUID // also issues of other projects
}

// Apply changes issues and notes in their activity who did it. An issue that was merged stands for the one that it was
// merged into. Rows are locked in the order of their ids, so that two calls follow each other; Store takes them in
// another order, so the transaction may have to be tried again (SQLSTATE 40P01).
func Apply(ctx context.Context, tx postgres.Tx, project uuid.UUID, who Actor, ids []uuid.UUID, c Change) (Changed, error) {
	if err := c.check(ctx, tx, project, len(ids)); err != nil {
		return Changed{}, err
	}
	locked, missing, err := lockIssues(ctx, tx, project, ids)
	if err != nil {
		return Changed{}, err
	}
	out := Changed{NotFound: missing}
	var status, people []uuid.UUID
	for _, i := range locked {
		restated, reassigned := c.restates(i), c.reassigns(i)
		if restated {
			status = append(status, i.id)
		}
		if reassigned {
			people = append(people, i.id)
		}
		if restated || reassigned {
			out.Changed = append(out.Changed, i.id)
		} else {
			out.Unchanged = append(out.Unchanged, i.id)
		}
	}
	if err := c.restate(ctx, tx, project, who, status); err != nil {
		return Changed{}, err
	}
	return out, c.reassign(ctx, tx, project, who, people)
}

// yearMost is the last year that a time in JSON can name (RFC 3339).
const yearMost = 9999

func (c Change) check(ctx context.Context, tx postgres.Tx, project uuid.UUID, issues int) error {
	ends := !c.IgnoreUntil.IsZero() || c.IgnoreEvents != 0
	switch {
	case issues > ChangesMost:
		return fault.New(fault.Invalid, "%d issues are given; at most %d can be changed at once", issues, ChangesMost)
	case c == Change{}:
		return fault.New(fault.Invalid, "nothing is to be changed; give a status, an assignee or unassign")
	case c.NextRelease && c.Status != Resolved:
		return fault.New(fault.Invalid, "in_next_release goes with the status resolved")
	case ends && c.Status != Ignored:
		return fault.New(fault.Invalid, "until when to ignore goes with the status ignored")
	case c.IgnoreEvents < 0 || !c.IgnoreUntil.IsZero() && !c.IgnoreUntil.After(time.Now()):
		return fault.New(fault.Invalid, "ignoring has to end in the future; leave the end out to ignore for good")
	case c.IgnoreUntil.UTC().Year() > yearMost:
		return fault.New(fault.Invalid, "ignoring has to end in the year %d at the latest; leave the end out to ignore for good", yearMost)
	case c.Assignee != uuid.Nil && c.Unassign:
		return fault.New(fault.Invalid, "an issue is either assigned or unassigned; give one of assignee and unassign")
	}
	if c.Assignee == uuid.Nil {
		return nil
	}
	var member bool
	if err := tx.QueryRow(ctx, `
		select exists (select from mesher.projects p join mesher.memberships m on m.organization_id = p.organization_id
			where p.id = $1::uuid and m.user_id = $2::uuid)`, project, c.Assignee).Scan(&member); err != nil {
		return fmt.Errorf("look up an assignee: %w", err)
	}
	if !member {
		return fault.New(fault.Invalid, "%s is not a member of the project's organization; issues are assigned to members", c.Assignee).
			Named("assignee_not_a_member")
	}
	return nil
}

// restates reports whether c changes how an issue stands. Ignoring anew begins anew.
func (c Change) restates(i lockedIssue) bool {
	switch {
	case c.Status == "":
		return false
	case c.Status != i.status:
		return true
	case c.Status == Resolved:
		return c.NextRelease != i.resolvedNext
	case c.Status == Ignored:
		return c.IgnoreEvents != 0 || !c.IgnoreUntil.Equal(i.ignoredUntil) || i.ignoredEvents
	}
	return false
}

func (c Change) reassigns(i lockedIssue) bool {
	return c.Unassign && i.assignee != uuid.Nil || c.Assignee != uuid.Nil && c.Assignee != i.assignee
}

// restate gives issues the status. What belongs to the one before goes; when an issue regressed stays until it is resolved
// again.
func (c Change) restate(ctx context.Context, tx postgres.Tx, project uuid.UUID, who Actor, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `
		update mesher.issues set status = $3::text, updated_at = clock_timestamp(),
			resolved_at = case when $3::text = 'resolved' then clock_timestamp() end, resolved_next = $4::boolean,
			ignored_until = $5::timestamptz, ignored_events = event_count + nullif($6::bigint, 0),
			regressed_at = case when $3::text <> 'resolved' then regressed_at end,
			regressed_release = case when $3::text <> 'resolved' then regressed_release end
		where project_id = $1::uuid and id = any ($2::uuid[])`,
		project, texts(ids), string(c.Status), c.NextRelease, postgres.TimeOrNull(c.IgnoreUntil), c.IgnoreEvents); err != nil {
		return fmt.Errorf("change the status of issues: %w", err)
	}
	details := map[string]any{}
	if c.NextRelease {
		details["in_next_release"] = true
	}
	if !c.IgnoreUntil.IsZero() {
		details["until"] = c.IgnoreUntil.UTC()
	}
	if c.IgnoreEvents > 0 {
		details["events"] = c.IgnoreEvents
	}
	return act(ctx, tx, project, who, string(c.Status), details, ids...)
}

func (c Change) reassign(ctx context.Context, tx postgres.Tx, project uuid.UUID, who Actor, ids []uuid.UUID) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `
		update mesher.issues set assignee_id = $3::uuid, updated_at = clock_timestamp()
		where project_id = $1::uuid and id = any ($2::uuid[])`, project, texts(ids), postgres.OrNull(c.Assignee)); err != nil {
		return fmt.Errorf("assign issues: %w", err)
	}
	if c.Unassign {
		return act(ctx, tx, project, who, actionUnassigned, nil, ids...)
	}
	var name string
	if err := tx.QueryRow(ctx, `select name from mesher.users where id = $1::uuid`, c.Assignee).Scan(&name); err != nil {
		return fmt.Errorf("look up an assignee: %w", err)
	}
	return act(ctx, tx, project, who, actionAssigned, map[string]any{"assignee_id": c.Assignee, "assignee": cmp.Or(name, "a member")}, ids...)
}
