package notify

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/fault"
)

// links makes the links to what is told of. The zero value makes none.
type links struct {
	alert string // a template; empty: none
	api   string // base of the API's addresses; empty: none
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// newLinks reads the settings.
func newLinks(c Config) (links, error) {
	const expected = "expected https://host/path, with any of {organization_id}, {project_id}, {alert_id}, {rule_id}, {issue_id} and {monitor_id}"
	filled := fill(c.AlertURL, alert.Told{})
	u, err := url.Parse(filled)
	if c.AlertURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || placeholder.MatchString(filled)) {
		return links{}, fault.New(fault.NotConfigured, "ALERT_URL is not an address that links can be made of: %s", expected)
	}
	l := links{alert: c.AlertURL}
	if c.APIURL == "" {
		return l, nil
	}
	if l.api, err = baseURL("API_URL", c.APIURL); err != nil {
		return links{}, err
	}
	l.api += "/api/v1"
	return l, nil
}

// fill puts ids into a template. What an alert is not about is empty.
func fill(template string, t alert.Told) string {
	id := func(id uuid.UUID) string {
		if id == uuid.Nil {
			return ""
		}
		return id.String()
	}
	return strings.NewReplacer(
		"{organization_id}", id(t.OrganizationID), "{project_id}", id(t.ProjectID), "{alert_id}", id(t.ID), "{rule_id}", id(t.RuleID),
		"{issue_id}", id(t.IssueID), "{monitor_id}", id(t.MonitorID)).Replace(template)
}

// alertLink returns where people look at an alert; empty: nowhere.
func (l links) alertLink(t alert.Told) string {
	if l.alert == "" {
		return ""
	}
	return fill(l.alert, t)
}

// resources are addresses of what an alert is about, for programs.
type resources struct {
	Alert   string `json:"alert,omitempty"`
	Issue   string `json:"issue,omitempty"`
	Monitor string `json:"monitor,omitempty"`
}

func (l links) resources(t alert.Told) resources {
	r := resources{Alert: l.alertLink(t)}
	if l.api == "" {
		return r
	}
	if t.IssueID != uuid.Nil && t.ProjectID != uuid.Nil {
		r.Issue = l.api + "/projects/" + t.ProjectID.String() + "/issues/" + t.IssueID.String()
	}
	if t.MonitorID != uuid.Nil {
		r.Monitor = l.api + "/organizations/" + t.OrganizationID.String() + "/monitors/" + t.MonitorID.String()
	}
	return r
}
