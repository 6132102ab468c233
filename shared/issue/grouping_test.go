package issue_test

import (
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/issue"
)

func TestExplainGrouping(t *testing.T) {
	t.Parallel()
	f := setup(t)
	e := event.Event{Level: event.Error, Message: "order 7 is lost", Tags: []byte("{}"), Extra: []byte("{}")}
	grouping.Group(f.project.ID, &e)
	id := f.open(t, f.project.ID, "a")
	f.send(t, f.project.ID, sent{print: "a", at: f.now})
	_, err := f.admin.Exec(t.Context(), "update mesher.events set message = $1::text, fingerprint = $2::uuid", e.Message, e.Fingerprint)
	must(t, err)
	_, err = f.admin.Exec(t.Context(), "update mesher.issue_fingerprints set fingerprint = $1::uuid", e.Fingerprint)
	must(t, err)
	g, err := issue.ExplainGrouping(t.Context(), f.app, f.project.ID, id, nil)
	must(t, err)
	if g.Differs || g.Now.Fingerprint != e.Fingerprint || g.StoredVersion != 1 || g.Now.Reason != grouping.Message || len(g.Now.Parts) == 0 {
		t.Errorf("%+v", g)
	}
	rules := []grouping.Rule{{Matchers: []grouping.Matcher{{Field: "message", Pattern: "order *"}}, Fingerprint: []string{"orders"}}}
	g, err = issue.ExplainGrouping(t.Context(), f.app, f.project.ID, id, rules)
	must(t, err)
	if !g.Differs || g.Now.Reason != grouping.ByRule || g.Now.Rule != 1 || g.Stored != e.Fingerprint {
		t.Errorf("with a rule: %+v", g)
	}
}
