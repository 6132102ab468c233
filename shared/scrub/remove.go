package scrub

import "github.com/mesherhq/mesher/shared/rawjson"

// removal is how far a path of Remove has matched: path[at:] is what is left of it.
type removal struct{ path, at int }

// enterRoot begins the paths of the part of the event called name, and reports whether one of them names the whole.
func (s *Scrubber) enterRoot(name string) bool {
	for n, path := range s.policy.remove {
		if len(path) >= len(name) && path[:len(name)] == name {
			if len(path) == len(name) {
				s.notes.removed(s.policy.shown[n])
				return true
			}
			if path[len(name)] == '.' {
				s.rm = append(s.rm, removal{n, len(name) + 1})
			}
		}
	}
	return false
}

// enter goes on with the removals s.rm[lo:hi] at a member called key, and reports whether one of them ends there.
// A key may have dots in it and match several parts of a path.
func (s *Scrubber) enter(key []byte, lo, hi int) bool {
	s.name = rawjson.AppendUnquoted(s.name[:0], key)
	name := s.name
	lower(name)
	for _, r := range s.rm[lo:hi] {
		rest, n := s.policy.remove[r.path][r.at:], len(name)
		if rest[0] == '*' && (len(rest) == 1 || rest[1] == '.') {
			n = 1
		} else if !hasPrefix([]byte(rest), 0, string(name)) {
			continue
		}
		if n == len(rest) {
			s.notes.removed(s.policy.shown[r.path])
			return true
		}
		if rest[n] == '.' {
			s.rm = append(s.rm, removal{r.path, r.at + n + 1})
		}
	}
	return false
}

// enterElement goes on with the removals s.rm[lo:hi] at an element of an array, and reports whether one of them
// ends there. Only * stands for an element; other parts of a path pass through arrays.
func (s *Scrubber) enterElement(lo, hi int) bool {
	for _, r := range s.rm[lo:hi] {
		rest := s.policy.remove[r.path][r.at:]
		switch {
		case rest == "*":
			s.notes.removed(s.policy.shown[r.path])
			return true
		case len(rest) > 1 && rest[:2] == "*.":
			r.at += 2
		}
		s.rm = append(s.rm, r)
	}
	return false
}
