package grouping

import (
	"bytes"
	"sync"
)

// longestCycle is the longest cycle of frames that is recognised as recursion.
const longestCycle = 4

// maxKept is the most bytes of text, and a hundred times the most frames, that are kept for the next event.
const maxKept = 64 << 10

// headLength is what stands before the parts: the project, the version and the initial of the reason.
const headLength = 16 + 1 + 1

// parts is the text to be hashed: a head, and a list of texts, each ended by NUL, which clean text cannot
// hold.
type parts struct {
	text []byte
	ends []int    // index after the NUL of each part
	from []source // of each part

	style   style
	chain   chain  // of the event
	scratch []byte // the name of the frame at hand
	path    []byte // the file of the frame at hand
	rule    *rule  // the one that decided, or nil

	notes *Explanation // nil unless somebody asks why
}

// source is where a part comes from.
type source uint8

// The sources.
const (
	fromFingerprint source = iota
	fromRule
	fromType
	fromFrame
	fromText
	fromFile
	fromFunction
)

// sourceNames are the sources in words for people.
var sourceNames = [...]string{
	"the client's fingerprint", "the fingerprint of a rule", "the type of an exception", "an in-app frame",
	"a normalised text", "the file of a frame without a name", "the function of a library's frame",
}

// pool keeps parts for the next event, since their buffers would cost more than the grouping itself.
var pool = sync.Pool{New: func() any { return new(parts) }}

// newParts returns empty parts. They go back with release.
func newParts() *parts {
	p := pool.Get().(*parts)
	p.text = append(p.text[:0], make([]byte, headLength)...)
	return p
}

// release gives p back, without what it refers to, and not if a huge event made it huge.
func (p *parts) release() {
	clear(p.chain.entries)
	clear(p.chain.frames)
	p.chain.entries, p.chain.frames, p.ends, p.from = p.chain.entries[:0], p.chain.frames[:0], p.ends[:0], p.from[:0]
	p.rule, p.notes = nil, nil
	if cap(p.text)+cap(p.scratch)+cap(p.path) <= maxKept && cap(p.chain.frames) <= maxKept/100 {
		pool.Put(p)
	}
}

// end ends the part that was appended to p.text.
func (p *parts) end(from source) {
	p.text = append(p.text, 0)
	p.ends = append(p.ends, len(p.text))
	p.from = append(p.from, from)
}

// newest returns the text of the newest part.
func (p *parts) newest() []byte {
	n := len(p.ends)
	return p.text[p.start(n-1) : p.ends[n-1]-1]
}

// start returns the index at which part i begins.
func (p *parts) start(i int) int {
	if i == 0 {
		return headLength
	}
	return p.ends[i-1]
}

// span returns the text of the parts from i up to j.
func (p *parts) span(i, j int) []byte { return p.text[p.start(i):p.start(j)] }

// fold takes the newest parts out again if they repeat those before them, and reports whether they did. Parts
// before first stay.
func (p *parts) fold(first int) bool {
	n := len(p.ends)
	for cycle := 1; cycle <= longestCycle && n-2*cycle >= first; cycle++ {
		if bytes.Equal(p.span(n-cycle, n), p.span(n-2*cycle, n-cycle)) {
			p.truncate(n - cycle)
			return true
		}
	}
	return false
}

// truncate keeps the first n parts.
func (p *parts) truncate(n int) {
	p.text, p.ends, p.from = p.text[:p.start(n)], p.ends[:n], p.from[:n]
}
