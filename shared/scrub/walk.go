package scrub

import "github.com/mesherhq/mesher/shared/rawjson"

// mode is what a value is in the structure of an event.
type mode uint8

const (
	ofAny     mode = iota
	ofChain        // a list of exceptions or threads
	ofEntry        // one of them
	ofStack        // a stack trace
	ofFrames       // its frames
	ofFrame        // one of them
	ofNothing      // what events are grouped by
)

// placeOf returns the mode of a member by that of its object, and how its text is scanned. A fixed one is part of
// the structure, whatever the rules say of its key.
func placeOf(m mode, key []byte) (child mode, text textMode, fixed bool) {
	switch m {
	case ofEntry:
		switch string(key) {
		case "type":
			return ofNothing, urlText, true
		case "module":
			return ofAny, urlText, true
		case "stacktrace", "raw_stacktrace":
			return ofStack, anyText, true
		case "mechanism":
			return ofAny, anyText, true
		}
	case ofStack:
		if string(key) == "frames" {
			return ofFrames, anyText, true
		}
	case ofFrame:
		switch string(key) {
		case "function", "module", "filename", "abs_path", "package", "raw_function", "symbol":
			return ofAny, urlText, true
		case "context_line", "pre_context", "post_context":
			return ofAny, codeText, false
		}
	}
	return ofAny, anyText, false
}

// walk scrubs the value at i of s.raw, and returns the index after it. The removals around it are s.rm[lo:hi].
func (s *Scrubber) walk(i int, m mode, text textMode, lo, hi int) int {
	switch s.raw[i] {
	case '"':
		return s.str(i, text)
	case '{':
		return s.object(i, m, lo, hi)
	case '[':
		return s.array(i, m, text, lo, hi)
	}
	return skip(s.raw, i)
}

// object scrubs the members of the object at i.
func (s *Scrubber) object(i int, m mode, lo, hi int) int {
	raw, kept := s.raw, 0
	named := naming{looked: m != ofAny} // an exception's value is followed by its stack trace, which is long
	for i++; i < len(raw) && raw[i] == '"'; {
		colon, _ := stringEnd(raw, i)
		if colon+1 >= len(raw) {
			return len(raw)
		}
		key, inner := raw[i+1:colon-1], len(s.rm)
		s.path = append(s.path, step{key: key})
		if lo < hi && s.enter(key, lo, hi) {
			i = s.drop(i, colon+1, kept)
		} else {
			i = s.member(key, colon+1, m, &named, inner)
			kept++
		}
		s.rm, s.path = s.rm[:inner], s.path[:len(s.path)-1]
		if i < len(raw) && raw[i] == ',' {
			i++
		}
	}
	return i + 1
}

// member scrubs the value at i of an object's member. Named is what is known of the names in the object.
func (s *Scrubber) member(key []byte, i int, m mode, named *naming, rm int) int {
	child, text := ofAny, anyText
	if m != ofAny {
		var fixed bool
		if child, text, fixed = placeOf(m, key); child == ofNothing {
			return skip(s.raw, i)
		} else if fixed {
			return s.walk(i, child, text, rm, len(s.rm))
		}
	}
	v := s.keyVerdict(key) | s.named(key, i, named)
	switch {
	case v&safeKey != 0:
		return skip(s.raw, i)
	case v&(secretKey|addressKey) != 0:
		return s.whole(i, v)
	case v&idKey != 0:
		text = idText
	}
	return s.walk(i, child, text, rm, len(s.rm))
}

// array scrubs the elements of the array at i.
func (s *Scrubber) array(i int, m mode, text textMode, lo, hi int) int {
	child := ofAny
	switch m {
	case ofChain:
		child = ofEntry
	case ofStack, ofFrames:
		child = ofFrame
	}
	raw, kept := s.raw, 0
	i++
	for index := 0; i < len(raw) && raw[i] != ']'; index++ {
		inner := len(s.rm)
		s.path = append(s.path, step{index: index})
		if drop, next := s.element(i, kept, child, text, lo, hi); !drop {
			kept, i = kept+1, next
		} else {
			i = next
		}
		s.rm, s.path = s.rm[:inner], s.path[:len(s.path)-1]
		if i < len(raw) && raw[i] == ',' {
			i++
		}
	}
	return i + 1
}

// element scrubs or drops the element at i of an array, of which kept elements before it remain.
func (s *Scrubber) element(i, kept int, m mode, text textMode, lo, hi int) (dropped bool, next int) {
	inner := len(s.rm)
	if s.raw[i] == '[' {
		if key, value := s.pairIn(i); value > 0 {
			s.path[len(s.path)-1] = step{key: key}
			if lo < hi && s.enter(key, lo, hi) {
				return true, s.drop(i, i, kept)
			}
			switch v := s.keyVerdict(key); {
			case v&safeKey != 0:
				return false, skip(s.raw, i)
			case v&(secretKey|addressKey) != 0:
				return false, s.whole(value, v) + 1
			}
		}
	}
	if lo < hi && s.enterElement(lo, hi) {
		return true, s.drop(i, i, kept)
	}
	return false, s.walk(i, m, text, inner, len(s.rm))
}

// pairIn returns the key and where the value begins of the pair at i, such as ["Authorization","…"]: an array of
// a string and one more value. If it is none, value is 0.
func (s *Scrubber) pairIn(i int) (key []byte, value int) {
	raw := s.raw
	if i+1 >= len(raw) || raw[i+1] != '"' {
		return nil, 0
	}
	comma, _ := stringEnd(raw, i+1)
	if comma+1 >= len(raw) || raw[comma] != ',' || s.keyVerdict(raw[i+2:comma-1])&(secretKey|safeKey|addressKey) == 0 && len(s.policy.remove) == 0 {
		return nil, 0
	}
	if end := skip(raw, comma+1); end >= len(raw) || raw[end] != ']' {
		return nil, 0
	}
	return raw[i+2 : comma-1], comma + 1
}

// drop removes the text from i to the end of the value at value, with a comma.
func (s *Scrubber) drop(i, value, kept int) int {
	end := skip(s.raw, value)
	switch {
	case kept > 0:
		i--
	case end < len(s.raw) && s.raw[end] == ',':
		end++
	}
	s.splice(i, end, "")
	return end
}

// str scrubs the string at i.
func (s *Scrubber) str(i int, text textMode) int {
	end, any := stringEnd(s.raw, i)
	if !s.worth(any, end-i-len(`""`)) || text == urlText && any&urlBit == 0 {
		return end
	}
	s.plain[0] = rawjson.AppendUnquoted(s.plain[0][:0], s.raw[i:end])
	clean, changed := s.clean(text)
	if !changed {
		return end
	}
	if size := rawjson.StringSize(clean); s.grown+size-(end-i) > mostGrown {
		s.filter(i, end)
		return end
	}
	s.splice(i, end, "")
	from := len(s.out)
	s.out = rawjson.AppendString(s.out, clean)
	s.grown += len(s.out) - from
	return end
}
