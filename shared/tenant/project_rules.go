package tenant

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/scrub"
)

const (
	rateLimitMost = math.MaxInt32
	budgetMost    = 1_000_000_000_000_000 // which JSON numbers still count exactly
	rulesMost     = 256 << 10             // bytes of a project's rules of one kind: every instance of Ingest holds them
)

// checkRateLimit checks a rate limit, which is in events a minute.
func checkRateLimit(limit int) error {
	if limit < 0 || limit > rateLimitMost {
		return fault.New(fault.Invalid, "the rate limit is 1 to %d events a minute, or 0 for none, not %d", rateLimitMost, limit)
	}
	return nil
}

func checkBudget(budget int64) error {
	if budget < 0 || budget > budgetMost {
		return fault.New(fault.Invalid, "the monthly budget is 1 to %d events, or 0 for none, not %d", int64(budgetMost), budget)
	}
	return nil
}

// checkRules sees to it that Ingest can compile the rules.
func (c ProjectChange) checkRules() error {
	if c.GroupingRules != nil {
		if _, err := grouping.CompileRules(*c.GroupingRules); err != nil {
			return fmt.Errorf("grouping rules: %w", err)
		}
		if err := checkStored("grouping rules", *c.GroupingRules); err != nil {
			return err
		}
	}
	if c.ScrubRules != nil {
		if _, err := scrub.Compile(*c.ScrubRules); err != nil {
			return fmt.Errorf("scrub rules: %w", err)
		}
		return checkStored("scrub rules", *c.ScrubRules)
	}
	return nil
}

// checkStored refuses rules that are too many, or cannot be stored.
func checkStored(what string, rules any) error {
	text, err := json.Marshal(rules)
	if err != nil {
		return fmt.Errorf("encode %s: %w", what, err)
	}
	if len(text) > rulesMost {
		return fault.New(fault.Invalid, "the %s have %d bytes as JSON, at most %d are possible", what, len(text), rulesMost)
	}
	if strings.Contains(string(text), `\u0000`) {
		return fault.New(fault.Invalid, "the %s must not contain the character U+0000", what)
	}
	return nil
}

// rules returns a project's rules as JSON.
func (p Project) rules() (groupingRules, scrubRules string, err error) {
	g, err := json.Marshal(p.GroupingRules)
	if err != nil {
		return "", "", fmt.Errorf("encode grouping rules: %w", err)
	}
	s, err := json.Marshal(p.ScrubRules)
	if err != nil {
		return "", "", fmt.Errorf("encode scrub rules: %w", err)
	}
	return string(g), string(s), nil
}
