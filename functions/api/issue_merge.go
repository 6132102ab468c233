package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func (f *Function) issueMergeRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "merge-issues", Method: http.MethodPost, Path: pathIssues + "/merge", Tag: tagIssues, Scope: account.ScopeWrite,
		Role: string(tenant.Member), Summary: "Merge issues",
		Doc: "Makes issues one, which is returned: that which into names, or else the one that was first seen. It gets the events, counts " +
			"and later events of all. The others are listed no more, and their addresses lead to it. Merging again changes nothing.",
	}, f.mergeIssues)
	rest.Handle(f.api, rest.Route{
		ID: "unmerge-issue", Method: http.MethodPost, Path: pathIssue + "/unmerge", Tag: tagIssues, Scope: account.ScopeWrite,
		Role: string(tenant.Member), Status: http.StatusCreated, Summary: "Split an issue",
		Doc: "Makes some of an issue's fingerprints a new issue, which is returned. It gets their events, counts and later events. At " +
			"least one fingerprint has to stay.",
	}, f.unmergeIssue)
}

// IssueMerge is what to merge.
type IssueMerge struct {
	IDs  []uuid.UUID `json:"ids" minItems:"2" maxItems:"100" format:"uuid" nullable:"false" doc:"ids of issues of the project"`
	Into uuid.UUID   `json:"into,omitzero" format:"uuid" doc:"which of them stays; the one that was first seen if it is left out"`
}

type mergeIssuesInput struct {
	OfProject
	Body IssueMerge
}

func (f *Function) mergeIssues(ctx context.Context, in *mergeIssuesInput) (*rest.Body[issue.Detail], error) {
	return changeIssues(ctx, f, func(tx postgres.Tx) (issue.Detail, error) {
		p, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Member)
		if err != nil {
			return issue.Detail{}, err
		}
		m, err := issue.Merge(ctx, tx, in.ProjectID, worker(ctx), in.Body.IDs, in.Body.Into)
		if err != nil {
			return issue.Detail{}, err
		}
		if len(m.Issues) > 0 {
			target := tenant.Target{Kind: "issue", ID: m.Into, Name: m.Title}
			if err := record(ctx, tx, p.OrganizationID, "issue.merge", target, particulars{"project_id": p.ID, "issues": m.Issues}); err != nil {
				return issue.Detail{}, err
			}
		}
		return issue.Find(ctx, tx, in.ProjectID, m.Into)
	})
}

// IssueSplit is what becomes an issue of its own.
type IssueSplit struct {
	Fingerprints []uuid.UUID `json:"fingerprints" minItems:"1" maxItems:"1000" format:"uuid" nullable:"false" doc:"fingerprints of the issue"`
}

type unmergeIssueInput struct {
	OfIssue
	rest.Idempotent
	Body IssueSplit
}

func (f *Function) unmergeIssue(ctx context.Context, in *unmergeIssueInput) (out *rest.Created[issue.Detail], err error) {
	err = persist(func() (err error) {
		out, err = rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, func(tx postgres.Tx) error {
			_, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Member)
			return err
		}, func(tx postgres.Tx) (issue.Detail, error) {
			return splitIssue(ctx, tx, in)
		})
		return err
	})
	return out, err
}

func splitIssue(ctx context.Context, tx postgres.Tx, in *unmergeIssueInput) (issue.Detail, error) {
	p, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Member)
	if err != nil {
		return issue.Detail{}, err
	}
	u, err := issue.Unmerge(ctx, tx, in.ProjectID, worker(ctx), in.IssueID, in.Body.Fingerprints)
	if err != nil {
		return issue.Detail{}, err
	}
	target := tenant.Target{Kind: "issue", ID: u.ID, Name: u.Title}
	if err := record(ctx, tx, p.OrganizationID, "issue.unmerge", target,
		particulars{"project_id": p.ID, "from": u.From, "fingerprints": len(in.Body.Fingerprints)}); err != nil {
		return issue.Detail{}, err
	}
	return issue.Find(ctx, tx, in.ProjectID, u.ID)
}
