// Package expect reads what a monitor expects of an answer: patterns of text and paths into JSON, each bounded in what it
// can cost, because users write them and Probe computes them for many users on one machine.
package expect

import (
	"regexp"
	"regexp/syntax"

	"github.com/mesherhq/mesher/shared/fault"
)

const (
	// patternMost is how many instructions a pattern has at most. Matching takes time in proportion to that times the text:
	// with 64 KiB about a third of a second at worst.
	patternMost = 200
	// textMost is how many characters a pattern or a path has at most.
	textMost = 1000
)

// Pattern returns a regular expression (RE2), or a fault.Invalid that says what is wrong with it.
func Pattern(text string) (*regexp.Regexp, error) {
	if text == "" || len(text) > textMost {
		return nil, fault.New(fault.Invalid, "a regular expression has 1 to %d characters", textMost)
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the regular expression is not valid (RE2)")
	}
	if size(tree, patternMost+1) > patternMost {
		return nil, fault.New(fault.Invalid, "the regular expression is too large: repetitions such as {100} multiply what they repeat")
	}
	return regexp.Compile(text)
}

// size estimates the instructions of a tree from below, and stops counting at most: a tree of a few characters may stand for
// millions of instructions.
func size(re *syntax.Regexp, most int) int {
	n := 1
	switch re.Op {
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpCharClass:
		n = 1 + len(re.Rune)/8
	case syntax.OpConcat, syntax.OpRepeat:
		n = 0
	}
	for _, sub := range re.Sub {
		if n >= most {
			return most
		}
		n += size(sub, most-n)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, most)
}
