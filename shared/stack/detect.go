package stack

import "strings"

// detect returns the language in which most of the lines that look like frames are written.
func detect(lines []string) language {
	var votes [languages]int
	for _, line := range lines {
		votes[vote(line)]++
	}
	best := none
	for l := none + 1; l < languages; l++ {
		if votes[l] > 0 && (best == none || votes[l] > votes[best]) {
			best = l
		}
	}
	return best
}

// vote returns the language that a line is a frame of.
func vote(line string) language {
	s := strings.TrimLeft(line, " \t|+-")
	if s == "" {
		return none
	}
	switch {
	case strings.HasPrefix(s, "at "):
		return voteAt(s[len("at "):])
	case line[0] == '\t' && isGoPlace(s):
		return goLang
	case strings.HasPrefix(s, `File "`):
		if _, ok := pythonFrame(s); ok {
			return python
		}
	case s[0] == '#':
		if _, ok := phpCall(s); ok {
			return php
		}
	case s[0] == '(':
		if _, ok := elixirFrame(s); ok {
			return elixir
		}
	}
	if strings.Contains(s, ":in ") {
		if _, _, ok := rubyFrame(s); ok {
			return ruby
		}
	}
	if _, ok := geckoFrame(s); ok {
		return gecko
	}
	if _, ok := rustCall(s); ok && line != s {
		return rust
	}
	return none
}

// voteAt is vote for what stands behind "at".
func voteAt(s string) language {
	if strings.Contains(s, ".rs:") {
		if file, _, _, ok := position(s); ok && strings.HasSuffix(file, ".rs") {
			return rust
		}
	}
	if _, ok := javaFrame(s); ok {
		return java
	}
	if _, ok := v8Frame(s); ok {
		return v8
	}
	if _, ok := dotnetFrame(s); ok {
		return dotnet
	}
	return none
}
