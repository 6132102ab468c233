package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func (f *Function) issueChangeRoutes() {
	const states = "A resolved issue opens again with the next event, or, resolved in the next release, with the next event of a release " +
		"that is not known yet. An ignored one stays so until its end, if it has one. Events of a discarded issue are no longer stored, " +
		"and up to a minute longer when it is no longer discarded: instances remember that; discarding needs the role admin. "
	rest.Handle(f.api, rest.Route{
		ID: "update-issue", Method: http.MethodPatch, Path: pathIssue, Tag: tagIssues, Scope: account.ScopeWrite,
		Role: string(tenant.Member), Summary: "Change an issue",
		Doc: "Changes what the call names: status, assignee or both. " + states + "For an issue that was merged, the one that it was merged into is changed.",
	}, f.updateIssue)
	rest.Handle(f.api, rest.Route{
		ID: "update-issues", Method: http.MethodPatch, Path: pathIssues, Tag: tagIssues, Scope: account.ScopeWrite,
		Role: string(tenant.Member), Summary: "Change many issues",
		Doc: "Changes the same of each of the issues, of all or of none, and says of which ids there is no issue in the project. " + states,
	}, f.updateIssues)
	const erased = " The next event of its kind opens a new issue; to have no more of them, discard it instead. Its events can be read " +
		"until they expire."
	rest.Handle(f.api, rest.Route{
		ID: "delete-issue", Method: http.MethodDelete, Path: pathIssue, Tag: tagIssues, Scope: account.ScopeWrite,
		Role: string(tenant.Admin), Status: http.StatusNoContent, Summary: "Delete an issue",
		Doc: "Deletes an issue with its activity, and the issues that were merged into it." + erased,
	}, f.deleteIssue)
	rest.Handle(f.api, rest.Route{
		ID: "delete-issues", Method: http.MethodPost, Path: pathIssues + "/delete", Tag: tagIssues, Scope: account.ScopeWrite,
		Role: string(tenant.Admin), Summary: "Delete many issues",
		Doc: "Deletes issues, and says of which ids there is no issue in the project." + erased,
	}, f.deleteIssues)
}

// IssuePatch is what is to be changed of an issue.
type IssuePatch struct {
	Status        *issue.Status `json:"status,omitempty" enum:"unresolved,resolved,ignored,discarded"`
	InNextRelease bool          `json:"in_next_release,omitempty" doc:"with the status resolved: events of releases that are known already do not open it again"`
	IgnoreMinutes int64         `json:"ignore_for_minutes,omitempty" minimum:"0" maximum:"525600" doc:"with the status ignored: how long; 0: without an end"`
	IgnoreUntil   time.Time     `json:"ignore_until,omitzero" doc:"with the status ignored: until when"`
	IgnoreEvents  int64         `json:"ignore_events,omitempty" minimum:"0" maximum:"1000000000" doc:"with the status ignored: it ends after so many more events, if not before; 0: events do not end it"`
	Assignee      string        `json:"assignee,omitempty" maxLength:"36" example:"me" doc:"id of a member of the organization who takes care of it; me: the caller"`
	Unassign      bool          `json:"unassign,omitempty" doc:"nobody takes care of it any more"`
}

func (p IssuePatch) change(caller uuid.UUID, now time.Time) (issue.Change, error) {
	c := issue.Change{
		NextRelease: p.InNextRelease, IgnoreUntil: p.IgnoreUntil.UTC().Truncate(time.Microsecond), IgnoreEvents: p.IgnoreEvents,
		Unassign: p.Unassign,
	}
	if p.Status != nil {
		c.Status = *p.Status
	}
	if p.IgnoreMinutes > 0 {
		if !c.IgnoreUntil.IsZero() {
			return c, fault.New(fault.Invalid, "body.ignore_until: give either this or ignore_for_minutes")
		}
		c.IgnoreUntil = from(now, p.IgnoreMinutes)
	}
	var err error
	if p.Assignee != "" {
		c.Assignee, err = readMember("body.assignee", p.Assignee, caller)
	}
	return c, err
}

type updateIssueInput struct {
	OfIssue
	Body IssuePatch
}

func (f *Function) updateIssue(ctx context.Context, in *updateIssueInput) (*rest.Body[issue.Detail], error) {
	return changeIssues(ctx, f, func(tx postgres.Tx) (issue.Detail, error) {
		changed, err := applyIssues(ctx, tx, in.ProjectID, []uuid.UUID{in.IssueID}, in.Body)
		if err != nil {
			return issue.Detail{}, err
		}
		if len(changed.NotFound) > 0 {
			return issue.Detail{}, fault.New(fault.NotFound, "there is no issue with the id %s in the project", in.IssueID)
		}
		return issue.Find(ctx, tx, in.ProjectID, in.IssueID)
	})
}

// IssuesPatch is what is to be changed of many issues.
type IssuesPatch struct {
	IDs []uuid.UUID `json:"ids" minItems:"1" maxItems:"1000" format:"uuid" nullable:"false" doc:"ids of issues of the project"`
	IssuePatch
}

// ChangedIssues says what became of many issues.
type ChangedIssues struct {
	Changed   int         `json:"changed"`
	Unchanged int         `json:"unchanged" doc:"those that were so already"`
	NotFound  []uuid.UUID `json:"not_found" nullable:"false" doc:"ids of which there is no issue in the project"`
}

type updateIssuesInput struct {
	OfProject
	Body IssuesPatch
}

func (f *Function) updateIssues(ctx context.Context, in *updateIssuesInput) (*rest.Body[ChangedIssues], error) {
	return changeIssues(ctx, f, func(tx postgres.Tx) (ChangedIssues, error) {
		c, err := applyIssues(ctx, tx, in.ProjectID, in.Body.IDs, in.Body.IssuePatch)
		return ChangedIssues{Changed: len(c.Changed), Unchanged: len(c.Unchanged), NotFound: all(c.NotFound)}, err
	})
}

// all returns ids as they are answered: an empty list for none.
func all(ids []uuid.UUID) []uuid.UUID { return append([]uuid.UUID{}, ids...) }

// applyIssues changes issues in the caller's name.
func applyIssues(ctx context.Context, tx postgres.Tx, project uuid.UUID, ids []uuid.UUID, patch IssuePatch) (issue.Changed, error) {
	p, role, err := tenant.AuthorizeProject(ctx, tx, rest.Viewer(ctx), project, tenant.Member)
	if err != nil {
		return issue.Changed{}, err
	}
	c, err := patch.change(rest.Who(ctx).User.ID, time.Now())
	if err != nil {
		return issue.Changed{}, err
	}
	if c.Status == issue.Discarded && !role.Allows(tenant.Admin) {
		return issue.Changed{}, fault.New(fault.Forbidden, "discarding an issue needs the role admin, and yours is %s; ignore it instead", role).
			Named("role_too_low")
	}
	changed, err := issue.Apply(ctx, tx, project, worker(ctx), ids, c)
	if err != nil || c.Status != issue.Discarded {
		return changed, err
	}
	return changed, recordIssues(ctx, tx, p, "issue.discard", changed.Changed)
}

// entryMost is how many issues one entry of the audit log names.
const entryMost = 300

// recordIssues adds what was done to issues to the audit log: as done to the issue if it is one, else to the project.
func recordIssues(ctx context.Context, tx postgres.Tx, p tenant.Project, action string, ids []uuid.UUID) error {
	if len(ids) == 1 {
		return record(ctx, tx, p.OrganizationID, action, tenant.Target{Kind: "issue", ID: ids[0]}, particulars{"project_id": p.ID})
	}
	for ; len(ids) > 0; ids = ids[min(len(ids), entryMost):] {
		details := particulars{"issues": ids[:min(len(ids), entryMost)]}
		if err := record(ctx, tx, p.OrganizationID, action, projectTarget(p), details); err != nil {
			return err
		}
	}
	return nil
}

func (f *Function) deleteIssue(ctx context.Context, in *OfIssue) (*rest.None, error) {
	_, err := changeIssues(ctx, f, func(tx postgres.Tx) (DeletedIssues, error) {
		gone, err := deleteIssues(ctx, tx, in.ProjectID, []uuid.UUID{in.IssueID})
		if err == nil && len(gone.NotFound) > 0 {
			err = fault.New(fault.NotFound, "there is no issue with the id %s in the project", in.IssueID)
		}
		return gone, err
	})
	if err != nil {
		return nil, err
	}
	return &rest.None{}, nil
}

// IssueIDs are the issues that a call is about.
type IssueIDs struct {
	IDs []uuid.UUID `json:"ids" minItems:"1" maxItems:"1000" format:"uuid" nullable:"false" doc:"ids of issues of the project"`
}

// DeletedIssues says what became of issues that were to be deleted.
type DeletedIssues struct {
	Deleted  int         `json:"deleted"`
	NotFound []uuid.UUID `json:"not_found" nullable:"false" doc:"ids of which there is no issue in the project"`
}

type deleteIssuesInput struct {
	OfProject
	Body IssueIDs
}

func (f *Function) deleteIssues(ctx context.Context, in *deleteIssuesInput) (*rest.Body[DeletedIssues], error) {
	return changeIssues(ctx, f, func(tx postgres.Tx) (DeletedIssues, error) {
		return deleteIssues(ctx, tx, in.ProjectID, in.Body.IDs)
	})
}

// deleteIssues deletes issues in the caller's name.
func deleteIssues(ctx context.Context, tx postgres.Tx, project uuid.UUID, ids []uuid.UUID) (DeletedIssues, error) {
	p, err := authorizeProject(ctx, tx, project, tenant.Admin)
	if err != nil {
		return DeletedIssues{}, err
	}
	gone, missing, err := issue.Delete(ctx, tx, project, ids)
	if err != nil {
		return DeletedIssues{}, err
	}
	out := DeletedIssues{Deleted: len(gone), NotFound: all(missing)}
	if len(gone) == 1 {
		target := tenant.Target{Kind: "issue", ID: gone[0].ID, Name: gone[0].Title}
		return out, record(ctx, tx, p.OrganizationID, "issue.delete", target, particulars{"project_id": p.ID})
	}
	deleted := make([]uuid.UUID, len(gone))
	for n, d := range gone {
		deleted[n] = d.ID
	}
	return out, recordIssues(ctx, tx, p, "issue.delete", deleted)
}
