package grouping

import (
	"bytes"
	"strings"
	"sync"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
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
	ends []int // index after the NUL of each part

	chain chain // of the event
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
	p.chain.entries, p.chain.frames, p.ends = p.chain.entries[:0], p.chain.frames[:0], p.ends[:0]
	if cap(p.text) <= maxKept && cap(p.chain.frames) <= maxKept/100 {
		pool.Put(p)
	}
}

// end ends the part that was appended to p.text.
func (p *parts) end() {
	p.text = append(p.text, 0)
	p.ends = append(p.ends, len(p.text))
}

// strings returns the parts.
func (p *parts) strings() []string {
	if len(p.ends) == 0 {
		return nil
	}
	return strings.Split(string(p.text[headLength:len(p.text)-1]), "\x00")
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

// fold takes the newest parts out again if they repeat those before them. Parts before first stay.
func (p *parts) fold(first int) {
	n := len(p.ends)
	for cycle := 1; cycle <= longestCycle && n-2*cycle >= first; cycle++ {
		if bytes.Equal(p.span(n-cycle, n), p.span(n-2*cycle, n-cycle)) {
			p.truncate(n - cycle)
			return
		}
	}
}

// truncate keeps the first n parts.
func (p *parts) truncate(n int) {
	p.text, p.ends = p.text[:p.start(n)], p.ends[:n]
}

// collect gathers the parts of e and says what they are.
func (p *parts) collect(e *event.Event) Reason {
	p.chain.read(e.Exception)
	if len(e.ClientFingerprint) == 0 {
		return p.standard(e)
	}
	only, count := true, 0
	for _, raw := range rawjson.Array(e.ClientFingerprint) {
		only = only && isDefault(raw)
		count++
	}
	if only || count == 0 { // a client that asks for the default gets what the others get
		return p.standard(e)
	}
	for _, raw := range rawjson.Array(e.ClientFingerprint) {
		if isDefault(raw) {
			p.standard(e)
			continue
		}
		p.text = rawjson.AppendUnquoted(p.text, raw)
		p.end()
	}
	return Custom
}

// isDefault reports whether a part of a client's fingerprint stands for the default parts.
func isDefault(raw []byte) bool {
	s := string(raw)
	return s == `"{{ default }}"` || s == `"{{default}}"`
}

// standard gathers the parts that do not depend on a fingerprint of the client.
func (p *parts) standard(e *event.Event) Reason {
	if p.stack(true) || p.stack(false) {
		return Frames
	}
	if len(e.Exception) == 0 || e.ExceptionType == "" && e.Message != "" {
		p.text = appendNormalised(p.text, e.Message)
		p.end()
		return Message
	}
	for _, en := range p.chain.entries {
		p.text = rawjson.AppendUnquoted(p.text, en.kind)
		p.end()
	}
	p.text = appendNormalised(p.text, e.ExceptionValue)
	p.end()
	return Exception
}
