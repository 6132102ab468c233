package tenant

import (
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/scrub"
)

const (
	retentionMost = 3650 // days

	// Severity numbers of OpenTelemetry. No record has the last one.
	otlpSeverityLeast = 1
	otlpSeverityUsual = 17 // error
	otlpSeverityMost  = 25
)

// ProjectChange is what is to be set of a project; nil fields are not. Values are checked by CreateProject and ChangeProject: a
// wrong one is a fault.Invalid that says what is right.
type ProjectChange struct {
	Name           *string
	Slug           *string        // one that is taken is a fault.Conflict, code "slug_taken"
	Status         *ProjectStatus // active or archived; also takes back a deletion
	RetentionDays  *int           // 1 to 3650
	SampleRate     *float64       // above 0 to 1
	AllowedOrigins *[]string      // up to 100, as https://app.example.com, https://*.example.com, with a port if not the usual
	RateLimit      *int           // events a minute; 0: no limit
	MonthlyBudget  *int64         // events a calendar month; 0: no budget
	OTLPSeverity   *int           // 1 to 25
	GroupingRules  *[]grouping.Rule
	ScrubRules     *scrub.Rules
}

// checked returns the change as it is to be stored, or says what is wrong with it.
func (c ProjectChange) checked() (ProjectChange, error) {
	for _, check := range []func() error{c.checkNames, c.checkStatus, c.checkNumbers, c.checkLimits, c.checkRules} {
		if err := check(); err != nil {
			return c, err
		}
	}
	if c.AllowedOrigins != nil {
		origins, err := normalOrigins(*c.AllowedOrigins)
		if err != nil {
			return c, err
		}
		c.AllowedOrigins = &origins
	}
	if c.GroupingRules != nil && *c.GroupingRules == nil {
		c.GroupingRules = &[]grouping.Rule{}
	}
	return c, nil
}

func (c ProjectChange) checkNames() error {
	if c.Name != nil {
		if err := CheckName("project's name", *c.Name); err != nil {
			return err
		}
	}
	if c.Slug != nil {
		return checkSlug(*c.Slug)
	}
	return nil
}

func (c ProjectChange) checkStatus() error {
	if s := c.Status; s != nil && *s != ProjectActive && *s != ProjectArchived {
		return fault.New(fault.Invalid, "the status of a project can be set to %s or %s; to delete the project, delete it",
			ProjectActive, ProjectArchived)
	}
	return nil
}

func (c ProjectChange) checkNumbers() error {
	if d := c.RetentionDays; d != nil && (*d < 1 || *d > retentionMost) {
		return fault.New(fault.Invalid, "events are kept for 1 to %d days, not %d", retentionMost, *d)
	}
	// Turned round, so that what is not a number is refused too.
	if s := c.SampleRate; s != nil && !(*s > 0 && *s <= 1) {
		return fault.New(fault.Invalid, "the sample rate is above 0 and at most 1, not %g", *s)
	}
	if s := c.OTLPSeverity; s != nil && (*s < otlpSeverityLeast || *s > otlpSeverityMost) {
		return fault.New(fault.Invalid, "the severity is %d (trace) to 24 (fatal), or %d for no log records, not %d",
			otlpSeverityLeast, otlpSeverityMost, *s)
	}
	return nil
}

func (c ProjectChange) checkLimits() error {
	if c.RateLimit != nil {
		if err := checkRateLimit(*c.RateLimit); err != nil {
			return err
		}
	}
	if c.MonthlyBudget != nil {
		return checkBudget(*c.MonthlyBudget)
	}
	return nil
}

// apply returns the project with the change. One that is marked for deletion takes none, unless that is taken back.
func (c ProjectChange) apply(p Project) (Project, error) {
	if p.Status == ProjectDeleting {
		if c.Status == nil {
			return p, fault.New(fault.Conflict, "the project is marked for deletion; set its status to %s or %s to keep it",
				ProjectActive, ProjectArchived).Named("project_deleting")
		}
		p.Slug = revivedSlug(p.Slug, p.ID)
	}
	set(&p.Name, c.Name)
	set(&p.Slug, c.Slug)
	set(&p.Status, c.Status)
	set(&p.RetentionDays, c.RetentionDays)
	set(&p.SampleRate, c.SampleRate)
	set(&p.AllowedOrigins, c.AllowedOrigins)
	set(&p.RateLimit, c.RateLimit)
	set(&p.MonthlyBudget, c.MonthlyBudget)
	set(&p.OTLPSeverity, c.OTLPSeverity)
	set(&p.GroupingRules, c.GroupingRules)
	set(&p.ScrubRules, c.ScrubRules)
	return p, nil
}
