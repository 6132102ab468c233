package scrub

import "bytes"

// pair is a key and what follows it, in a text: token=…, "token": "…", Cookie: ….
type pair struct {
	verdict verdict
	sep     int  // index of = or :
	quoted  bool // the key
	spaced  bool // space before = or after the separator
	value   int  // where the value begins

	param     bool // the key follows the ?, &, # or ; of a URL
	semicolon bool // which is a semicolon
}

// separator looks at the = or : at i, and returns where to go on.
func (t *scanner) separator(i int) int {
	if t.text[i] == ':' && hasPrefix(t.text, i, "://") {
		t.keyFloor = i + 3
		if t.defaults {
			return t.userInfo(i)
		}
		return i + 3
	}
	p, ok := t.pairAt(i)
	t.keyFloor = i + 1
	if !ok {
		return i + 1
	}
	from, to := t.value(&p)
	switch {
	case from == to:
		return i + 1
	case isFiltered(t.text[from:to]):
		return t.pass(to)
	case p.verdict&countKey != 0 && isCount(t.text[from:to]), isPlainWord(t.text[from:to]):
		return i + 1
	}
	by := byPair
	if p.verdict&extraKey != 0 {
		by = byExtraKey
	}
	return t.match(from, to, by)
}

// pairAt reads the pair whose separator stands at i, if its key names a secret.
func (t *scanner) pairAt(i int) (p pair, ok bool) {
	s := t.text
	p.sep = i
	k := i
	for k > t.keyFloor && s[k-1] == ' ' {
		k--
	}
	p.spaced = k < i
	if k > t.keyFloor && (s[k-1] == '"' || s[k-1] == '\'') {
		p.quoted = true
		for k--; k > t.keyFloor && s[k-1] == '\\'; {
			k--
		}
	}
	end := k
	for k > t.keyFloor && bits[s[k-1]]&isKeyBit != 0 {
		k--
	}
	if k == end {
		return p, false
	}
	p.param = !p.quoted && !p.spaced && s[i] == '=' && k > 0 && bytes.IndexByte([]byte("?&#;"), s[k-1]) >= 0
	p.semicolon = p.param && s[k-1] == ';'
	if t.mode == urlText && !p.param {
		return p, false
	}
	p.verdict = t.judge(s[k:end])
	if p.verdict == 0 && k > 0 && s[k-1] == '\\' && isEscape(s[k]) {
		p.verdict = t.judge(s[k+1 : end])
	}
	if p.verdict&safeKey != 0 || p.verdict&secretKey == 0 && (p.verdict&signedKey == 0 || !p.param) {
		return p, false
	}
	return p, t.findValue(&p)
}

// findValue finds where the value of a pair begins. It reports whether the separator is one: a comparison or a
// path such as token::Kind is none.
func (t *scanner) findValue(p *pair) bool {
	s, v := t.text, p.sep+1
	if p.sep > 0 && bytes.IndexByte([]byte("=!<>:"), s[p.sep-1]) >= 0 {
		return false
	}
	if v < len(s) {
		switch {
		case s[p.sep] == s[v] || s[v] == '~', s[p.sep] == ':' && s[v] == '/':
			return false
		case s[p.sep] == '=' && s[v] == '>', s[p.sep] == ':' && s[v] == '=':
			v++
			p.spaced = true
		}
	}
	for v < len(s) && (s[v] == ' ' || s[v] == '\t') {
		v++
		p.spaced = true
	}
	p.value = v
	return v < len(s)
}

// value returns where the part of a pair's value begins and ends that is replaced; the same if none is.
func (t *scanner) value(p *pair) (from, to int) {
	s, v := t.text, p.value
	if q := quoteAt(s, v); q > 0 {
		from = v + q
		return from, closing(s, from, q)
	}
	ends := endsValueBit
	if p.param && !p.semicolon {
		ends = endsParamBit
	}
	if hasPrefix(s, v, Filtered) {
		return v, runUntil(s, v+len(Filtered), ends)
	}
	if t.mode == codeText {
		return v, v
	}
	if (s[v] == '{' || s[v] == '[') && (p.quoted || !p.spaced) {
		return v, balanced(s, v)
	}
	to = runUntil(s, v, ends)
	if from, end := schemeLine(s, v, to); end > 0 && !p.param {
		return from, end
	}
	switch {
	case p.quoted, s[p.sep] == '=' && !p.spaced:
		return v, to
	case s[p.sep] == ':' && p.verdict&cookieKey != 0:
		return v, cookies(s, v, to)
	}
	if end := schemeEnd(s, v, to); end > 0 {
		return end, run(s, end, isBase64Bit)
	}
	if looksSecret(s[v:to]) {
		return v, to
	}
	return v, v
}

// quoteAt returns the length of the quote at i, with the backslashes before it that JSON within JSON has, or 0.
func quoteAt(s []byte, i int) int {
	n := 0
	for i+n < len(s) && s[i+n] == '\\' && n < 8 {
		n++
	}
	if i+n < len(s) && (s[i+n] == '"' || s[i+n] == '\'' || s[i+n] == '`') {
		return n + 1
	}
	return 0
}

// closing returns the index of the quote that ends the text at from, which follows a quote of size bytes. A quote
// within is escaped once more often. Without an end the text was cut off, and is secret to the last byte.
func closing(s []byte, from, size int) int {
	quote, slashes := s[from-1], size-1
	for i := from; ; {
		n := bytes.IndexByte(s[i:], quote)
		if n < 0 {
			return len(s)
		}
		i += n
		k := i
		for k > from && s[k-1] == '\\' {
			k--
		}
		if n = i - k; n >= slashes && (n-slashes)%(2*size) == 0 {
			return i - slashes
		}
		i++
	}
}

// balanced returns the index after the object or array at i, or the end of the text.
func balanced(s []byte, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// cookies returns the end of the list of cookies at from, of which the first goes to end: from if it is none.
func cookies(s []byte, from, end int) int {
	if bytes.IndexByte(s[from:end], '=') < 1 {
		return from
	}
	for end+1 < len(s) && s[end] == ';' && s[end+1] == ' ' {
		next := runUntil(s, end+2, endsValueBit)
		if next == end+2 {
			break
		}
		end = next
	}
	return end
}

// schemeEnd returns where the credentials begin after the name of a scheme in s[from:to], or 0.
func schemeEnd(s []byte, from, to int) int {
	if to+1 >= len(s) || s[to] != ' ' {
		return 0
	}
	for _, scheme := range [...]string{"bearer", "basic", "token", "apikey", "negotiate", "digest", "dsn", "sentry"} {
		if to-from == len(scheme) && hasPrefixFold(s, from, scheme) {
			next := run(s, to+1, isBase64Bit)
			if looksSecret(s[to+1 : next]) {
				return to + 1
			}
		}
	}
	return 0
}

// schemeLine returns where the credentials begin and end that follow the name of a scheme in s[from:to] and are a
// list of parameters up to the end of the line, or zeros.
func schemeLine(s []byte, from, to int) (begin, end int) {
	known := to-from == len("digest") && hasPrefixFold(s, from, "digest") || hasPrefixFold(s, from, "aws4-")
	if !known || to+1 >= len(s) || s[to] != ' ' {
		return 0, 0
	}
	begin = to + 1
	near := s[begin:min(len(s), begin+furthest)]
	if line := bytes.IndexAny(near, "\r\n"); line >= 0 {
		near = near[:line]
	}
	if bytes.IndexByte(near, '=') < 0 && !hasPrefix(near, 0, Filtered) {
		return 0, 0
	}
	for end = begin; end < len(s) && s[end] != '\r' && s[end] != '\n'; {
		end++
	}
	return begin, end
}

// looksSecret reports whether a word in prose is rather a secret than a word: "password: hunter2" but not
// "password: required".
func looksSecret(word []byte) bool {
	digits, letters, signs := 0, 0, 0
	for i, b := range word {
		switch {
		case isDigit(b):
			digits++
		case isLetter(b):
			letters++
		case i > 0 && i < len(word)-1 && bytes.IndexByte([]byte("!@#$%^*+~"), b) >= 0:
			signs++
		}
	}
	switch {
	case len(word) >= 32:
		return true
	case digits > 0 && letters > 0:
		return len(word) >= 4
	}
	return digits >= 4 || signs > 0 && letters > 0
}

// isPlainWord reports whether a value tells nothing.
func isPlainWord(value []byte) bool {
	switch string(value) {
	case "true", "false", "null", "nil", "none", "None", "True", "False", "undefined", "NULL", `""`, "''":
		return true
	}
	return false
}

// isCount reports whether a value is a number as small as counts are.
func isCount(value []byte) bool {
	for _, b := range value {
		if !isDigit(b) {
			return false
		}
	}
	return len(value) > 0 && len(value) <= 9
}

// isFiltered reports whether a value was scrubbed before.
func isFiltered(value []byte) bool { return string(value) == Filtered }
