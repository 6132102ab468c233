package scrub

import "bytes"

// textMode is what kind of text is scanned.
type textMode uint8

const (
	anyText  textMode = iota
	idText            // of a key that ends in id: digits are no card number
	codeText          // a line of source: password = os.Getenv("X") gives nothing away, password = "x" does
	urlText           // a name that events are grouped by: only what is secret in a URL
)

// span is a part of a text that is replaced.
type span struct {
	from, to int
	rule     rule
}

// scanner finds what is secret in one text. It goes from the left to the right once: whatever looks ahead either
// goes on from where it looked to, or looks no further than a fixed number of bytes; whatever looks back goes no
// further than floor or keyFloor. So the time is linear.
//
// Nothing looks into what was replaced before. Then a text and what comes of it are scanned alike, and the second
// scan finds nothing.
type scanner struct {
	text                  []byte
	mode                  textMode
	defaults, emails, ips bool
	judge                 func(key []byte) verdict
	spans                 []span
	floor                 int // the end of the last match
	keyFloor              int // where the next key can begin
	noJWT                 int // no JSON web token begins before
}

// scan fills spans.
func (t *scanner) scan(text []byte, mode textMode) {
	t.text, t.mode, t.spans, t.floor, t.keyFloor, t.noJWT = text, mode, t.spans[:0], 0, 0, 0
	if mode == urlText {
		t.scanURL()
		return
	}
	for i := 0; i < len(text); {
		b := text[i]
		switch {
		case isAlpha(b) || b == '_':
			i = t.word(i)
		case isDigit(b):
			i = t.number(i)
		case b == ' ' || b == '/':
			i++
		case b == ':' || b == '=':
			i = t.separator(i)
		default:
			i = t.other(i)
		}
	}
}

// scanURL is scan for a text that is a URL or none of our business.
func (t *scanner) scanURL() {
	for i := 0; i < len(t.text); {
		switch t.text[i] {
		case ':', '=':
			i = t.separator(i)
		case '[':
			i = t.other(i)
		default:
			i++
		}
	}
}

// other looks at a byte that is neither part of a word nor a separator.
func (t *scanner) other(i int) int {
	switch t.text[i] {
	case '[':
		if hasPrefix(t.text, i, Filtered) {
			return t.pass(i + len(Filtered))
		}
	case '%':
		if hasPrefixFold(t.text, i, escapedEqual) {
			return t.escaped(i)
		}
	case '-':
		if t.defaults && hasPrefix(t.text, i, "-----BEGIN ") {
			return t.privateKey(i)
		}
	case '\\': // \n in JSON within JSON is no part of the word after it
		if i++; i < len(t.text) && isEscape(t.text[i]) {
			i++
		}
		return i
	case '@':
		if t.defaults && (hasPrefix(t.text, i, "@tcp(") || hasPrefix(t.text, i, "@unix(")) {
			t.dsn(i)
		}
		if t.emails {
			return t.email(i)
		}
	}
	return i + 1
}

// isEscape reports whether b stands for white space after a backslash.
func isEscape(b byte) bool { return b == 'n' || b == 'r' || b == 't' || b == 'f' || b == 'b' }

// match notes that text[from:to] is replaced, and returns where to go on.
func (t *scanner) match(from, to int, by rule) int {
	t.spans = append(t.spans, span{from, to, by})
	return t.pass(to)
}

// pass makes i the place that nothing looks back beyond.
func (t *scanner) pass(i int) int {
	t.floor, t.keyFloor = i, i
	return i
}

// privateKey replaces a PEM block that begins at i if it is a private key. One without an end was cut off.
func (t *scanner) privateKey(i int) int {
	const longestLabel = 40
	head := t.text[i+len("-----BEGIN "):]
	head = head[:min(len(head), longestLabel)]
	label, _, ok := bytes.Cut(head, []byte("-----"))
	if !ok || !bytes.Contains(label, []byte("PRIVATE KEY")) {
		return i + len("-----BEGIN ")
	}
	body := i + len("-----BEGIN ") + len(label) + len("-----")
	end := bytes.Index(t.text[body:], []byte("-----END "))
	if end < 0 {
		return t.match(i, len(t.text), byPrivateKey)
	}
	end += body + len("-----END ")
	tail := t.text[end:]
	tail = tail[:min(len(tail), longestLabel)]
	if label, _, ok := bytes.Cut(tail, []byte("-----")); ok {
		return t.match(i, end+len(label)+len("-----"), byPrivateKey)
	}
	return t.match(i, len(t.text), byPrivateKey)
}

// word looks at the word at i, and returns the index after it.
func (t *scanner) word(i int) int {
	if t.defaults {
		if end, by := t.token(i); end > 0 {
			return t.match(i, end, by)
		}
	}
	end := wordEnd(t.text, i)
	if t.defaults && end < len(t.text) && t.text[end] == ' ' && (end-i == 6 || end-i == 5) {
		if from, to := credentials(t.text, i, end); to > 0 {
			return t.match(from, to, byAuthorization)
		}
	}
	if t.ips && end < len(t.text) && t.text[end] == ':' && isHex(t.text[i]) {
		if to := t.ipv6(i); to > 0 {
			return t.match(i, to, byIP)
		}
	}
	return end
}
