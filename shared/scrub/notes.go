package scrub

import (
	"strconv"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// Meta must not outgrow the event it is about.
const (
	mostNotes    = 50
	longestPlace = 100 // bytes of a path
	longestStep  = 40  // bytes of a key in it
)

// step is one step of the path to a value: a key as it stands between its quotes, or an index.
type step struct {
	key   []byte
	index int
}

// note says where something was scrubbed, as paths[from:to], and why.
type note struct {
	from, to int
	rule     rule
}

// notes collects what Meta tells about scrubbing. It never holds what was scrubbed.
type notes struct {
	list  []note
	paths []byte
	more  int // beyond mostNotes
}

// add notes that the value s is at was scrubbed by a rule. Several finds in one text are noted once.
func (n *notes) add(s *Scrubber, by rule) {
	if len(n.list) >= mostNotes {
		n.more++
		return
	}
	from := len(n.paths)
	n.paths = append(n.paths, s.root...)
	for _, step := range s.path {
		if len(n.paths)-from > longestPlace {
			break
		}
		n.paths = append(n.paths, '.')
		if step.key == nil {
			n.paths = strconv.AppendInt(n.paths, int64(step.index), 10)
			continue
		}
		at := len(n.paths)
		n.paths = rawjson.AppendUnquoted(n.paths, step.key[:whole(step.key, 6*longestStep)])
		n.paths = n.paths[:at+whole(n.paths[at:], longestStep)]
	}
	n.paths = n.paths[:from+whole(n.paths[from:], longestPlace)]
	n.put(from, by)
}

// removed notes that a path of Remove matched, in the words of its owner.
func (n *notes) removed(path string) {
	if len(n.list) >= mostNotes {
		n.more++
		return
	}
	from := len(n.paths)
	n.paths = append(n.paths, path...)
	n.put(from, byPath)
}

// put adds a note on paths[from:], unless there is the same one among the last few.
func (n *notes) put(from int, by rule) {
	for i := len(n.list) - 1; i >= max(0, len(n.list)-4); i-- {
		last := n.list[i]
		if last.rule == by && string(n.paths[last.from:last.to]) == string(n.paths[from:]) {
			n.paths = n.paths[:from]
			return
		}
	}
	n.list = append(n.list, note{from, len(n.paths), by})
}

// whole returns how many bytes of text are whole characters, at most limit.
func whole(text []byte, limit int) int {
	if len(text) <= limit {
		return len(text)
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return limit
}

// appendNotes returns meta with the notes, and with those that it has already.
func (s *Scrubber) appendNotes(meta []byte) []byte {
	from, count, more := len(s.out), 0, s.notes.more
	s.out = append(s.out, '{')
	for key, value := range rawjson.Object(meta) {
		switch string(key) {
		case "scrubbed":
		case "scrubbed_more":
			before, _ := strconv.Atoi(string(value))
			more += max(0, before)
		default:
			s.out = append(append(append(append(s.out, '"'), key...), `":`...), value...)
			s.out = append(s.out, ',')
		}
	}
	s.out = append(s.out, `"scrubbed":[`...)
	for _, before := range rawjson.Array(rawjson.Lookup(meta, "scrubbed")) {
		s.out = append(append(s.out, before...), ',')
		count++
	}
	for _, note := range s.notes.list {
		if count++; count > mostNotes {
			more++
			continue
		}
		s.out = rawjson.AppendString(append(s.out, `{"path":`...), s.notes.paths[note.from:note.to])
		s.out = append(append(append(s.out, `,"rule":"`...), ruleNames[note.rule]...), `"},`...)
	}
	s.out = append(s.out[:len(s.out)-1], ']')
	if more > 0 {
		s.out = strconv.AppendInt(append(s.out, `,"scrubbed_more":`...), int64(more), 10)
	}
	s.out = append(s.out, '}')
	return s.out[from:len(s.out):len(s.out)]
}
