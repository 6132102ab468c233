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

const tagUser = "user"

func (f *Function) userRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "get-user", Method: http.MethodGet, Path: "/user", Tag: tagUser, Scope: account.ScopeRead,
		Summary: "Show who calls",
		Doc:     "Returns the caller's own profile, and what the credential of the call may do.",
	}, f.getUser)
	rest.Handle(f.api, rest.Route{
		ID: "update-user", Method: http.MethodPatch, Path: "/user", Tag: tagUser, Scope: account.ScopeAdmin,
		Summary: "Change the own profile",
		Doc:     "Changes the caller's name. Address and password are changed where people log in. A token of one organization may not do this.",
	}, f.updateUser)
	rest.Handle(f.api, rest.Route{
		ID: "list-activity", Method: http.MethodGet, Path: "/user/activity", Tag: tagUser, Scope: account.ScopeRead,
		Summary: "List what the caller did",
		Doc:     "Returns the caller's own entries of the audit log, of all organizations; a token of one organization sees those of that one.",
	}, f.listActivity)
}

// Profile is the caller, as the caller sees it.
type Profile struct {
	account.User
	Credential Credential `json:"credential" doc:"what the call was made with"`
}

// Credential is what a call is made with.
type Credential struct {
	ID             uuid.UUID     `json:"id" format:"uuid"`
	Kind           string        `json:"kind" enum:"session,token"`
	Scope          account.Scope `json:"scope" enum:"read,write,admin,session"`
	OrganizationID uuid.UUID     `json:"organization_id,omitzero" format:"uuid" doc:"the only organization that it reaches; none: all of the user's"`
}

func profile(who account.Identity) Profile {
	c := Credential{ID: who.Credential, Kind: "token", Scope: who.Scope, OrganizationID: who.OrganizationID}
	if who.Scope == account.ScopeSession {
		c.Kind = "session"
	}
	return Profile{User: who.User, Credential: c}
}

func (f *Function) getUser(ctx context.Context, _ *nothing) (*rest.Body[Profile], error) {
	return &rest.Body[Profile]{Body: profile(rest.Who(ctx))}, nil
}

// UserChange is what is to be changed of the caller's profile.
type UserChange struct {
	Name *string `json:"name,omitempty" maxLength:"200" doc:"what others see; may be empty"`
}

type updateUserInput struct{ Body UserChange }

func (f *Function) updateUser(ctx context.Context, in *updateUserInput) (*rest.Body[Profile], error) {
	if err := unbound(ctx); err != nil {
		return nil, err
	}
	return change(ctx, f, func(tx postgres.Tx) (Profile, error) {
		who := rest.Who(ctx)
		was, err := account.FindUser(ctx, tx, who.User.ID)
		who.User = was
		if err != nil || in.Body.Name == nil || *in.Body.Name == was.Name {
			return profile(who), err
		}
		if who.User, err = account.RenameUser(ctx, tx, was.ID, *in.Body.Name); err != nil {
			return Profile{}, err
		}
		return profile(who), record(ctx, tx, uuid.Nil, "user.update",
			tenant.Target{Kind: "user", ID: was.ID, Name: was.Email},
			changes{"name": {From: was.Name, To: who.User.Name}})
	})
}

type listActivityInput struct {
	rest.Paging
	AuditQuery
}

func (f *Function) listActivity(ctx context.Context, in *listActivityInput) (*rest.Body[rest.List[tenant.AuditEntry]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	return listed(tenant.ListActivity(ctx, f.pool, rest.Viewer(ctx), in.filter(), r))
}
