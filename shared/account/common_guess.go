package account

import (
	"bytes"
	"slices"
)

// What a piece of a password adds to the work of guessing it, in bits: about the logarithm of how many like it are
// tried before it.
const (
	aboutBits  = 4  // a word that is known of the user
	commonBits = 8  // one of some thousand common passwords
	wordBits   = 13 // one of some ten thousand words and names
	runBits    = 6  // three or more characters that follow each other, in the alphabet or on a keyboard
	yearBits   = 5
	letterBits = 4 // less than the 4.7 of a random one, since letters that make no word may make a syllable
	otherBits  = 3 // a digit, or one of the few signs that people put into passwords
	repeatBits = 1 // saying the same once more
)

// guesser guesses passwords the way people make them.
type guesser struct {
	words map[string]int
	about []string
}

// bits returns the least work that finding the password takes, at most about enoughBits.
func (g guesser) bits(text []byte) int {
	least := g.repeated(text)
	backwards := slices.Clone(text)
	slices.Reverse(backwards)
	least = min(least, g.repeated(backwards)+repeatBits)
	if spread := withoutSeparator(text); spread != nil {
		least = min(least, g.repeated(spread)+otherBits+repeatBits)
	}
	return least
}

// repeated also tries what is the same again and again, with or without digits and signs around it.
func (g guesser) repeated(text []byte) int {
	least := g.pieces(text)
	if p := period(text); p < len(text) {
		least = min(least, g.pieces(text[:p])+repeatBits)
	}
	before, core, after := around(text)
	if p := period(core); p < len(core) {
		least = min(least, g.pieces(before)+g.pieces(core[:p])+repeatBits+g.pieces(after))
	}
	return least
}

// pieces cuts the text into the pieces that are the least work, all in all. Work over enoughBits is not followed.
func (g guesser) pieces(text []byte) int {
	n := len(text)
	work := slices.Repeat([]int{enoughBits}, n+1) // to reach each place
	work[0] = 0
	forms, runs := spellings(text), runsOf(text)
	for i := range n {
		reach := func(end, bits int) { work[end] = min(work[end], work[i]+bits) }
		if work[i] >= enoughBits {
			continue
		}
		reach(i+1, characterBits(text[i]))
		for end := i + shortestRun; end <= runs[i]; end++ {
			reach(end, runBits)
		}
		if year(text[i:]) {
			reach(i+4, yearBits)
		}
		for _, form := range forms {
			g.wordsAt(form, i, reach)
		}
	}
	return work[n]
}

func (g guesser) wordsAt(form []byte, i int, reach func(end, bits int)) {
	for _, w := range g.about {
		if bytes.HasPrefix(form[i:], []byte(w)) {
			reach(i+len(w), aboutBits)
		}
	}
	for end := i + 1; end <= len(form) && end <= i+longestWord && letterOrDigit(form[end-1]); end++ {
		if bits, ok := g.words[string(form[i:end])]; ok {
			reach(end, bits)
		}
	}
}
