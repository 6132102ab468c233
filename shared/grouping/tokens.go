package grouping

import "strings"

// word returns the placeholder and length of the varying text at i, which begins with a letter.
func (n *normaliser) word(i int) (class string, size int) {
	s := n.s[i:]
	if size = n.afterID(i); size > 0 {
		return "<id>", size
	}
	end := wordEnd(s, 0)
	word, next := s[:end], byte(0)
	if end < len(s) {
		next = s[end]
	}
	if class, size = n.linked(i, s, word, next); size > 0 {
		return class, size
	}
	if isHexLetter(s[0]) {
		if size = uuidText(s); size > 0 {
			return "<uuid>", size
		}
		if isHash(word) {
			return hexClass(word), end
		}
	}
	if size = namedDate(s); size > 0 {
		return "<date>", size
	}
	if word[0] == 'P' && isoDuration(word) {
		return "<duration>", end
	}
	if word[0] == 'v' && end > 1 && isDigit(word[1]) {
		if size = version(s[1:]); size > 0 {
			return "<version>", size + 1
		}
	}
	return n.plain(i, word)
}

// linked returns the placeholder and length of what goes on behind the word at i, by the byte that follows it: an
// address, a path, a token.
func (n *normaliser) linked(i int, s, word string, next byte) (class string, size int) {
	switch next {
	case ':':
		if size = url(s); size > 0 {
			return "<url>", size
		}
		if size = windowsPath(s); size > 0 {
			return "<path>", size
		}
		if size = mac(s); size > 0 {
			return "<mac>", size
		}
		if size = ipv6(s); size > 0 {
			return "<ip>", size
		}
		if word == "arn" && strings.HasPrefix(s, "arn:") {
			return "<arn>", spaceOrEnd(s)
		}
	case '+':
		if size = url(s); size > 0 {
			return "<url>", size
		}
		if size = email(s); size > 0 {
			return "<email>", size
		}
	case '@', '.', '-':
		return n.joined(i)
	}
	return "", 0
}

// afterID returns the length of the token at i if the word before it is "id" and the token has a digit, or 0.
func (n *normaliser) afterID(i int) int {
	if len(n.last) != 2 || n.last[0]|0x20 != 'i' || n.last[1]|0x20 != 'd' || i-n.lastEnd > 2 || strings.Trim(n.s[n.lastEnd:i], " :=") != "" {
		return 0
	}
	end, digit := i, false
	for end < len(n.s) && (isWord(n.s[end]) || strings.IndexByte("+/=-", n.s[end]) >= 0) {
		digit = digit || isDigit(n.s[end])
		end++
	}
	if !digit || uuidText(n.s[i:]) > 0 || allDigits(n.s[i:end]) || isHash(n.s[i:end]) {
		return 0
	}
	return end - i
}

// plain returns the placeholder and length of a varying word by its letters and digits alone.
func (n *normaliser) plain(i int, word string) (class string, size int) {
	digits := digitsIn(word)
	if digits == 0 {
		return "", 0
	}
	if code(word) || n.afterCode(i) {
		return "", len(word)
	}
	end := len(word)
	if mixed(word) {
		for end < len(n.s)-i && n.s[i+end] == '=' && end < len(word)+2 && len(word) >= 16 {
			end++ // the padding of base64
		}
		if under := strings.LastIndexByte(word[:min(len(word), 12)], '_'); under > 0 && digitsIn(word[:under]) == 0 && !upperIn(word[:under]) {
			return word[:under+1] + "<id>", end // the prefix says what the id is of, as in ord_9f3kZ2
		}
		return "<id>", end
	}
	if under := strings.IndexByte(word, '_'); under > 0 && under <= 8 && digitsIn(word[:under]) == 0 && opaque(word[under+1:]) {
		return word[:under+1] + "<id>", end
	}
	return "", 0
}

// opaque reports whether what follows a prefix such as ord_ is an id rather than a word: a letter follows a digit.
func opaque(s string) bool {
	if len(s) < 4 || wellKnown(s) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if isDigit(s[i-1]) && isLetter(s[i]) {
			return true
		}
	}
	return false
}

// mixed reports whether letters and digits alternate in a word as they do in ids and not in names.
func mixed(word string) bool {
	if len(word) < 6 || wellKnown(word) {
		return false
	}
	changes, upper, lower := 0, false, false
	for i := range len(word) {
		b := word[i]
		upper, lower = upper || isUpper(b) && i > 0, lower || isLower(b)
		if i > 0 && b != '_' && word[i-1] != '_' && isDigit(b) != isDigit(word[i-1]) {
			changes++
		}
	}
	return changes >= 3 || changes == 2 && upper && lower
}

// wellKnown reports whether a word is a name that looks like an id.
func wellKnown(word string) bool {
	switch word {
	case "x86_64", "utf8mb4", "utf8mb3", "v1beta1", "v1beta2", "v1alpha1", "v2beta1", "v2beta2", "log4j2", "x509v3", "i18n", "l10n",
		"a11y", "base64url", "win32api", "e2e", "h264", "h265", "UInt8Array", "Float64Array", "Uint8Array", "Int32Array":
		return true
	}
	return false
}

// joined returns the placeholder and length of what is made of words, dots, dashes and at signs: addresses, hosts,
// pods, ids with dashes. Each such token is looked at once.
func (n *normaliser) joined(i int) (class string, size int) {
	if i < n.token {
		return "", 0
	}
	s := n.s[i:]
	end, dots, at := 0, 0, -1
	for end < len(s) && (isWord(s[end]) || strings.IndexByte("-.@+", s[end]) >= 0) {
		switch s[end] {
		case '.':
			dots++
		case '@':
			if at < 0 {
				at = end
			}
		}
		end++
	}
	n.token = i + end
	if at > 0 {
		if size = email(s); size > 0 {
			return "<email>", size
		}
	}
	if strings.HasPrefix(s, "eyJ") && end > 16 {
		return "<token>", end
	}
	for end > 0 && !isWord(s[end-1]) {
		end--
	}
	token := s[:end]
	if size = uuidText(s); size > 0 {
		return "<uuid>", size
	}
	if size = mac(s); size > 0 {
		return "<mac>", size
	}
	if at < 0 && (dots >= 2 || dots == 1 && port(s[end:]) > 0) && host(token) {
		return "<host>", end
	}
	if at > 0 && at+1 < end && hexRun(s[at+1:]) == end-at-1 && end-at > 3 { // com.acme.Foo@1a2b3c
		return token[:at+1] + "<hex>", end
	}
	if dots > 0 {
		return "", 0
	}
	return dashed(token)
}

// dashed returns the placeholder and length of a token of words and dashes, if it is an id.
func dashed(token string) (class string, size int) {
	if k := pod(token); k > 0 {
		return token[:k] + "-<pod>", len(token)
	}
	if len(token) >= 16 && restless(token) {
		return "<id>", len(token)
	}
	return "", 0
}

// pod returns the length of the name in front of the two random parts of a pod's name, web-7d9c5b6f4-x2x9z, or 0.
func pod(token string) int {
	last := strings.LastIndexByte(token, '-')
	if last < 0 || len(token)-last-1 != 5 {
		return 0
	}
	middle := strings.LastIndexByte(token[:last], '-')
	if n := last - middle - 1; middle <= 0 || n < 6 || n > 10 || digitsIn(token[middle:last]) == 0 {
		return 0
	}
	for _, b := range []byte(token[middle+1:]) {
		if !isDigit(b) && !isLower(b) && b != '-' || b == 'e' || b == 'i' || b == 'o' || b == 'u' {
			return 0
		}
	}
	return middle
}

// restless reports whether a long token changes between letters and digits as only random text does.
func restless(token string) bool {
	changes, upper, lower := 0, false, false
	for i := 1; i < len(token); i++ {
		upper, lower = upper || isUpper(token[i]), lower || isLower(token[i])
		if isDigit(token[i]) != isDigit(token[i-1]) {
			changes++
		}
	}
	return changes >= 5 && upper && lower
}

// host reports whether a token with dots is the name of a machine: three labels or more, in lower case, the last
// one a domain.
func host(token string) bool {
	for i := range len(token) {
		if isUpper(token[i]) || token[i] == '_' {
			return false
		}
	}
	switch token[strings.LastIndexByte(token, '.')+1:] {
	case "com", "net", "org", "io", "dev", "cloud", "internal", "local", "svc", "example", "lan", "app", "co", "eu", "de", "uk", "us", "fr", "in", "test":
		return !strings.HasPrefix(token, "com.") && !strings.HasPrefix(token, "org.") && !strings.HasPrefix(token, "io.") &&
			!strings.HasPrefix(token, "java.") && !strings.HasPrefix(token, "net.") && !strings.HasPrefix(token, "dev.")
	}
	return false
}

// code reports whether a word is the code of an error, which stays: E1234, TS2304.
func code(word string) bool {
	letters := 0
	for letters < len(word) && isUpper(word[letters]) {
		letters++
	}
	digits := digitRun(word[letters:])
	return letters >= 1 && letters <= 8 && digits >= 3 && digits <= 6 && letters+digits == len(word) && !idFamily(word[:letters])
}

// idFamily reports whether capital letters before a number say that it counts things.
func idFamily(letters string) bool {
	switch letters {
	case "SKU", "ORD", "INV", "ID", "USR", "REQ", "TX", "TXN", "CUST", "PO", "SO", "NO", "NR", "ITEM", "ACC", "SN", "U", "C":
		return true
	}
	return false
}

// codeFamily reports whether a number that follows a word and a dash is an error's code: ORA-00942.
func codeFamily(word string) bool {
	switch word {
	case "ORA", "PLS", "TNS", "DPY", "DPI", "SP2", "CVE", "CWE", "RFC", "ISO", "ECMA", "SQL", "DB2", "JBAS", "HTTP", "WSA", "UTF", "SHA", "AES", "RSA":
		return true
	}
	return false
}

// digitsIn returns how many digits s has.
func digitsIn(s string) int {
	n := 0
	for i := range len(s) {
		if isDigit(s[i]) {
			n++
		}
	}
	return n
}

// upperIn reports whether s has a capital letter.
func upperIn(s string) bool {
	for i := range len(s) {
		if isUpper(s[i]) {
			return true
		}
	}
	return false
}

// hexClass returns the placeholder of a hash: 32 digits are a UUID without dashes as often as not.
func hexClass(word string) string {
	if len(word) == 32 {
		return "<uuid>"
	}
	return "<hex>"
}
