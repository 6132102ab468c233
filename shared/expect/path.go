package expect

import (
	"strings"

	"github.com/theory/jsonpath"
	"github.com/theory/jsonpath/spec"

	"github.com/mesherhq/mesher/shared/fault"
)

// Path returns a path into JSON (RFC 9535), or a fault.Invalid that says what is wrong with it.
//
// A path finds each value once, so that what it costs is in proportion to the document. What would multiply is refused: a
// second `..`, several selectors in one pair of brackets, and within a filter everything that finds more than one value.
// match() and search() are refused as well, because a document could bring its own patterns.
func Path(text string) (*jsonpath.Path, error) {
	if len(text) > textMost {
		return nil, fault.New(fault.Invalid, "a JSON path has at most %d characters", textMost)
	}
	path, err := jsonpath.Parse(text)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "it is not a JSON path (RFC 9535) such as $.status")
	}
	everywhere := 0
	for _, segment := range path.Query().Segments() {
		if segment.IsDescendant() {
			everywhere++
		}
		if len(segment.Selectors()) != 1 {
			return nil, fault.New(fault.Invalid, "a JSON path has one selector in a pair of brackets")
		}
		if filter, ok := segment.Selectors()[0].(*spec.FilterSelector); ok && !simple(filter.String()) {
			return nil, fault.New(fault.Invalid, "a filter of a JSON path compares single values, such as [?@.name == 'db']")
		}
	}
	if everywhere > 1 {
		return nil, fault.New(fault.Invalid, "a JSON path has one .. at most")
	}
	return path, nil
}

// simple reports whether a filter, in its normal form, finds only single values.
func simple(filter string) bool {
	bare := withoutText(strings.TrimPrefix(filter, "?"))
	return !strings.ContainsAny(bare, "*:,?") && !strings.Contains(bare, "..")
}

// withoutText takes quoted text out.
func withoutText(s string) string {
	var b strings.Builder
	var quote rune
	escaped := false
	for _, r := range s {
		switch {
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		case quote == 0:
			b.WriteRune(r)
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == quote:
			quote = 0
		}
	}
	return b.String()
}
