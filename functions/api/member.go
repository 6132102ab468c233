package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagMembers  = "members"
	pathMembers = pathOrganization + "/members"
	pathMember  = pathMembers + "/{user_id}"
)

func (f *Function) memberRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-members", Method: http.MethodGet, Path: pathMembers, Tag: tagMembers, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List members",
		Doc: "Returns who is a member of the organization, and as what.",
	}, f.listMembers)
	rest.Handle(f.api, rest.Route{
		ID: "update-member", Method: http.MethodPatch, Path: pathMember, Tag: tagMembers, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Summary: "Change a member's role",
		Doc: "Gives a member another role. Only owners make owners, and change them; a token makes none. The last owner stays one.",
	}, f.updateMember)
	rest.Handle(f.api, rest.Route{
		ID: "remove-member", Method: http.MethodDelete, Path: pathMember, Tag: tagMembers, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusNoContent, Summary: "Remove a member, or leave",
		Doc: "Ends a membership. Only owners remove owners. Everybody may leave, whatever the role, but the last owner.",
	}, f.removeMember)
}

type listMembersInput struct {
	OfOrganization
	rest.Paging
	Role   tenant.Role `query:"role" enum:"owner,admin,member" doc:"only members with this role"`
	Search string      `query:"search" maxLength:"254" doc:"only members with this part in name or address, in any case"`
}

func (f *Function) listMembers(ctx context.Context, in *listMembersInput) (*rest.Body[rest.List[tenant.Colleague]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	return listed(tenant.ListMembers(ctx, f.pool, in.OrganizationID, tenant.MemberFilter{Role: in.Role, Search: in.Search}, r))
}

// OfMember are the parameters of calls about one member.
type OfMember struct {
	OfOrganization
	UserID uuid.UUID `path:"user_id" format:"uuid" doc:"id of the user who is a member"`
}

// MemberPatch is what is to be changed of a member.
type MemberPatch struct {
	Role tenant.Role `json:"role" enum:"owner,admin,member"`
}

type updateMemberInput struct {
	OfMember
	Body MemberPatch
}

func (f *Function) updateMember(ctx context.Context, in *updateMemberInput) (*rest.Body[tenant.Colleague], error) {
	if err := mayMakeOwner(ctx, in.Body.Role); err != nil {
		return nil, err
	}
	return change(ctx, f, func(tx postgres.Tx) (tenant.Colleague, error) {
		by, err := settle(ctx, tx, in.OrganizationID, tenant.Admin)
		if err != nil {
			return tenant.Colleague{}, err
		}
		was, m, err := tenant.ChangeRole(ctx, tx, in.OrganizationID, in.UserID, in.Body.Role, by)
		if err != nil {
			return tenant.Colleague{}, err
		}
		c := changes{}
		note(c, "role", was, m.Role)
		return m, c.record(ctx, tx, in.OrganizationID, "member.role", memberTarget(m))
	})
}

func (f *Function) removeMember(ctx context.Context, in *OfMember) (*rest.None, error) {
	return erase(ctx, f, func(tx postgres.Tx) error {
		needed, action, self := tenant.Admin, "member.remove", in.UserID == rest.Who(ctx).User.ID
		if self {
			needed, action = tenant.Member, "member.leave"
		}
		by, err := settle(ctx, tx, in.OrganizationID, needed)
		if err != nil {
			return err
		}
		m, err := tenant.RemoveMember(ctx, tx, in.OrganizationID, in.UserID, by, self)
		if err != nil {
			return err
		}
		return record(ctx, tx, in.OrganizationID, action, memberTarget(m), changes{"role": {From: m.Role}})
	})
}

func memberTarget(m tenant.Colleague) tenant.Target {
	return tenant.Target{Kind: "member", ID: m.UserID, Name: m.Email}
}
