package grouping_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
)

// byMessage is the algorithm of a version that looked at nothing but the message.
func byMessage(_ *grouping.Rules, project uuid.UUID, e *event.Event) uuid.UUID {
	return uuid.NewSHA1(project, []byte(e.Message))
}

func TestGrouperTellsTheFormerFingerprint(t *testing.T) {
	t.Parallel()
	plain := decode(t, `"message":"order 12 failed"`)
	grouping.Group(project, &plain)
	if plain.Former != uuid.Nil {
		t.Errorf("version %d has a former fingerprint, %s", grouping.Version, plain.Former)
	}
	e := plain
	grouping.Grouper{Former: byMessage}.Group(nil, project, &e)
	if want := byMessage(nil, project, &e); e.Former != want {
		t.Errorf("former fingerprint = %s, want %s", e.Former, want)
	}
	e.Former = uuid.Nil
	if diff := cmp.Diff(plain, e); diff != "" {
		t.Errorf("a former version changes what this one does (-without +with):\n%s", diff)
	}
}

func TestGrouperLeavesOutAFormerFingerprintThatIsTheSame(t *testing.T) {
	t.Parallel()
	same := func(rules *grouping.Rules, project uuid.UUID, e *event.Event) uuid.UUID {
		return grouping.Explain(project, e, rules).Fingerprint
	}
	for name, g := range map[string]grouping.Grouper{"the same": {Former: same}, "none": grouping.Current()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := decode(t, `"message":"order 12 failed"`)
			e.Former = uuid.New() // of an event that was grouped before
			g.Group(nil, project, &e)
			if e.Former != uuid.Nil || e.Fingerprint == uuid.Nil {
				t.Errorf("former fingerprint = %s of %s, want none", e.Former, e.Fingerprint)
			}
		})
	}
}

func TestGrouperPassesTheRulesOn(t *testing.T) {
	t.Parallel()
	rules, err := grouping.CompileRules([]grouping.Rule{{
		Matchers: []grouping.Matcher{{Field: "message", Pattern: "order*"}}, Fingerprint: []string{"orders"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := decode(t, `"message":"order 12 failed"`)
	var got *grouping.Rules
	grouping.Grouper{Former: func(r *grouping.Rules, _ uuid.UUID, e *event.Event) uuid.UUID {
		got = r
		return byMessage(r, project, e)
	}}.Group(rules, project, &e)
	if got != rules {
		t.Error("the former version got other rules")
	}
}
