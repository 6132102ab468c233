package scrub

import "github.com/mesherhq/mesher/shared/rawjson"

const (
	mostNested    = 3         // levels of JSON within a text within JSON
	longestNested = 256 << 10 // bytes of such a text; a longer one is text only
	deepestNested = 100       // levels of arrays and objects in it
)

// nested scrubs the text in plain[0] like a part of an event if it is a JSON object or array, and reports whether it
// changed. If so, it has lost the white space between its tokens. Paths of Remove do not go into it.
func (s *Scrubber) nested(mode textMode) bool {
	text := s.plain[0]
	if mode == urlText || mode == codeText || s.depth >= mostNested || len(text) > longestNested || !opensJSON(text) {
		return false
	}
	if s.inner == nil {
		s.inner = s.policy.NewScrubber()
		s.inner.depth = s.depth + 1
	}
	in := s.inner
	raw, n, _, err := rawjson.Clean(in.raw[:0], text, deepestNested, longestNested)
	in.raw = raw
	if err != nil || n != len(text) && spaceEnd(text, n) != len(text) {
		return false
	}
	in.mark, in.out, in.grown, in.path, in.rm = 0, in.out[:0], 0, in.path[:0], in.rm[:0]
	in.notes = notes{list: in.notes.list[:0], paths: in.notes.paths[:0]}
	in.walk(0, ofAny, anyText, 0, 0)
	if in.mark == 0 {
		return false
	}
	s.plain[0] = append(append(text[:0], in.out...), in.raw[in.mark:]...)
	for _, note := range in.notes.list {
		s.notes.add(s, note.rule)
	}
	return true
}

// opensJSON reports whether text begins like an object or array that is not empty.
func opensJSON(text []byte) bool {
	i := spaceEnd(text, 0)
	if i >= len(text) || text[i] != '{' && text[i] != '[' {
		return false
	}
	next := spaceEnd(text, i+1)
	return next < len(text) && (text[next] == '"' || text[i] == '[' && (text[next] == '{' || text[next] == '[' || text[next] == '-' ||
		isDigit(text[next]) || text[next] == 't' || text[next] == 'f' || text[next] == 'n'))
}

// spaceEnd returns the index of the first byte at or after i that is no white space of JSON.
func spaceEnd(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	return i
}

// shrink lets go of buffers that became too large to be kept.
func (s *Scrubber) shrink() {
	if s == nil {
		return
	}
	if cap(s.raw)+cap(s.out)+cap(s.plain[0])+cap(s.plain[1])+cap(s.name)+cap(s.scan.spans)*spanSize > maxKept {
		s.raw, s.out, s.plain[0], s.plain[1], s.name, s.scan.spans = nil, nil, nil, nil, nil, nil
	}
	s.inner.shrink()
}
