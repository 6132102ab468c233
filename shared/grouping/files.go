package grouping

import (
	"bytes"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// appendFile appends what is stable in the path of a file: its name and its folder, without query, hashes and
// numbers, and without a folder that says nothing. What lies above differs between machines and builds.
func (p *parts) appendFile(dst []byte, f *frame) []byte {
	p.path = rawjson.AppendUnquoted(p.path[:0], f.file)
	path := p.path
	if f.style.scripts() || bytes.Contains(path, []byte("://")) {
		path = bytes.TrimPrefix(before(before(path, "?"), "#"), []byte("webpack-internal:///"))
		if i := bytes.Index(path, []byte("://")); i > 0 {
			host := bytes.IndexByte(path[i+3:], '/')
			if path = path[i+3+max(host, 0):]; host < 0 || len(path) == 1 {
				return append(dst, '/') // the page itself
			}
		}
		path = bytes.TrimPrefix(path, []byte("node:"))
	}
	cut, slashes := 0, 0
	for i := len(path) - 1; i >= 0 && slashes < 2; i-- {
		if path[i] == '/' || path[i] == '\\' {
			if slashes++; slashes == 2 {
				cut = i + 1
			}
		}
	}
	folder, file := split(path[cut:])
	if !vague(folder) {
		dst = append(appendStem(dst, folder, f.style), '/')
	}
	return appendStem(dst, file, f.style)
}

// split returns the folder and the name of "folder/name".
func split(path []byte) (folder, file []byte) {
	if i := bytes.IndexAny(path, `/\`); i >= 0 {
		return path[:i], path[i+1:]
	}
	return nil, path
}

// vague reports whether a folder is one that a project, or the place it was deployed to, is called by.
func vague(folder []byte) bool {
	switch string(folder) {
	case "", ".", "..", "~", "app", "src", "source", "lib", "dist", "build", "out", "html", "www", "task", "files", "code", "workspace", "opt",
		"srv", "home", "tmp", "assets", "static", "js", "public", "bundle", "current":
		return true
	}
	return allDigits(folder) || folder[len(folder)-1] == ':'
}

// appendStem appends a name with what bundlers and builds put into it replaced by #: hashes and numbers.
func appendStem(dst, name []byte, s style) []byte {
	if s.scripts() {
		name = withoutRollupHash(name)
	}
	start := len(dst)
	for i := 0; i < len(name); {
		end := i
		for end < len(name) && isWord(name[end]) {
			end++
		}
		switch piece := name[i:end]; {
		case end == i:
			dst = append(dst, name[i])
			i++
			continue
		case isHash(piece) || len(piece) >= 2 && allDigits(piece) || s.scripts() && shortHash(piece, i > 0, end < len(name)):
			if n := len(dst); n >= start+2 && dst[n-2] == '#' {
				dst = dst[:n-1] // one # for a hash in pieces
			} else {
				dst = append(dst, '#')
			}
		default:
			if stem := withoutDigits(piece); len(piece)-len(stem) >= 3 && stem[len(stem)-1] == '_' {
				dst = append(append(dst, stem...), '#')
			} else {
				dst = appendWord(dst, piece)
			}
		}
		i = end
	}
	return dst
}

// withoutRollupHash replaces the eight characters of base64 that Rollup and Vite put before the ending of assets.
func withoutRollupHash(name []byte) []byte {
	dot := bytes.LastIndexByte(name, '.')
	const length = 8
	if dot <= length+1 || name[dot-length-1] != '-' && name[dot-length-1] != '.' {
		return name
	}
	hash := name[dot-length : dot]
	digits, uppers := 0, 0
	for _, b := range hash {
		switch {
		case isDigit(b) || b == '_':
			digits++
		case isUpper(b):
			uppers++
		case !isLower(b) && b != '-':
			return name
		}
	}
	if digits == 0 && uppers < 3 {
		return name
	}
	return append(append(name[:dot-length], '0', '0'), name[dot:]...)
}

// shortHash reports whether a piece of an asset's name is a number of a chunk, or a hash of four characters or more.
func shortHash(piece []byte, inside, more bool) bool {
	if allDigits(piece) {
		return more
	}
	digit, letters := false, 0
	for _, b := range piece {
		switch {
		case isDigit(b):
			digit = true
		case isHexLetter(b):
			letters++
		case !isUpper(b):
			return false
		}
	}
	return inside && more && digit && letters > 0 && len(piece) >= 4
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

// allDigits reports whether s consists of digits.
func allDigits[T string | []byte](s T) bool { return len(s) > 0 && digitRun(s) == len(s) }
