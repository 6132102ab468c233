package scrub

const (
	escapedEqual = "%3d"
	escapedAnd   = "%26"
)

// escaped looks at the = at i that is escaped as in a URL within a URL, and returns where to go on. The value ends
// where that of a parameter does, or at an escaped &.
func (t *scanner) escaped(i int) int {
	s, k := t.text, i
	for k > t.keyFloor && bits[s[k-1]]&isKeyBit != 0 {
		k--
	}
	from := i + len(escapedEqual)
	t.keyFloor = from
	if k == i {
		return from
	}
	v := t.judge(s[k:i])
	if v&safeKey != 0 || v&secretKey == 0 {
		return from
	}
	to := from
	for to < len(s) && bits[s[to]]&endsParamBit == 0 && !hasPrefix(s, to, escapedAnd) {
		to++
	}
	switch value := s[from:to]; {
	case from == to, v&countKey != 0 && isCount(value), isPlainWord(value):
		return from
	case isFiltered(value):
		return t.pass(to)
	}
	if v&extraKey != 0 {
		return t.match(from, to, byExtraKey)
	}
	return t.match(from, to, byPair)
}
