package account

import (
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/fault"
)

const (
	shortestPassword = 12  // characters
	longestPassword  = 256 // bytes
	fewCharacters    = 5   // a password of fewer different characters is a pattern
	// enoughBits is what guessing a password takes at least: one common word with a year and an exclamation mark
	// does not reach it, two words that have nothing to do with each other do.
	enoughBits = 26
)

// CheckPassword refuses, as a fault.Invalid with the code "weak_password" that says why, a password under 12 characters or
// over 256 bytes, one of the most common or a variation of one, and one that is little else than what is known of the
// user (about: name, address). It does not repeat the password.
func CheckPassword(password string, about ...string) error {
	switch {
	case !utf8.ValidString(password):
		return weak("the password is not valid UTF-8; type it again")
	case len(password) > longestPassword:
		return weak("the password has more than %d bytes; choose a shorter one", longestPassword)
	case utf8.RuneCountInString(password) < shortestPassword:
		return weak("the password has fewer than %d characters; choose a longer one, such as four words that have nothing to do with each other",
			shortestPassword)
	}
	text, distinct := read(password)
	if distinct < fewCharacters {
		return weak("the password repeats a few characters; choose one of more different characters")
	}
	words, err := commonWords()
	if err != nil {
		return err
	}
	switch {
	case guesser{words: words}.bits(text) < enoughBits:
		return weak("the password is a variation of common ones: words, names, years and runs of keys are guessed first; " +
			"choose another, such as four words that have nothing to do with each other")
	case guesser{words: words, about: wordsAbout(about)}.bits(text) < enoughBits:
		return weak("the password is little else than your name or address; choose one that nobody who knows you would guess")
	}
	return nil
}

func weak(format string, args ...any) error {
	return fault.New(fault.Invalid, format, args...).Named("weak_password")
}
