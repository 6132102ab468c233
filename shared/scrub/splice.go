package scrub

// mostGrown is how many bytes an event may grow by before replacements are kept short: each can be several times
// as long as what it replaces.
const mostGrown = 64 << 10

// splice replaces raw[from:to] by text.
func (s *Scrubber) splice(from, to int, text string) {
	s.out = append(append(s.out, s.raw[s.mark:from]...), text...)
	s.grown += len(text) - (to - from)
	s.mark = to
}

// filter replaces the value raw[from:to].
func (s *Scrubber) filter(from, to int) {
	if s.grown > mostGrown && to-from < len(quoted) {
		s.splice(from, to, `""`)
		return
	}
	s.splice(from, to, quoted)
}

// whole replaces the value at i, which belongs to a key with verdict v, unless it tells nothing: true, false, null
// and what is empty stay, and so do small numbers where they are counts.
func (s *Scrubber) whole(i int, v verdict) int {
	end := skip(s.raw, i)
	value := s.raw[i:end]
	switch value[0] {
	case 't', 'f', 'n':
		return end
	case '"':
		text := value[1:max(1, len(value)-1)]
		if len(text) == 0 || isFiltered(text) || isPlainWord(text) || v&countKey != 0 && isCount(text) {
			return end
		}
	case '{', '[':
		if len(value) <= len("{}") {
			return end
		}
	default:
		if v&countKey != 0 {
			return end
		}
	}
	switch {
	case v&extraKey != 0:
		s.notes.add(s, byExtraKey)
	default:
		s.notes.add(s, byKey)
	}
	s.filter(i, end)
	return end
}

// stringEnd returns the index after the string at i, and what its bytes can be part of.
func stringEnd(raw []byte, i int) (end int, any uint16) {
	for i++; i < len(raw); i++ {
		b := raw[i]
		if b == '"' {
			return i + 1, any
		}
		if b == '\\' {
			i++
			continue
		}
		any |= bits[b]
	}
	return len(raw), any
}

// skip returns the index after the value at i.
func skip(raw []byte, i int) int {
	switch raw[i] {
	case '"':
		end, _ := stringEnd(raw, i)
		return end
	case '{', '[':
		return skipNested(raw, i)
	}
	for i++; i < len(raw) && raw[i] != ',' && raw[i] != '}' && raw[i] != ']'; {
		i++
	}
	return i
}

// skipNested returns the index after the array or object at i.
func skipNested(raw []byte, i int) int {
	for depth := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			end, _ := stringEnd(raw, i)
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(raw)
}
