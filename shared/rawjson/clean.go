package rawjson

// cleaner is one run of Clean or Check. Its methods take the index to read at and return the index after what
// they read, or -1 once err is set: the index lives in a register, which a field would not.
//
// Text is copied in runs: src[mark:i] is clean and not yet in dst, and only where something has to be dropped
// or replaced is the run flushed. Input that is compact already is copied by a single append.
type cleaner struct {
	src, dst []byte
	mark     int
	replaced int
	maxDepth int
	maxLen   int  // of dst
	check    bool // refuse instead of dropping and replacing
	err      *SyntaxError
}

// fail records what is wrong at i.
func (c *cleaner) fail(i int, msg string) int {
	c.err = &SyntaxError{Offset: i, Msg: msg}
	return -1
}

// expected records that something else stands at i, or nothing at all.
func (c *cleaner) expected(i int, msg string) int {
	if i >= len(c.src) {
		return c.fail(len(c.src), "unexpected end: "+msg)
	}
	return c.fail(i, msg)
}

// splice replaces src[from:to] by text. It returns to.
func (c *cleaner) splice(from, to int, text string) int {
	if c.check {
		return c.fail(from, "text is not clean")
	}
	if len(c.dst)+from-c.mark+len(text) > c.maxLen {
		return c.fail(from, TooLong)
	}
	c.dst = append(append(c.dst, c.src[c.mark:from]...), text...)
	c.mark = to
	return to
}

// replace is splice for text that Postgres refuses.
func (c *cleaner) replace(from, to int, text string) int {
	c.replaced++
	return c.splice(from, to, text)
}

// space drops white space at i.
func (c *cleaner) space(i int) int {
	if i >= len(c.src) || c.src[i] > ' ' {
		return i
	}
	end := skipSpace(c.src, i)
	if end == i {
		return i
	}
	return c.splice(i, end, "")
}

// value reads one value. It expects no white space at i and leaves that after the value alone.
func (c *cleaner) value(i, depth int) int {
	if i >= len(c.src) {
		return c.expected(i, "expected a value")
	}
	switch c.src[i] {
	case '"':
		return c.text(i)
	case '{':
		return c.object(i, depth+1)
	case '[':
		return c.array(i, depth+1)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return c.number(i)
	case 't':
		return c.literal(i, "true")
	case 'f':
		return c.literal(i, "false")
	case 'n':
		return c.literal(i, "null")
	case '\'':
		return c.fail(i, "strings need double quotes")
	}
	return c.fail(i, "expected a value")
}

// literal reads true, false or null.
func (c *cleaner) literal(i int, word string) int {
	if len(c.src)-i < len(word) || string(c.src[i:i+len(word)]) != word {
		return c.fail(i, "expected a value: a word other than true, false and null needs double quotes")
	}
	return i + len(word)
}

// object reads an object whose brace stands at i.
func (c *cleaner) object(i, depth int) int {
	if depth > c.maxDepth {
		return c.fail(i, TooDeep)
	}
	if i = c.space(i + 1); i < 0 {
		return i
	}
	if i < len(c.src) && c.src[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(c.src) || c.src[i] != '"' {
			return c.expected(i, "expected a key in double quotes")
		}
		if i = c.text(i); i < 0 {
			return i
		}
		if i = c.space(i); i < 0 {
			return i
		}
		if i >= len(c.src) || c.src[i] != ':' {
			return c.expected(i, "expected ':' after a key")
		}
		if i = c.space(i + 1); i < 0 {
			return i
		}
		if i = c.value(i, depth); i < 0 {
			return i
		}
		if i = c.space(i); i < 0 {
			return i
		}
		if i >= len(c.src) {
			return c.expected(i, "expected ',' or '}' after a value in an object")
		}
		switch c.src[i] {
		case '}':
			return i + 1
		case ',':
			if i = c.space(i + 1); i < 0 {
				return i
			}
		default:
			return c.fail(i, "expected ',' or '}' after a value in an object")
		}
	}
}

// array reads an array whose bracket stands at i.
func (c *cleaner) array(i, depth int) int {
	if depth > c.maxDepth {
		return c.fail(i, TooDeep)
	}
	if i = c.space(i + 1); i < 0 {
		return i
	}
	if i < len(c.src) && c.src[i] == ']' {
		return i + 1
	}
	for {
		if i = c.value(i, depth); i < 0 {
			return i
		}
		if i = c.space(i); i < 0 {
			return i
		}
		if i >= len(c.src) {
			return c.expected(i, "expected ',' or ']' after a value in an array")
		}
		switch c.src[i] {
		case ']':
			return i + 1
		case ',':
			if i = c.space(i + 1); i < 0 {
				return i
			}
		default:
			return c.fail(i, "expected ',' or ']' after a value in an array")
		}
	}
}
