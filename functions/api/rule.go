package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

const (
	tagRules              = "rules"
	pathProjectRules      = pathProject + "/rules"
	pathOrganizationRules = pathOrganization + "/rules"
	pathRule              = "/rules/{rule_id}"
)

// AlertRule is what the document calls a rule, and the others its parts; other packages have a Rule, too.
type AlertRule alert.Rule

// AlertCondition is a condition.
type AlertCondition alert.Condition

// AlertFilter is a filter.
type AlertFilter alert.Filter

// AlertTag is a tag of a filter.
type AlertTag alert.Tag

func (f *Function) ruleRoutes() {
	rest.Rename[alert.Rule, AlertRule](f.api)
	rest.Rename[alert.Condition, AlertCondition](f.api)
	rest.Rename[alert.Filter, AlertFilter](f.api)
	rest.Rename[alert.Tag, AlertTag](f.api)
	const kinds = "Which fields the condition has depends on the kind: new_issue and regression none; event_count and user_count " +
		"window_minutes, threshold and scope; spike window_minutes, factor and minimum; release_error_rate window_minutes, percent, minimum " +
		"and releases; monitor statuses and monitors. A rule that could never raise an alert is refused, with the reason."
	rest.Handle(f.api, rest.Route{
		ID: "list-project-rules", Method: http.MethodGet, Path: pathProjectRules, Tag: tagRules, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List a project's alert rules", Doc: "Returns what people want to be told of in a project.",
	}, f.listProjectRules)
	rest.Handle(f.api, rest.Route{
		ID: "list-organization-rules", Method: http.MethodGet, Path: pathOrganizationRules, Tag: tagRules, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "List an organization's alert rules",
		Doc: "Returns the alert rules of all projects, and those about all monitors of the organization.",
	}, f.listOrganizationRules)
	rest.Handle(f.api, rest.Route{
		ID: "create-project-rule", Method: http.MethodPost, Path: pathProjectRules, Tag: tagRules, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Create an alert rule of a project", Doc: "Makes a rule. " + kinds,
	}, f.createProjectRule)
	rest.Handle(f.api, rest.Route{
		ID: "create-organization-rule", Method: http.MethodPost, Path: pathOrganizationRules, Tag: tagRules, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusCreated, Summary: "Create an alert rule of an organization",
		Doc: "Makes a rule about monitors of the organization, those of all projects and its own. Its kind is monitor.",
	}, f.createOrganizationRule)
	rest.Handle(f.api, rest.Route{
		ID: "get-rule", Method: http.MethodGet, Path: pathRule, Tag: tagRules, Scope: account.ScopeRead,
		Role: string(tenant.Member), Summary: "Show an alert rule", Doc: "Returns a rule with its channels.",
	}, f.getRule)
	rest.Handle(f.api, rest.Route{
		ID: "update-rule", Method: http.MethodPatch, Path: pathRule, Tag: tagRules, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Summary: "Change an alert rule",
		Doc: "Changes what the call names; condition, filter and channels as a whole. The kind stays. When filter or scope change, " +
			"counting begins anew. Alerts of a rule that is disabled are resolved within a minute or two.",
	}, f.updateRule)
	rest.Handle(f.api, rest.Route{
		ID: "delete-rule", Method: http.MethodDelete, Path: pathRule, Tag: tagRules, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Status: http.StatusNoContent, Summary: "Delete an alert rule",
		Doc: "Deletes a rule. Its alerts stay; those that are open are resolved within a minute or two, and who was told of them is told.",
	}, f.deleteRule)
	f.dryRunRoutes()
}

// RuleQuery narrows a list of rules.
type RuleQuery struct {
	Kind    alert.Kind `query:"kind" enum:"new_issue,regression,event_count,user_count,spike,release_error_rate,monitor" doc:"only rules of this kind"`
	Enabled string     `query:"enabled" enum:"true,false" doc:"only rules that are enabled, or that are not"`
}

func (q RuleQuery) filter(project uuid.UUID) alert.RuleFilter {
	f := alert.RuleFilter{ProjectID: project, Kind: q.Kind}
	if q.Enabled != "" {
		enabled := q.Enabled == "true"
		f.Enabled = &enabled
	}
	return f
}

type listProjectRulesInput struct {
	OfProject
	rest.Paging
	RuleQuery
}

func (f *Function) listProjectRules(ctx context.Context, in *listProjectRulesInput) (*rest.Body[rest.List[alert.Rule]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	p, err := authorizeProject(ctx, f.pool, in.ProjectID, tenant.Member)
	if err != nil {
		return nil, err
	}
	return listed(alert.ListRules(ctx, f.pool, p.OrganizationID, in.filter(p.ID), r))
}

type listOrganizationRulesInput struct {
	OfOrganization
	rest.Paging
	RuleQuery
}

func (f *Function) listOrganizationRules(ctx context.Context, in *listOrganizationRulesInput) (*rest.Body[rest.List[alert.Rule]], error) {
	r, err := in.Request()
	if err != nil {
		return nil, err
	}
	if _, err := authorize(ctx, f.pool, in.OrganizationID, tenant.Member); err != nil {
		return nil, err
	}
	return listed(alert.ListRules(ctx, f.pool, in.OrganizationID, in.filter(uuid.Nil), r))
}

// RuleSettings is what can be set of a rule at any time.
type RuleSettings struct {
	Condition       *alert.Condition `json:"condition,omitempty" doc:"when there is an alert"`
	Filter          *alert.Filter    `json:"filter,omitempty" doc:"which events it is about; all, for a new rule that gives none"`
	Severity        *alert.Severity  `json:"severity,omitempty" enum:"critical,warning,info" doc:"how much its alerts matter; warning for a new rule"`
	ForMinutes      *int             `json:"for_minutes,omitempty" minimum:"0" maximum:"1440" doc:"how long the condition has to hold until there is an alert; 0 for a new rule. Only for rules over a window"`
	CooldownMinutes *int             `json:"cooldown_minutes,omitempty" minimum:"0" maximum:"10080" doc:"how long after an alert nobody is told of the same subject again; 0 for a new rule"`
	Enabled         *bool            `json:"enabled,omitempty" doc:"true for a new rule"`
	MuteMinutes     *int             `json:"mute_minutes,omitempty" minimum:"0" maximum:"525600" doc:"for so long, from now on, alerts are raised and nobody is told; 0: ends that"`
	ChannelIDs      *[]uuid.UUID     `json:"channel_ids,omitempty" maxItems:"20" nullable:"false" format:"uuid" doc:"channels of the organization that are told; none for a new rule"`
}

func (s RuleSettings) change(name *string) alert.RuleChange {
	return alert.RuleChange{
		Name: name, Condition: s.Condition, Filter: s.Filter, Severity: s.Severity, ForMinutes: s.ForMinutes,
		CooldownMinutes: s.CooldownMinutes, Enabled: s.Enabled, MuteMinutes: s.MuteMinutes, ChannelIDs: s.ChannelIDs,
	}
}

// NewRule is what a rule is made of.
type NewRule struct {
	Name string     `json:"name" minLength:"1" maxLength:"200"`
	Kind alert.Kind `json:"kind" enum:"new_issue,regression,event_count,user_count,spike,release_error_rate,monitor" doc:"what it looks for; it cannot be changed"`
	RuleSettings
}

type createProjectRuleInput struct {
	OfProject
	rest.Idempotent
	Body NewRule
}

func (f *Function) createProjectRule(ctx context.Context, in *createProjectRuleInput) (*rest.Created[alert.Rule], error) {
	return rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, func(tx postgres.Tx) error {
		_, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Admin)
		return err
	}, func(tx postgres.Tx) (alert.Rule, error) {
		p, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Admin)
		if err != nil {
			return alert.Rule{}, err
		}
		if p.Status == tenant.ProjectDeleting {
			return alert.Rule{}, fault.New(fault.Conflict, "the project is marked for deletion and gets no rules; set its status to %s to keep it",
				tenant.ProjectActive).Named("project_deleting")
		}
		return f.createRule(ctx, tx, alert.Place{OrganizationID: p.OrganizationID, ProjectID: p.ID}, in.Body)
	})
}

type createOrganizationRuleInput struct {
	OfOrganization
	rest.Idempotent
	Body NewRule
}

func (f *Function) createOrganizationRule(ctx context.Context, in *createOrganizationRuleInput) (*rest.Created[alert.Rule], error) {
	allow := func(tx postgres.Tx) error {
		_, err := authorize(ctx, tx, in.OrganizationID, tenant.Admin)
		return err
	}
	return rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, allow, func(tx postgres.Tx) (alert.Rule, error) {
		if err := allow(tx); err != nil {
			return alert.Rule{}, err
		}
		return f.createRule(ctx, tx, alert.Place{OrganizationID: in.OrganizationID}, in.Body)
	})
}

func (f *Function) createRule(ctx context.Context, tx postgres.Tx, in alert.Place, n NewRule) (alert.Rule, error) {
	r, err := alert.CreateRule(ctx, tx, in, n.Kind, n.change(&n.Name), f.limits, time.Now())
	if err != nil {
		return r, err
	}
	details := particulars{
		"kind": r.Kind, "condition": r.Condition, "severity": r.Severity, "for_minutes": r.ForMinutes,
		"cooldown_minutes": r.CooldownMinutes, "enabled": r.Enabled, "channel_ids": r.ChannelIDs,
	}
	if r.ProjectID != uuid.Nil {
		details["project_id"], details["filter"] = r.ProjectID, r.Filter
	}
	return r, record(ctx, tx, r.OrganizationID, "rule.create", ruleTarget(r), details)
}

// OfRule is the parameter of calls about one rule.
type OfRule struct {
	RuleID uuid.UUID `path:"rule_id" format:"uuid" doc:"id of the alert rule"`
}

// authorizeRule returns the organization of a rule, in which the caller has the role needed. A rule of others is not found.
func authorizeRule(ctx context.Context, db tenant.DB, id uuid.UUID, needed tenant.Role) (uuid.UUID, error) {
	owner, err := alert.OwnerOfRule(ctx, db, id)
	if err != nil {
		return uuid.Nil, err
	}
	return owner.OrganizationID, authorizeUnnamed(ctx, db, owner.OrganizationID, needed, "there is no alert rule with the id %s", id)
}

// authorizeUnnamed authorizes the caller in an organization that the call does not name, and must not name where it is refused.
func authorizeUnnamed(ctx context.Context, db tenant.DB, organization uuid.UUID, needed tenant.Role, says string, id uuid.UUID) error {
	_, err := authorize(ctx, db, organization, needed)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, says, id)
	}
	return err
}

func (f *Function) getRule(ctx context.Context, in *OfRule) (*rest.Body[alert.Rule], error) {
	organization, err := authorizeRule(ctx, f.pool, in.RuleID, tenant.Member)
	if err != nil {
		return nil, err
	}
	r, err := alert.FindRule(ctx, f.pool, organization, in.RuleID)
	return &rest.Body[alert.Rule]{Body: r}, err
}

// RulePatch is what is to be changed of a rule.
type RulePatch struct {
	Name *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
	RuleSettings
}

type updateRuleInput struct {
	OfRule
	Body RulePatch
}

func (f *Function) updateRule(ctx context.Context, in *updateRuleInput) (*rest.Body[alert.Rule], error) {
	return change(ctx, f, func(tx postgres.Tx) (alert.Rule, error) {
		organization, err := authorizeRule(ctx, tx, in.RuleID, tenant.Admin)
		if err != nil {
			return alert.Rule{}, err
		}
		was, is, err := alert.ChangeRule(ctx, tx, organization, in.RuleID, in.Body.change(in.Body.Name), time.Now())
		if err != nil {
			return alert.Rule{}, err
		}
		return is, ruleChanges(was, is).record(ctx, tx, organization, "rule.update", ruleTarget(is))
	})
}

func ruleChanges(was, is alert.Rule) changes {
	c := changes{}
	note(c, "name", was.Name, is.Name)
	note(c, "severity", was.Severity, is.Severity)
	note(c, "for_minutes", was.ForMinutes, is.ForMinutes)
	note(c, "cooldown_minutes", was.CooldownMinutes, is.CooldownMinutes)
	note(c, "enabled", was.Enabled, is.Enabled)
	if !was.MutedUntil.Equal(is.MutedUntil) {
		c["muted_until"] = tenant.Change{From: until(was.MutedUntil), To: until(is.MutedUntil)}
	}
	for field, values := range map[string][2]any{
		"condition": {was.Condition, is.Condition}, "filter": {was.Filter, is.Filter}, "channel_ids": {was.ChannelIDs, is.ChannelIDs},
	} {
		if !reflect.DeepEqual(values[0], values[1]) {
			c[field] = tenant.Change{From: values[0], To: values[1]}
		}
	}
	return c
}

func (f *Function) deleteRule(ctx context.Context, in *OfRule) (*rest.None, error) {
	return erase(ctx, f, func(tx postgres.Tx) error {
		organization, err := authorizeRule(ctx, tx, in.RuleID, tenant.Admin)
		if err != nil {
			return err
		}
		r, err := alert.DeleteRule(ctx, tx, organization, in.RuleID)
		if err != nil {
			return err
		}
		return record(ctx, tx, organization, "rule.delete", ruleTarget(r), particulars{"kind": r.Kind})
	})
}

func ruleTarget(r alert.Rule) tenant.Target {
	return tenant.Target{Kind: "rule", ID: r.ID, Name: r.Name}
}
