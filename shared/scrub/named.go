package scrub

// naming is what is known of the members of an object that give the key of another, as in
// {"name":"Authorization","value":"…"}.
type naming struct {
	verdict verdict // on all names seen so far
	looked  bool    // at those that follow the value
}

// named returns what the names in an object say about its member key, whose value begins at i. The name may follow
// the value, so the first value looks at the rest of the object. Each byte is looked at once for each value that it
// is nested in.
func (s *Scrubber) named(key []byte, i int, n *naming) verdict {
	switch {
	case isName(key):
		n.verdict |= s.nameAt(i)
	case isValue(key):
		if !n.looked {
			n.looked = true
			n.verdict |= s.namesAfter(skip(s.raw, i))
		}
		return n.verdict
	}
	return 0
}

// namesAfter returns the verdict on the names among the members after the value that ends at i.
func (s *Scrubber) namesAfter(i int) (v verdict) {
	raw := s.raw
	for i+1 < len(raw) && raw[i] == ',' && raw[i+1] == '"' {
		colon, _ := stringEnd(raw, i+1)
		if colon+1 >= len(raw) {
			return v
		}
		if isName(raw[i+2 : colon-1]) {
			v |= s.nameAt(colon + 1)
		}
		i = skip(raw, colon+1)
	}
	return v
}

// nameAt returns the verdict on the key that the string at i is.
func (s *Scrubber) nameAt(i int) verdict {
	if s.raw[i] != '"' {
		return 0
	}
	end, _ := stringEnd(s.raw, i)
	if end-1 <= i {
		return 0
	}
	return s.keyVerdict(s.raw[i+1 : end-1])
}

// isName reports whether a member called key, in any case, gives the key of another.
func isName(key []byte) bool {
	if len(key) < 3 || len(key) > 6 {
		return false
	}
	switch key[0] | 0x20 { // most keys are told apart by it
	case 'k':
		return len(key) == 3 && hasPrefixFold(key, 0, "key")
	case 'n':
		return len(key) == 4 && hasPrefixFold(key, 0, "name")
	case 'f':
		return len(key) == 5 && hasPrefixFold(key, 0, "field")
	case 'h':
		return len(key) == 6 && hasPrefixFold(key, 0, "header")
	}
	return false
}

// isValue reports whether a member called key, in any case, holds what a name is given for.
func isValue(key []byte) bool {
	if len(key) != 3 && len(key) != 5 || key[0]|0x20 != 'v' {
		return false
	}
	return hasPrefixFold(key, 0, "value"[:len(key)])
}
