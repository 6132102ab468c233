package ingest

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/grouping"
	"github.com/mesherhq/mesher/shared/scrub"
	"github.com/mesherhq/mesher/shared/tenant"
)

// rulesMost bounds the compiled rules that are remembered, of each kind; forgetting them costs compiling them again.
const rulesMost = 1000

// compiled remembers what texts of rules compile to. Each text is compiled once: most projects have the same, and a change
// makes another text.
type compiled[T any] struct {
	log     *slog.Logger
	compile func(text []byte) (T, error) // no text stands for the rules of a project that set none; it is never refused

	mu    sync.RWMutex
	known map[string]T
}

func newCompiled[T any](log *slog.Logger, compile func([]byte) (T, error)) *compiled[T] {
	return &compiled[T]{log: log, compile: compile, known: make(map[string]T)}
}

// of returns what text compiles to. What cannot be compiled counts as no text. It is never stored, but an older instance
// may meet the rules of a newer version, and must not let events pass unscrubbed.
func (c *compiled[T]) of(ctx context.Context, text []byte) (T, error) {
	c.mu.RLock()
	rules, ok := c.known[string(text)]
	c.mu.RUnlock()
	if ok {
		return rules, nil
	}
	rules, err := c.compile(text)
	if err != nil {
		c.log.ErrorContext(ctx, "the rules of a project cannot be compiled, the default ones are used", "error", err)
		if rules, err = c.compile(nil); err != nil {
			return rules, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= rulesMost {
		clear(c.known)
	}
	c.known[string(text)] = rules
	return rules, nil
}

// scrubbing is a policy with the scrubbers that work by it.
type scrubbing struct {
	policy *scrub.Policy
	pool   sync.Pool // of *scrub.Scrubber
}

func compileScrubbing(text []byte) (*scrubbing, error) {
	rules := scrub.DefaultRules()
	if len(text) > 0 {
		rules = scrub.Rules{}
		if err := json.Unmarshal(text, &rules); err != nil {
			return nil, err //nolint:wrapcheck // compiled says what it means
		}
	}
	policy, err := scrub.Compile(rules)
	if err != nil {
		return nil, err
	}
	return &scrubbing{policy: policy}, nil
}

func compileGrouping(text []byte) (*grouping.Rules, error) {
	var rules []grouping.Rule
	if len(text) > 0 {
		if err := json.Unmarshal(text, &rules); err != nil {
			return nil, err //nolint:wrapcheck // compiled says what it means
		}
	}
	if len(rules) == 0 {
		return nil, nil
	}
	return grouping.CompileRules(rules)
}

// treatment is how the events of one request are scrubbed and grouped. It serves one goroutine at a time.
type treatment struct {
	project   uuid.UUID
	scrubbing *scrubbing
	scrubber  *scrub.Scrubber
	grouping  *grouping.Rules
}

// treatmentOf returns how the events of the project are treated. Its end is to be called.
func (f *Function) treatmentOf(ctx context.Context, access tenant.Access) (t treatment, err error) {
	t.project = access.ProjectID
	if t.grouping, err = f.grouping.of(ctx, access.GroupingRules); err != nil {
		return t, err
	}
	if t.scrubbing, err = f.scrubbing.of(ctx, access.ScrubRules); err != nil {
		return t, err
	}
	s, ok := t.scrubbing.pool.Get().(*scrub.Scrubber)
	if !ok {
		s = t.scrubbing.policy.NewScrubber()
	}
	t.scrubber = s
	return t, nil
}

// apply scrubs e, then groups it, so that nothing of what was scrubbed gets into a title. The []byte fields of e are valid
// until the next call.
func (t *treatment) apply(e *event.Event) {
	t.scrubber.Scrub(e)
	grouping.GroupWith(t.grouping, t.project, e)
}

func (t *treatment) end() {
	t.scrubbing.pool.Put(t.scrubber)
	t.scrubber = nil
}
