package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagKeys  = "keys"
	pathKeys = pathProject + "/keys"
	pathKey  = pathKeys + "/{key_id}"
)

func (f *Function) keyRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-keys", Method: http.MethodGet, Path: pathKeys, Tag: tagKeys, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List API keys",
		Doc: "Returns what is known of a project's keys, also of those that expired or were revoked, but not the keys themselves.",
	}, f.listKeys)
	rest.Handle(f.api, rest.Route{
		ID: "create-key", Method: http.MethodPost, Path: pathKeys, Tag: tagKeys, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Create an API key",
		Doc: "Makes a key that events of the project can be sent with. It is shown in the answer and never again.",
	}, f.createKey)
	rest.Handle(f.api, rest.Route{
		ID: "get-key", Method: http.MethodGet, Path: pathKey, Tag: tagKeys, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show an API key", Doc: "Returns what is known of a key, but not the key itself.",
	}, f.getKey)
	rest.Handle(f.api, rest.Route{
		ID: "update-key", Method: http.MethodPatch, Path: pathKey, Tag: tagKeys, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Summary: "Change an API key",
		Doc: "Changes a key's label or rate limit. Nothing else of a key can be changed.",
	}, f.updateKey)
	rest.Handle(f.api, rest.Route{
		ID: "rotate-key", Method: http.MethodPost, Path: pathKey + "/rotate", Tag: tagKeys, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Replace an API key",
		Doc: "Gives a key a successor with the same label, environment, rate limit and lifetime, which is shown in the answer and never again. " +
			"The old key lives on for the overlap, or until it expires if that is sooner, and up to 60 s longer: for that long " +
			"instances remember a key. A key that was replaced already, expired or is revoked is a conflict.",
	}, f.rotateKey)
	rest.Handle(f.api, rest.Route{
		ID: "revoke-key", Method: http.MethodPost, Path: pathKey + "/revoke", Tag: tagKeys, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusOK, Summary: "Revoke an API key",
		Doc: "Makes a key worthless for good. Instances remember a key for up to 60 s and take events with it until then. " +
			"One that is revoked already stays so.",
	}, f.revokeKey)
}

type listKeysInput struct {
	OfProject
	rest.Paging
	State       tenant.KeyState `query:"state" enum:"active,expired,revoked" doc:"only keys of this state"`
	Environment string          `query:"environment" maxLength:"64" doc:"only keys of exactly this environment"`
	Label       string          `query:"label" maxLength:"100" doc:"only keys with this part in their label, in any case"`
}

func (f *Function) listKeys(ctx context.Context, in *listKeysInput) (*rest.Body[rest.List[tenant.Key]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member); err != nil {
		return nil, err
	}
	filter := tenant.KeyFilter{State: in.State, Environment: in.Environment, Label: in.Label}
	return listed(tenant.PageKeys(ctx, f.pool, in.ProjectID, filter, r))
}

// OfKey are the parameters of calls about one API key.
type OfKey struct {
	OfProject
	KeyID uuid.UUID `path:"key_id" format:"uuid" doc:"id of the API key"`
}

func (f *Function) getKey(ctx context.Context, in *OfKey) (*rest.Body[tenant.Key], error) {
	if _, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member); err != nil {
		return nil, err
	}
	k, err := tenant.FindKey(ctx, f.pool, in.ProjectID, in.KeyID)
	return &rest.Body[tenant.Key]{Body: k}, err
}

// KeyPatch is what is to be changed of an API key.
type KeyPatch struct {
	Label *string `json:"label,omitempty" minLength:"1" maxLength:"100" doc:"what it is for"`

	RateLimit *int `json:"rate_limit,omitempty" minimum:"0" maximum:"2147483647" doc:"most events a minute with it; 0: only the project's limit holds"`
}

type updateKeyInput struct {
	OfKey
	Body KeyPatch
}

func (f *Function) updateKey(ctx context.Context, in *updateKeyInput) (*rest.Body[tenant.Key], error) {
	return change(ctx, f, func(tx postgres.Tx) (tenant.Key, error) {
		p, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Admin)
		if err != nil {
			return tenant.Key{}, err
		}
		was, err := tenant.FindKey(ctx, tx, in.ProjectID, in.KeyID)
		if err != nil {
			return tenant.Key{}, err
		}
		k, err := tenant.ChangeKey(ctx, tx, in.ProjectID, in.KeyID, tenant.KeyChange(in.Body))
		if err != nil {
			return tenant.Key{}, err
		}
		c := changes{}
		note(c, "label", was.Label, k.Label)
		note(c, "rate_limit", was.RateLimit, k.RateLimit)
		return k, c.record(ctx, tx, p.OrganizationID, "key.update", keyTarget(k))
	})
}

func (f *Function) revokeKey(ctx context.Context, in *OfKey) (*rest.Body[tenant.Key], error) {
	return change(ctx, f, func(tx postgres.Tx) (tenant.Key, error) {
		p, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Admin)
		if err != nil {
			return tenant.Key{}, err
		}
		k, changed, err := tenant.RevokeKey(ctx, tx, in.ProjectID, in.KeyID)
		if err != nil || !changed {
			return k, err
		}
		return k, record(ctx, tx, p.OrganizationID, "key.revoke", keyTarget(k), particulars{"project": k.Project, "label": k.Label})
	})
}

// keeper returns a project that may get new keys, in whose organization the caller is an admin.
func keeper(ctx context.Context, tx postgres.Tx, project uuid.UUID) (tenant.Project, error) {
	p, err := authorizeProject(ctx, tx, project, tenant.Admin)
	if err == nil && p.Status == tenant.ProjectDeleting {
		return p, fault.New(fault.Conflict, "the project is marked for deletion and gets no keys; set its status to %s to keep it",
			tenant.ProjectActive).Named("project_deleting")
	}
	return p, err
}

func keyTarget(k tenant.Key) tenant.Target {
	return tenant.Target{Kind: "key", ID: k.ID, Name: k.Name()}
}
