package account

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"github.com/ccojocar/zxcvbn-go/data"
)

const (
	// Shorter words save a guesser nothing, and no longer one is common.
	shortestWord, longestWord = 3, 20
	// A list begins with the most frequent: rarer names are not guessed early.
	mostNames = 10000
	// mostAbout bounds the words that are looked for at each place of a password.
	mostAbout = 32
)

// commonWords returns words and the bits that finding each takes. They are unpacked when the first password is
// checked: most functions never see one.
//
//nolint:gochecknoglobals // a table, too large to be made at start
var commonWords = sync.OnceValues(func() (map[string]int, error) {
	words := make(map[string]int, 50000)
	for _, l := range []struct {
		name       string
		bits, most int
	}{
		{"Passwords", commonBits, 1 << 20},
		{"English", wordBits, 1 << 20},
		{"FemaleNames", wordBits, mostNames},
		{"MaleNames", wordBits, mostNames},
		{"Surnames", wordBits, mostNames},
	} {
		if err := addList(words, l.name, l.bits, l.most); err != nil {
			return nil, fmt.Errorf("unpack the common words: %s: %w", l.name, err)
		}
	}
	return words, nil
})

// addList adds the words of a list that are not in an earlier one, whose words take less to find.
func addList(words map[string]int, name string, bits, most int) error {
	packed, err := data.Asset("data/" + name + ".json")
	if err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	var list struct{ List []string }
	if err := json.Unmarshal(packed, &list); err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	for _, w := range list.List[:min(most, len(list.List))] {
		if _, ok := words[w]; !ok && len(w) >= shortestWord && len(w) <= longestWord {
			words[w] = bits
		}
	}
	return nil
}

// wordsAbout returns what a guesser makes of names and addresses: the whole, the parts, and the parts run together.
func wordsAbout(about []string) []string {
	var words []string
	add := func(w string) {
		if len(w) >= shortestWord && len(words) < mostAbout {
			words = append(words, w)
		}
	}
	for _, s := range about {
		text, _ := read(s)
		local, domain, _ := strings.Cut(string(text), "@")
		add(string(text))
		add(local)
		add(domain)
		parts := strings.FieldsFunc(local+" "+domain, func(r rune) bool { return r < unicode.MaxASCII && !letterOrDigit(byte(r)) })
		add(strings.Join(parts, ""))
		for _, p := range parts {
			add(p)
		}
	}
	return words
}

// read returns a text in lower case with one byte for each character, and how many different characters it has. Those
// outside ASCII are told apart by their last bits only.
func read(s string) (text []byte, distinct int) {
	seen := map[rune]bool{}
	for _, r := range s {
		r = unicode.ToLower(r)
		seen[r] = true
		if r > unicode.MaxASCII {
			r = 0x80 | r&0x7f
		}
		text = append(text, byte(r))
	}
	return text, len(seen)
}

func letterOrDigit(c byte) bool { return digit(c) || c >= 'a' && c <= 'z' || c >= 0x80 }

func digit(c byte) bool { return c >= '0' && c <= '9' }
