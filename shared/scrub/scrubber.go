package scrub

import (
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// Scrubber scrubs events by a Policy, and reuses its buffers from one to the next. It serves one goroutine at a
// time.
type Scrubber struct {
	policy *Policy
	always uint16 // texts with one of these bits are scanned whatever their length
	scan   scanner
	cache  keyCache

	raw  []byte // the piece of JSON that is walked
	mark int    // raw[:mark] is in out, or was replaced
	out  []byte // pieces that had to be written anew
	root string // the part of the event that is walked
	path []step // from there to the value that is walked

	plain [2][]byte // a text without escapes, and what comes of it
	name  []byte    // a key without escapes
	grown int       // how many bytes were added so far
	rm    []removal // where in the paths of Remove the values around are
	notes notes

	inner *Scrubber // for JSON within a text
	depth int       // how many texts the JSON is within
}

// maxKept is how many bytes of buffers a Scrubber keeps for the next event: a single huge one must not swell it
// for good.
const maxKept = 256 << 10

// spanSize is how many bytes a span takes.
const spanSize = 24

// NewScrubber returns a Scrubber for the policy.
func (p *Policy) NewScrubber() *Scrubber {
	s := &Scrubber{policy: p}
	s.scan = scanner{defaults: p.defaults, emails: p.emails, ips: p.ips, judge: s.keyVerdict}
	s.always = triggerBit
	if len(p.patterns) > 0 {
		s.always = 0xffff
	}
	return s
}

// Scrub takes out of e what the policy says. The []byte fields that changed are valid until the next call; the
// others stay as they are. What was scrubbed stands in Meta as
//
//	{"scrubbed":[{"path":"request.headers.Authorization","rule":"key"}],
//	 "scrubbed_more":7}                                  those beyond the 50 that are listed
//
// The JSON of e must be clean. Work is linear in the size of e. Its JSON grows by 64 KiB at most, and then by an
// eighth of its size: from there on texts are replaced as a whole, and short values by the empty text. Message and
// the other texts, which have limits of a few thousand characters, can become several times as long.
func (s *Scrubber) Scrub(e *event.Event) {
	if s.policy.idle() {
		return
	}
	if cap(s.out)+cap(s.plain[0])+cap(s.plain[1])+cap(s.name)+cap(s.scan.spans)*spanSize > maxKept {
		s.plain[0], s.plain[1], s.out, s.name, s.scan.spans = nil, nil, nil, nil, nil
	}
	s.inner.shrink()
	s.out, s.notes, s.grown = s.out[:0], notes{list: s.notes.list[:0], paths: s.notes.paths[:0]}, 0
	s.chain(e)
	s.piece("threads", &e.Threads, ofChain, "")
	s.piece("breadcrumbs", &e.Breadcrumbs, ofAny, "")
	s.user(e)
	s.piece("tags", &e.Tags, ofAny, "{}")
	s.piece("extra", &e.Extra, ofAny, "{}")
	s.piece("contexts", &e.Contexts, ofAny, "")
	s.piece("request", &e.Request, ofAny, "")
	s.piece("sdk", &e.SDK, ofAny, "")
	s.piece("fingerprint", &e.ClientFingerprint, ofAny, "")
	s.text("message", &e.Message, anyText)
	s.text("transaction", &e.Transaction, anyText)
	s.text("culprit", &e.Culprit, anyText)
	s.text("title", &e.Title, anyText)
	s.text("server_name", &e.ServerName, anyText)
	s.text("logger", &e.Logger, anyText)
	if len(s.notes.list) > 0 {
		e.Meta = s.appendNotes(e.Meta)
	}
}

// chain scrubs the exception, and its last value where that has a column of its own. The column is cut from the
// value once more rather than scrubbed by itself: a secret that its limit cut in two would not be recognised.
func (s *Scrubber) chain(e *event.Event) {
	if e.Exception == nil {
		s.text("exception.value", &e.ExceptionValue, anyText)
		return
	}
	was := e.Exception
	if !s.piece("exception", &e.Exception, ofChain, "") {
		return
	}
	before, after := rawjson.Lookup(lastEntry(was), "value"), rawjson.Lookup(lastEntry(e.Exception), "value")
	if string(before) == string(after) {
		return
	}
	whole := rawjson.Unquote(before) == e.ExceptionValue
	limit := utf8.RuneCountInString(e.ExceptionValue)
	if e.ExceptionValue = rawjson.Unquote(after); !whole {
		e.ExceptionValue, _ = event.Trim(e.ExceptionValue, limit)
	}
}

// lastEntry returns the last element of a list, or nil.
func lastEntry(list []byte) (last []byte) {
	for _, entry := range rawjson.Array(list) {
		last = entry
	}
	return last
}

// user scrubs the user, and the id that has a column of its own.
func (s *Scrubber) user(e *event.Event) {
	was := e.UserInfo
	if s.piece("user", &e.UserInfo, ofAny, "") {
		before, after := rawjson.Lookup(was, "id"), rawjson.Lookup(e.UserInfo, "id")
		if string(before) != string(after) {
			e.UserID = rawjson.Unquote(after)
			return
		}
	}
	s.text("user.id", &e.UserID, idText)
}

// piece scrubs a part of the event that is JSON, and reports whether it changed. Without is what it is when it
// is removed.
func (s *Scrubber) piece(name string, piece *[]byte, mode mode, without string) bool {
	if len(*piece) <= len("{}") {
		return false
	}
	s.raw, s.mark = *piece, 0
	s.root, s.path = name, s.path[:0]
	from := len(s.out)
	if s.rm = s.rm[:0]; len(s.policy.remove) > 0 && s.enterRoot(name) {
		*piece = []byte(without)
		if without == "" {
			*piece = nil
		}
		return true
	}
	if s.policy.isSafe(name) {
		return false
	}
	s.walk(0, mode, anyText, 0, len(s.rm))
	if s.mark == 0 {
		return false
	}
	s.out = append(s.out, s.raw[s.mark:]...)
	*piece = s.out[from:len(s.out):len(s.out)]
	return true
}

// text scrubs a part of the event that is text.
func (s *Scrubber) text(name string, text *string, mode textMode) {
	if *text == "" {
		return
	}
	s.root, s.path = name, s.path[:0]
	if s.rm = s.rm[:0]; len(s.policy.remove) > 0 && s.enterRoot(name) {
		*text = ""
		return
	}
	var any uint16
	for i := range len(*text) {
		any |= bits[(*text)[i]]
	}
	if !s.worth(any, len(*text)) || s.policy.isSafe(name) {
		return
	}
	s.plain[0] = append(s.plain[0][:0], *text...)
	if clean, changed := s.clean(mode); changed {
		*text = string(clean)
	}
}

// isSafe reports whether nothing is scrubbed of a part of the event.
func (p *Policy) isSafe(name string) bool {
	for i := range p.safe {
		if p.safe[i].matches(name) {
			return true
		}
	}
	return false
}

// worth reports whether a text of size bytes, which has any of these bits, can hold a secret. Those without digit,
// underscore or separator are credentials after the name of their scheme.
func (s *Scrubber) worth(any uint16, size int) bool {
	return any&s.always != 0 || any&isUpperBit != 0 && size >= 10 || size >= 39
}

// clean scrubs the text in plain[0], and returns what comes of it and whether it changed. One that is JSON is
// scrubbed as such first. The text is scanned again until nothing is found, since a pattern of the project may see
// something new next to what was replaced. If there is no end to that, the whole text is replaced.
func (s *Scrubber) clean(mode textMode) (text []byte, changed bool) {
	const mostRounds = 8
	for range mostRounds {
		changed = s.nested(mode) || changed
		s.scan.scan(s.plain[0], mode)
		if len(s.scan.spans) == 0 && !s.findPatterns(mode) {
			return s.plain[0], changed
		}
		changed = true
		s.replaceSpans()
	}
	s.plain[0] = append(s.plain[0][:0], Filtered...)
	return s.plain[0], true
}

// findPatterns fills the scanner's spans with what the first pattern matches that matches at all. What holds no
// more than was replaced before does not count, and what overlaps it in part would tear it up.
func (s *Scrubber) findPatterns(mode textMode) bool {
	if mode == urlText {
		return false
	}
	text := s.plain[0]
	for _, re := range s.policy.patterns {
		for _, m := range re.FindAllIndex(text, -1) {
			if m[0] < m[1] && !tears(text, m[0], m[1]) {
				s.scan.spans = append(s.scan.spans, span{m[0], m[1], byPattern})
			}
		}
		if len(s.scan.spans) > 0 {
			return true
		}
	}
	return false
}

// tears reports whether text[from:to] begins or ends within what was replaced before, or is just that.
func tears(text []byte, from, to int) bool {
	const n = len(Filtered)
	for i := max(0, from-n+1); i < from; i++ {
		if hasPrefix(text, i, Filtered) {
			return true
		}
	}
	for i := max(from, to-n+1); i < to; i++ {
		if hasPrefix(text, i, Filtered) {
			return true
		}
	}
	return isFiltered(text[from:to])
}

// replaceSpans replaces the scanner's spans in plain[0]. Those that touch are replaced by one.
func (s *Scrubber) replaceSpans() {
	text, dst, mark := s.plain[0], s.plain[1][:0], -1
	for _, m := range s.scan.spans {
		s.notes.add(s, m.rule)
		if m.from != mark {
			dst = append(append(dst, text[max(mark, 0):m.from]...), Filtered...)
		}
		mark = m.to
	}
	dst = append(dst, text[max(mark, 0):]...)
	s.plain[0], s.plain[1] = dst, text
}
