package grouping

import "github.com/mesherhq/mesher/shared/rawjson"

// appendName appends the name of a module or function without the counters that compilers give to anonymous
// ones: main.run.func1.2, lambda$read$0, Main$1, <Run>b__0_1, 0x7f3a.
func appendName(dst, raw []byte) []byte {
	start := len(dst)
	dst = rawjson.AppendUnquoted(dst, raw)
	out := dst[:start]
	name := dst[start:]
	for i := 0; i < len(name); {
		b := name[i]
		if !isDigit(b) || !counter(out[start:]) {
			out = append(out, b)
			i++
			continue
		}
		hex := b == '0' && i+1 < len(name) && name[i+1] == 'x'
		if hex {
			i += 2
		}
		for i < len(name) && (isDigit(name[i]) || hex && isHexLetter(name[i])) {
			i++
		}
	}
	return out
}

// counter reports whether digits that follow name are a counter.
func counter(name []byte) bool {
	n := len(name)
	if n == 0 {
		return false
	}
	switch name[n-1] {
	case '$', '#', '/', ':', '.':
		return true
	case '_':
		return n >= 3 && name[n-2] == '_'
	case 'c':
		return n >= 5 && string(name[n-5:]) == ".func"
	}
	return false
}

// appendFile appends the name of a file without its query, and without the hash that a bundler put into it.
func appendFile(dst, raw []byte) []byte {
	start := len(dst)
	dst = rawjson.AppendUnquoted(dst, raw)
	out := dst[:start]
	for i := start; i < len(dst) && dst[i] != '?'; {
		end := i
		for end < len(dst) && isWord(dst[end]) {
			end++
		}
		switch {
		case end == i:
			out = append(out, dst[i])
			i++
			continue
		case isHash(dst[i:end]):
			out = append(out, '#') // never longer than what it stands for, which is overwritten
		default:
			out = append(out, dst[i:end]...)
		}
		i = end
	}
	return out
}

// isHash reports whether a word is hexadecimal, has digits, and is long enough for a hash.
func isHash[T string | []byte](word T) bool {
	digits := 0
	for i := range len(word) {
		switch b := word[i]; {
		case isDigit(b):
			digits++
		case !isHexLetter(b):
			return false
		}
	}
	return len(word) >= 7 && digits > 0
}

func isDigit(b byte) bool     { return b-'0' <= 9 }
func isHexLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'f' }
func isLetter(b byte) bool    { return b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80 }
func isWord(b byte) bool      { return isDigit(b) || isLetter(b) || b == '_' }
