package grouping_test

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
)

func ExampleExplain() {
	rules, err := grouping.CompileRules([]grouping.Rule{{
		Matchers:    []grouping.Matcher{{Field: "message", Pattern: "payment * refused*"}},
		Fingerprint: []string{"payments", "{{ tags.provider }}"},
		Title:       "Payments refused by {{ tags.provider }}",
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	e := event.Event{Message: "payment 8812 refused: no funds", Tags: []byte(`{"provider":"acme"}`)}
	x := grouping.Explain(uuid.Nil, &e, rules)
	fmt.Println(x.Title)
	fmt.Println(x.Why)
	for _, part := range x.Parts {
		fmt.Printf("%s (%s)\n", part.Text, part.From)
	}
	// Output:
	// Payments refused by acme
	// rule 1 of the project is the first that matches
	// payments (the fingerprint of a rule)
	// acme (the fingerprint of a rule)
}
