package grouping

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// Explanation is how an event is grouped, and why, in words for people.
type Explanation struct {
	Version     int       `json:"version"`
	Fingerprint uuid.UUID `json:"fingerprint"`
	Title       string    `json:"title"`   // at most 200 characters, one line, never empty
	Culprit     string    `json:"culprit"` // at most 500 characters; empty when nothing is known
	Reason      Reason    `json:"reason"`
	Why         string    `json:"why"`            // one sentence about the reason
	Rule        int       `json:"rule,omitempty"` // number of the rule that decided, counted from 1

	Parts        []Part          `json:"parts"`                  // what was hashed, in order
	Exceptions   []ExceptionNote `json:"exceptions,omitempty"`   // the chain, innermost first, if it was looked at
	Replaced     []Replacement   `json:"replaced,omitempty"`     // what varied in a text, and what it counts as
	Placeholders []Replacement   `json:"placeholders,omitempty"` // what stood in a fingerprint, and what for
}

// Part is one of the texts that were hashed.
type Part struct {
	Text string `json:"text"`
	From string `json:"from"` // where it comes from, in words
}

// ExceptionNote is what became of an entry of the exception chain.
type ExceptionNote struct {
	Type   string      `json:"type"`
	Used   bool        `json:"used"`
	Why    string      `json:"why,omitempty"` // why it is not used
	Frames []FrameNote `json:"frames,omitempty"`
}

// FrameNote is what became of a stack frame.
type FrameNote struct {
	Function string `json:"function,omitempty"`
	Module   string `json:"module,omitempty"`
	File     string `json:"file,omitempty"`
	InApp    bool   `json:"in_app"`
	InAppWhy string `json:"in_app_why"` // who decided: the client, or the rule of that name
	Used     bool   `json:"used"`
	Why      string `json:"why,omitempty"` // why it is not used
	As       string `json:"as,omitempty"`  // the part it became
}

// Replacement is a text and what it counts as.
type Replacement struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// mostReplacements is how many replacements an Explanation lists.
const mostReplacements = 200

// Explain returns what GroupWith sets with these rules, which may be nil, and why. It does not change e, which may
// come from the client or from the database.
func Explain(projectID uuid.UUID, e *event.Event, rules *Rules) Explanation {
	p := newParts()
	defer p.release()
	x := &Explanation{Version: Version}
	p.notes = x
	x.Reason = p.collect(rules, e)
	x.Fingerprint = p.hash(Version, projectID, x.Reason)
	x.Culprit = p.culprit(e.Transaction)
	x.Parts = make([]Part, 0, len(p.ends))
	for i := range p.ends {
		x.Parts = append(x.Parts, Part{Text: string(p.text[p.start(i) : p.ends[i]-1]), From: sourceNames[p.from[i]]})
	}
	if p.rule != nil {
		x.Rule = p.rule.index + 1
	}
	if x.Why == "" || x.Reason == Custom || x.Reason == ByRule {
		x.Why = x.sentence()
	}
	p.notes = nil
	x.Title = p.title(e)
	return *x
}

// sentence returns why the reason applies.
func (x *Explanation) sentence() string {
	switch x.Reason {
	case Custom:
		return "the client sent a fingerprint"
	case ByRule:
		return fmt.Sprintf("rule %d of the project is the first that matches", x.Rule)
	case Frames:
		return "the exception has in-app frames with names"
	case Exception:
		if len(x.Exceptions) > 0 && anyFrames(x.Exceptions) {
			return "no in-app frame of the exception has a name, so its type and value decide"
		}
		return "the exception has no frames, so its type and value decide"
	}
	return "there is no exception, so the message decides"
}

// anyFrames reports whether an entry of the chain has frames.
func anyFrames(notes []ExceptionNote) bool {
	for i := range notes {
		if len(notes[i].Frames) > 0 {
			return true
		}
	}
	return false
}

// The methods below note what happens. They do nothing on nil, as which Group calls them.

// reset forgets the chain: it is looked at once more for each {{ default }}.
func (x *Explanation) reset() {
	if x != nil {
		x.Exceptions = nil
	}
}

// because notes why the reason applies.
func (x *Explanation) because(why string) {
	if x != nil {
		x.Why = why
	}
}

// entry notes an entry of the chain that is used.
func (x *Explanation) entry(en *entry) {
	if x != nil {
		x.Exceptions = append(x.Exceptions, ExceptionNote{Type: unquoted(en.kind), Used: true})
	}
}

// skip notes that the newest entry is not used.
func (x *Explanation) skip(why string) {
	if x != nil {
		last := &x.Exceptions[len(x.Exceptions)-1]
		last.Used, last.Why = false, why
	}
}

// frame notes a frame of the newest entry.
func (x *Explanation) frame(f *frame, used bool, why string) {
	if x == nil {
		return
	}
	note := FrameNote{
		Function: unquoted(f.function), Module: unquoted(f.module), File: unquoted(f.file),
		InApp: f.inApp, InAppWhy: "the client says so", Used: used, Why: why,
	}
	switch {
	case f.flag == unsaid && f.inApp:
		note.InAppWhy = "no rule says that it is of a library"
	case f.flag == unsaid:
		note.InAppWhy = "rule: " + f.rule
	}
	last := &x.Exceptions[len(x.Exceptions)-1]
	last.Frames = append(last.Frames, note)
}

// folded notes that the newest frame ended a cycle that repeats the one before.
func (x *Explanation) folded() {
	if x != nil {
		frames := x.Exceptions[len(x.Exceptions)-1].Frames
		last := &frames[len(frames)-1]
		last.Used, last.Why = false, "it repeats what is before it, as a recursion does"
	}
}

// placeholder notes what a placeholder stands for.
func (x *Explanation) placeholder(name string, value []byte) {
	if x != nil && len(x.Placeholders) < mostReplacements {
		x.Placeholders = append(x.Placeholders, Replacement{"{{ " + name + " }}", string(value)})
	}
}

// replacer returns what notes replacements in texts, or nil.
func (x *Explanation) replacer() func(from, to string) {
	if x == nil {
		return nil
	}
	return func(from, to string) {
		if len(x.Replaced) < mostReplacements {
			x.Replaced = append(x.Replaced, Replacement{from, to})
		}
	}
}

// as notes the part that the newest frame became.
func (x *Explanation) as(part []byte) {
	if x != nil {
		frames := x.Exceptions[len(x.Exceptions)-1].Frames
		frames[len(frames)-1].As = string(part)
	}
}
