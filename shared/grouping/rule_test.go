package grouping_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/grouping"
)

// rule returns a rule that matches field and pattern pairs and gives the fingerprint "hit".
func rule(pairs ...string) grouping.Rule {
	r := grouping.Rule{Fingerprint: []string{"hit"}}
	for i := 0; i < len(pairs); i += 2 {
		r.Matchers = append(r.Matchers, grouping.Matcher{Field: pairs[i], Pattern: pairs[i+1]})
	}
	return r
}

// compile compiles rules that are right.
func compile(t testing.TB, rules ...grouping.Rule) *grouping.Rules {
	t.Helper()
	compiled, err := grouping.CompileRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// paid is an event with all that rules look at.
const paid = `"platform":"go","logger":"http","release":"shop@1.2","environment":"prod","transaction":"/pay","tags":{"region":"eu","a.b":"x"},
	"exception":[{"type":"net.Error","value":"no route"},{"type":"PayError","value":"order 12 failed","stacktrace":{"frames":[
	{"module":"app/web","function":"Serve","filename":"web/serve.go","in_app":true},
	{"module":"app/pay","function":"Charge.func1","abs_path":"C:\\src\\pay\\charge.go","in_app":true}]}}]`

func TestMatchers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		pairs []string
		want  bool
	}{
		{"a type", []string{"type", "PayError"}, true},
		{"a type of the cause", []string{"type", "net.*"}, true},
		{"part of a type", []string{"type", "Pay"}, false},
		{"capitals count", []string{"type", "payerror"}, false},
		{"a value", []string{"value", "order * failed"}, true},
		{"message is another word for it", []string{"message", "*failed"}, true},
		{"type and value of one entry", []string{"type", "PayError", "value", "order*"}, true},
		{"type and value of two entries", []string{"type", "PayError", "value", "no route"}, false},
		{"a function", []string{"function", "Charge*"}, true},
		{"function and module of one frame", []string{"function", "Serve", "module", "app/web"}, true},
		{"function and module of two frames", []string{"function", "Serve", "module", "app/pay"}, false},
		{"a path of Windows", []string{"path", "*/pay/charge.go"}, true},
		{"a path with backslashes in the pattern", []string{"path", `*\pay\*.go`}, true},
		{"a question mark", []string{"logger", "h??p"}, true},
		{"a question mark is one character", []string{"logger", "?"}, false},
		{"level", []string{"level", "err*"}, true},
		{"all of the event", []string{"release", "shop@*", "environment", "prod", "platform", "go", "transaction", "/p?y"}, true},
		{"one of them does not match", []string{"release", "shop@*", "environment", "test"}, false},
		{"a tag", []string{"tags.region", "eu"}, true},
		{"a tag with a dot", []string{"tags.a.b", "x"}, true},
		{"a tag that is not there", []string{"tags.zone", "*"}, false},
		{"stars at both ends", []string{"transaction", "*pa*"}, true},
		{"only a star", []string{"transaction", "*"}, true},
		{"a star before what is used up", []string{"transaction", "/pay*y"}, false},
		{"a question mark after a star", []string{"transaction", "*?ay"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := decode(t, paid)
			got := grouping.Explain(project, &e, compile(t, rule(tt.pairs...)))
			if (got.Reason == grouping.ByRule) != tt.want {
				t.Errorf("reason %s for %q", got.Reason, tt.pairs)
			}
		})
	}
}

func TestFirstRuleDecides(t *testing.T) {
	t.Parallel()
	first, second := rule("type", "No"), rule("type", "Pay*")
	second.Fingerprint, second.Title = []string{"pay", "{{type}}", "{{ transaction }} {{ unknown }}"}, "Payments: {{ message }}"
	third := rule("type", "*")
	rules := compile(t, first, second, third)
	e := decode(t, paid)
	x := grouping.Explain(project, &e, rules)
	if x.Rule != 2 || x.Title != "Payments: order 12 failed" || x.Why != "rule 2 of the project is the first that matches" ||
		!slices.Equal(texts(x), []string{"pay", "PayError", "/pay {{ unknown }}"}) {
		t.Errorf("%+v", x)
	}
	grouping.GroupWith(rules, project, &e)
	if e.Fingerprint != x.Fingerprint || e.Title != x.Title || e.Culprit != x.Culprit {
		t.Errorf("GroupWith set %s, %q", e.Fingerprint, e.Title)
	}
	own := decode(t, paid+`,"fingerprint":["mine"]`)
	if x := grouping.Explain(project, &own, rules); x.Reason != grouping.Custom {
		t.Errorf("the client's fingerprint lost to %s", x.Reason)
	}
	usual := decode(t, paid+`,"fingerprint":["{{ default }}"]`)
	if x := grouping.Explain(project, &usual, rules); x.Reason != grouping.ByRule {
		t.Errorf("a client that asks for the default got %s", x.Reason)
	}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	tests := []struct{ part, want string }{
		{"{{ type }}", "PayError"},
		{"{{value}}", "order <num> failed"},
		{"{{ message }}", "order <num> failed"},
		{"{{ function }}", "Charge"},
		{"{{ module }}", "app/pay"},
		{"{{ transaction }}-{{level}}", "/pay-error"},
		{"{{ logger }}", "http"},
		{"{{ release }}", "shop@1.2"},
		{"{{ environment }}", "prod"},
		{"{{ platform }}", "go"},
		{"{{ tags.region }}", "eu"},
		{"{{ tags.zone }}", "<no tags.zone>"},
		{"{{ else }}", "{{ else }}"},
		{"{{ type", "{{ type"},
		{"{{ {{ type }}", "{{ PayError"},
		{"7", "7"},
	}
	for _, tt := range tests {
		own := decode(t, paid+`,"fingerprint":["`+tt.part+`"]`)
		if got := texts(grouping.Explain(project, &own, nil)); !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s of a client became %q, want %q", tt.part, got, tt.want)
		}
		r := rule("type", "*")
		r.Fingerprint = []string{tt.part}
		e := decode(t, paid)
		if got := texts(grouping.Explain(project, &e, compile(t, r))); !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s of a rule became %q, want %q", tt.part, got, tt.want)
		}
	}
	number := decode(t, paid+`,"fingerprint":[7,"{{default}}"]`)
	want := []string{"7", "net.Error", "PayError", "app/web Serve", "app/pay Charge"}
	if got := texts(grouping.Explain(project, &number, nil)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWrongRules(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", grouping.LongestText+1)
	with := func(change func(*grouping.Rule)) []grouping.Rule {
		r := rule("type", "*")
		change(&r)
		return []grouping.Rule{rule("type", "*"), r}
	}
	tests := []struct {
		name  string
		rules []grouping.Rule
		want  string
	}{
		{"too many", make([]grouping.Rule, grouping.MostRules+1), "201 rules"},
		{"no matcher", with(func(r *grouping.Rule) { r.Matchers = nil }), "rule 2 needs a matcher"},
		{"too many matchers", with(func(r *grouping.Rule) { r.Matchers = make([]grouping.Matcher, grouping.MostMatchers+1) }), "11 matchers"},
		{"no fingerprint", with(func(r *grouping.Rule) { r.Fingerprint = nil }), "rule 2 needs a fingerprint"},
		{"too many parts", with(func(r *grouping.Rule) { r.Fingerprint = make([]string, grouping.MostParts+1) }), "33 parts"},
		{"an empty part", with(func(r *grouping.Rule) { r.Fingerprint = []string{"a", ""} }), "part 2"},
		{"a part with a zero byte", with(func(r *grouping.Rule) { r.Fingerprint = []string{"a\x00b"} }), "part 1"},
		{"a long title", with(func(r *grouping.Rule) { r.Title = long }), "title of rule 2"},
		{"an unknown field", with(func(r *grouping.Rule) { r.Matchers[0].Field = "colour" }), `unknown field "colour"`},
		{"a tag without a name", with(func(r *grouping.Rule) { r.Matchers[0].Field = "tags." }), "unknown field"},
		{"an empty pattern", with(func(r *grouping.Rule) { r.Matchers[0].Pattern = "" }), "pattern of matcher 1 of rule 2"},
		{"a long pattern", with(func(r *grouping.Rule) { r.Matchers[0].Pattern = long }), "pattern of matcher 1 of rule 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := grouping.CompileRules(tt.rules)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	if _, err := grouping.CompileRules(slices.Repeat([]grouping.Rule{rule("tags.x", strings.Repeat("ö", grouping.LongestText))}, grouping.MostRules)); err != nil {
		t.Errorf("rules at the limits: %v", err)
	}
}

func TestRulesAsJSON(t *testing.T) {
	t.Parallel()
	in := `[{"matchers":[{"field":"type","pattern":"Db*"}],"fingerprint":["db","{{ type }}"],"title":"Database"}]`
	var rules []grouping.Rule
	if err := json.Unmarshal([]byte(in), &rules); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(rules)
	if diff := cmp.Diff(in, string(out)); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
