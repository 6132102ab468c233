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

const tagTokens = "tokens"

func (f *Function) tokenRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-tokens", Method: http.MethodGet, Path: "/user/tokens", Tag: tagTokens, Scope: account.ScopeSession,
		Summary: "List the own personal access tokens",
		Doc:     "Returns what is known of the caller's tokens, also of those that expired or were revoked, but not the tokens themselves.",
	}, f.listTokens)
	rest.Handle(f.api, rest.Route{
		ID: "create-token", Method: http.MethodPost, Path: "/user/tokens", Tag: tagTokens, Scope: account.ScopeSession,
		Status:  http.StatusCreated,
		Summary: "Create a personal access token",
		Doc: "Makes a token for the caller's programs. It is shown in the answer and never again. Only somebody who is logged in may do this, not a token, " +
			"and knows the password: a wrong one is answered 403 with the code wrong_password. A user has at most 100 that are good.",
	}, f.createToken)
	rest.Handle(f.api, rest.Route{
		ID: "revoke-token", Method: http.MethodDelete, Path: "/user/tokens/{token_id}", Tag: tagTokens, Scope: account.ScopeSession,
		Status:  http.StatusNoContent,
		Summary: "Revoke a personal access token",
		Doc:     "Makes one of the caller's tokens worthless at once and for good. One that is revoked already stays so.",
	}, f.revokeToken)
}

type listTokensInput struct {
	rest.Paging
	State string        `query:"state" enum:"active,expired,revoked" doc:"only tokens of this state"`
	Scope account.Scope `query:"scope" enum:"read,write,admin" doc:"only tokens of this scope"`
	Label string        `query:"label" maxLength:"100" doc:"only tokens with this part in their label, in any case"`
}

func (f *Function) listTokens(ctx context.Context, in *listTokensInput) (*rest.Body[rest.List[account.PersonalToken]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	filter := account.TokenFilter{State: in.State, Scope: in.Scope, Label: in.Label}
	return listed(account.ListTokens(ctx, f.pool, rest.Who(ctx).User.ID, filter, r))
}

// NewToken is what somebody asks for who wants a personal access token.
type NewToken struct {
	Label          string        `json:"label" minLength:"1" maxLength:"100" doc:"what it is for"`
	Scope          account.Scope `json:"scope" enum:"read,write,admin" doc:"how much it may do: read all that the user can read; write what members work on; admin all that the user may do but manage tokens"`
	OrganizationID uuid.UUID     `json:"organization_id,omitzero" format:"uuid" doc:"the only organization that it reaches; none: all of the user's"`
	ExpiresInDays  int           `json:"expires_in_days,omitempty" minimum:"1" maximum:"3650" doc:"after how many days it expires; none: never"`
	Password       concealed     `json:"password" maxLength:"1000" doc:"the caller's own: a session alone does not make what outlives it"`
}

// IssuedToken is a new personal access token.
type IssuedToken struct {
	account.PersonalToken
	Token string `json:"token" doc:"the token itself; it is shown now and never again"`
}

type createTokenInput struct {
	rest.Idempotent
	Body NewToken
}

func (f *Function) createToken(ctx context.Context, in *createTokenInput) (*rest.Created[IssuedToken], error) {
	hash, err := f.prove(ctx, in.Body.Password)
	if err != nil {
		return nil, err
	}
	b := in.Body
	allow := func(tx postgres.Tx) error {
		err := hold(ctx, tx, hash)
		if err == nil && b.OrganizationID != uuid.Nil {
			_, err = authorize(ctx, tx, b.OrganizationID, tenant.Member)
		}
		return err
	}
	return rest.Once(ctx, f.pool, in.IdempotencyKey, b, allow, func(tx postgres.Tx) (IssuedToken, error) {
		if err := allow(tx); err != nil {
			return IssuedToken{}, err
		}
		t, bearer, err := account.IssueToken(ctx, tx, rest.Who(ctx).User.ID, account.TokenSpec{
			Label: b.Label, Scope: b.Scope, OrganizationID: b.OrganizationID, Lifetime: lifetime(b.ExpiresInDays),
		})
		if err != nil {
			return IssuedToken{}, err
		}
		return IssuedToken{t, bearer}, record(ctx, tx, t.OrganizationID, "token.create", tokenTarget(t),
			particulars{"scope": t.Scope, "expires_at": until(t.ExpiresAt)})
	})
}

type revokeTokenInput struct {
	TokenID uuid.UUID `path:"token_id" format:"uuid" doc:"id of the token"`
}

func (f *Function) revokeToken(ctx context.Context, in *revokeTokenInput) (*rest.None, error) {
	return erase(ctx, f, func(tx postgres.Tx) error {
		t, changed, err := account.RevokeToken(ctx, tx, rest.Who(ctx).User.ID, in.TokenID)
		if err != nil || !changed {
			return err
		}
		before := "active"
		if !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(t.RevokedAt) {
			before = "expired"
		}
		return record(ctx, tx, t.OrganizationID, "token.revoke", tokenTarget(t),
			changes{"state": {From: before, To: t.State}})
	})
}

func tokenTarget(t account.PersonalToken) tenant.Target {
	return tenant.Target{Kind: "token", ID: t.ID, Name: t.Label}
}
