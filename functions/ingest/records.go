package ingest

import (
	"bytes"

	"github.com/mesherhq/mesher/shared/fault"
)

// cutRecords returns the JSON texts of a native body, one an event: the body may be one JSON object, an
// array of them, or objects one after another (newline-delimited JSON). The texts are not checked here. A
// line of newline-delimited JSON that does not end within itself is one record, so that it spoils no other.
func cutRecords(body []byte, most int) ([][]byte, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) // a byte order mark, as some editors write it
	rest := bytes.TrimLeft(body, space)
	if len(rest) == 0 {
		return nil, fault.New(fault.Invalid, "the body is empty; send one JSON event, an array of events, or one event a line")
	}
	if rest[0] == '[' {
		return cutArray(rest, most)
	}
	var (
		out    [][]byte
		broken bool
	)
	for len(rest) > 0 {
		if len(out) == most {
			return nil, tooMany(most)
		}
		// After the first record that does not end, a line is a record: looking for each end anew would
		// read the rest of the body once a line.
		n := len(firstLine(rest))
		if !broken {
			n, broken = recordEnd(rest)
		}
		out = append(out, bytes.TrimRight(rest[:n], space))
		rest = bytes.TrimLeft(rest[n:], space)
	}
	return out, nil
}

const space = " \t\r\n"

// cutArray returns the elements of the array that body starts with.
func cutArray(body []byte, most int) ([][]byte, error) {
	var out [][]byte
	rest := bytes.TrimLeft(body[1:], space)
	for first := true; ; first = false {
		switch {
		case len(rest) == 0:
			return nil, notArray(body, rest, "the array is cut off before its ]")
		case rest[0] == ']' && first:
			return nil, fault.New(fault.Invalid, "the array is empty; send at least one event")
		case len(out) == most:
			return nil, tooMany(most)
		}
		n := valueEnd(rest)
		if n <= 0 {
			return nil, notArray(body, rest, "an element of the array does not end")
		}
		out = append(out, bytes.TrimRight(rest[:n], space))
		rest = bytes.TrimLeft(rest[n:], space)
		switch {
		case len(rest) == 0:
			return nil, notArray(body, rest, "the array is cut off before its ]")
		case rest[0] == ']':
			if tail := bytes.TrimLeft(rest[1:], space); len(tail) > 0 {
				return nil, notArray(body, tail, "something follows the array")
			}
			return out, nil
		case rest[0] != ',':
			return nil, notArray(body, rest, "a comma or ] is missing after an element")
		}
		rest = bytes.TrimLeft(rest[1:], space)
	}
}

func notArray(body, rest []byte, what string) error {
	return fault.New(fault.Invalid, "the body is not a JSON array: %s (at byte %d)", what, len(body)-len(rest))
}

func tooMany(most int) error {
	return fault.New(fault.TooLarge, "more than %d events in one request; send them in several", most)
}

// recordEnd returns where the record that b starts with ends. A record that does not end is its line if
// another record seems to follow, else everything; broken then says so.
func recordEnd(b []byte) (n int, broken bool) {
	if n := valueEnd(b); n > 0 {
		// A value is followed by white space or another value; anything else on its line belongs to it, and
		// makes it the invalid record that it is.
		if next := bytes.TrimLeft(b[n:], " \t\r"); len(next) == 0 || next[0] == '\n' || next[0] == '{' {
			return n, false
		}
		return n + len(firstLine(b[n:])), false
	}
	n = len(firstLine(b))
	if next := bytes.TrimLeft(b[n:], space); len(next) == 0 || next[0] != '{' {
		return len(b), true
	}
	return n, true
}

// firstLine returns b up to its first newline.
func firstLine(b []byte) []byte {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return b[:i]
	}
	return b
}

// valueEnd returns where the JSON value that b starts with ends, or 0 when it does not: brackets are counted
// outside of strings, nothing else is checked. A newline inside a string ends the search, since JSON has no
// such strings.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
			if depth == 0 {
				return i + 1
			}
		case '"':
			end := stringEnd(b[i:])
			if end == 0 {
				return 0
			}
			i += end - 1
			if depth == 0 {
				return i + 1
			}
		case ',', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	if depth == 0 {
		return len(b)
	}
	return 0
}

// stringEnd returns the length of the JSON string that b starts with, or 0 when it does not end in its line.
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		n := bytes.IndexAny(b[i:], "\"\\\n")
		if n < 0 {
			return 0
		}
		switch i += n; b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		default:
			return 0
		}
	}
	return 0
}
