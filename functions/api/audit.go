package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

func (f *Function) auditRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-audit", Method: http.MethodGet, Path: pathOrganization + "/audit", Tag: "audit", Scope: account.ScopeRead,
		Role: string(tenant.Owner), Summary: "List what was done in an organization",
		Doc: "Returns the audit log: who did what to what, when and from where. Entries are never changed.",
	}, f.listAudit)
}

// AuditQuery narrows the audit log, whoever's it is. The actions are all that any part of Mesher records.
type AuditQuery struct {
	Action string    `query:"action" enum:"organization,organization.create,organization.update,organization.delete,member,member.add,member.role,member.remove,member.leave,invitation,invitation.create,invitation.resend,invitation.revoke,invitation.accept,project,project.create,project.update,project.delete,key,key.create,key.update,key.rotate,key.revoke,issue,issue.discard,issue.delete,issue.merge,issue.unmerge,rule,rule.create,rule.update,rule.delete,alert,alert.acknowledge,alert.resolve,events,events.erase,monitor,monitor.create,monitor.update,monitor.delete,monitor.check,monitor.rotate,token,token.create,token.revoke,session,session.create,session.refuse,session.revoke,user,user.create,user.register,user.register_again,user.verify,user.update,user.delete,password,password.change,password.reset,password.link,email,email.change,job,job.run,job.pause,job.resume,job.sync,channel,channel.create,channel.update,channel.delete,channel.rotate_secret,channel.test" example:"project.create" doc:"only entries of this action, such as project.create, or project for all that is done to projects"`
	Since  time.Time `query:"since" doc:"only entries from this time on"`
	Until  time.Time `query:"until" doc:"only entries before this time"`
}

func (q AuditQuery) filter() tenant.AuditFilter {
	return tenant.AuditFilter{Action: q.Action, Since: q.Since, Until: q.Until}
}

type listAuditInput struct {
	OfOrganization
	rest.Paging
	AuditQuery
	Actor  uuid.UUID `query:"actor" format:"uuid" doc:"only what this user did, with whatever credential"`
	Target uuid.UUID `query:"target" format:"uuid" doc:"only what was done to this, such as a project, a key or a user"`
}

func (f *Function) listAudit(ctx context.Context, in *listAuditInput) (*rest.Body[rest.List[tenant.AuditEntry]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Owner); err != nil {
		return nil, err
	}
	filter := in.filter()
	filter.Actor, filter.Target = in.Actor, in.Target
	return listed(tenant.ListAudit(ctx, f.pool, in.OrganizationID, filter, r))
}
