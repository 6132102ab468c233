package api

import (
	"context"
	"net/http"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagOrganizations = "organizations"
	pathOrganization = "/organizations/{organization_id}"
)

func (f *Function) organizationRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "list-organizations", Method: http.MethodGet, Path: "/organizations", Tag: tagOrganizations, Scope: account.ScopeRead,
		Summary: "List organizations",
		Doc:     "Returns the organizations that the caller is a member of, with the caller's role.",
	}, f.listOrganizations)
	rest.Handle(f.api, rest.Route{
		ID: "create-organization", Method: http.MethodPost, Path: "/organizations", Tag: tagOrganizations, Scope: account.ScopeAdmin,
		Status:  http.StatusCreated,
		Summary: "Create an organization",
		Doc: "Makes an organization with the caller as its owner. Where registration is not open to everybody, only owners of another " +
			"organization may do this, and the first user. A token of one organization may not.",
	}, f.createOrganization)
	rest.Handle(f.api, rest.Route{
		ID: "get-organization", Method: http.MethodGet, Path: pathOrganization, Tag: tagOrganizations, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show an organization", Doc: "Returns an organization with the caller's role in it.",
	}, f.getOrganization)
	rest.Handle(f.api, rest.Route{
		ID: "update-organization", Method: http.MethodPatch, Path: pathOrganization, Tag: tagOrganizations, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Summary: "Change an organization",
		Doc: "Changes the name or the slug. A slug that another organization has is a conflict.",
	}, f.updateOrganization)
	rest.Handle(f.api, rest.Route{
		ID: "delete-organization", Method: http.MethodDelete, Path: pathOrganization, Tag: tagOrganizations, Scope: account.ScopeAdmin,
		Role: string(tenant.Owner), Status: http.StatusNoContent, Summary: "Delete an organization",
		Doc: "Marks the organization and its projects for deletion. From then on nobody sees it, and its keys take no events; " +
			"instances remember a key for up to 60 s.",
	}, f.deleteOrganization)
}

type listOrganizationsInput struct {
	rest.Paging
	Search string `query:"search" maxLength:"200" doc:"only organizations with this part in name or slug, in any case"`
}

func (f *Function) listOrganizations(ctx context.Context, in *listOrganizationsInput) (*rest.Body[rest.List[tenant.Organization]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	return listed(tenant.ListOrganizations(ctx, f.pool, rest.Viewer(ctx), in.Search, r))
}

// NewOrganization is what an organization is made of.
type NewOrganization struct {
	Name string `json:"name" minLength:"1" maxLength:"200" doc:"the slug is derived from it"`
}

type createOrganizationInput struct {
	rest.Idempotent
	Body NewOrganization
}

func (f *Function) createOrganization(ctx context.Context, in *createOrganizationInput) (*rest.Created[tenant.Organization], error) {
	if err := unbound(ctx); err != nil {
		return nil, err
	}
	return rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, func(tx postgres.Tx) error {
		return f.mayCreate(ctx, tx)
	}, func(tx postgres.Tx) (tenant.Organization, error) {
		if err := f.mayCreate(ctx, tx); err != nil {
			return tenant.Organization{}, err
		}
		o, err := tenant.CreateOrganization(ctx, tx, rest.Who(ctx).User.ID, in.Body.Name)
		if err != nil {
			return tenant.Organization{}, err
		}
		return o, record(ctx, tx, o.ID, "organization.create", organizationTarget(o), particulars{"slug": o.Slug})
	})
}

func (f *Function) mayCreate(ctx context.Context, tx postgres.Tx) error {
	if f.open {
		return nil
	}
	may, err := tenant.MayCreateOrganization(ctx, tx, rest.Who(ctx).User.ID)
	if err == nil && !may {
		return fault.New(fault.Forbidden, "only owners of an organization may create another here; ask one, or the operator").
			Named("registration_closed")
	}
	return err
}

func (f *Function) getOrganization(ctx context.Context, in *OfOrganization) (*rest.Body[tenant.Organization], error) {
	role, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member)
	if err != nil {
		return nil, err
	}
	o, err := tenant.OrganizationByID(ctx, f.pool, in.OrganizationID)
	o.Role = role
	return &rest.Body[tenant.Organization]{Body: o}, err
}

// OrganizationPatch is what is to be changed of an organization.
type OrganizationPatch struct {
	Name *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Slug *string `json:"slug,omitempty" pattern:"^[a-z0-9][a-z0-9-]{0,62}$" patternDescription:"lower-case letters, digits and hyphens, at most 63, a letter or digit first" doc:"stands for it in addresses"`

	MonthlyBudget *int64 `json:"monthly_budget,omitempty" minimum:"0" maximum:"1000000000000000" doc:"most events of all its projects in a calendar month (UTC); 0: no budget"`
}

type updateOrganizationInput struct {
	OfOrganization
	Body OrganizationPatch
}

func (f *Function) updateOrganization(ctx context.Context, in *updateOrganizationInput) (*rest.Body[tenant.Organization], error) {
	return change(ctx, f, func(tx postgres.Tx) (tenant.Organization, error) {
		role, err := settle(ctx, tx, in.OrganizationID, tenant.Admin)
		if err != nil {
			return tenant.Organization{}, err
		}
		was, is, err := tenant.ChangeOrganization(ctx, tx, in.OrganizationID, tenant.OrganizationChange(in.Body))
		if err != nil {
			return tenant.Organization{}, err
		}
		is.Role = role
		c := changes{}
		note(c, "name", was.Name, is.Name)
		note(c, "slug", was.Slug, is.Slug)
		note(c, "monthly_budget", was.MonthlyBudget, is.MonthlyBudget)
		return is, c.record(ctx, tx, is.ID, "organization.update", organizationTarget(is))
	})
}

func (f *Function) deleteOrganization(ctx context.Context, in *OfOrganization) (*rest.None, error) {
	return erase(ctx, f, func(tx postgres.Tx) error {
		if _, err := settle(ctx, tx, in.OrganizationID, tenant.Owner); err != nil {
			return err
		}
		o, err := tenant.OrganizationByID(ctx, tx, in.OrganizationID)
		if err != nil {
			return err
		}
		if err := tenant.DeleteOrganization(ctx, tx, o.ID); err != nil {
			return err
		}
		return record(ctx, tx, o.ID, "organization.delete", organizationTarget(o), particulars{"slug": o.Slug})
	})
}

func organizationTarget(o tenant.Organization) tenant.Target {
	return tenant.Target{Kind: "organization", ID: o.ID, Name: o.Name}
}
