package account

import (
	"bytes"
	"slices"
	"strings"
)

const shortestRun = 3

// keyboard has rows and columns of the usual layouts.
const keyboard = "1234567890 qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm azertyuiop qsdfghjklm wxcvbn " +
	"1qaz 2wsx 3edc 4rfv 5tgb 6yhn 7ujm 8ik 9ol !@#$%^&*()"

// Digits and signs, and the letters that they stand for in "p4ssw0rd": a one may be an L or an I.
const (
	standIns      = "013457@$!"
	letters       = "oleastasi"
	lettersOneIsI = "oieastasi"
)

// spellings returns the text as it is and, where digits and signs may stand for letters, with these.
func spellings(text []byte) [][]byte {
	forms := [][]byte{text}
	for _, stoodFor := range []string{letters, lettersOneIsI} {
		form := slices.Clone(text)
		for i, c := range text {
			if k := strings.IndexByte(standIns, c); k >= 0 {
				form[i] = stoodFor[k]
			}
		}
		if !bytes.Equal(form, forms[len(forms)-1]) {
			forms = append(forms, form)
		}
	}
	return forms
}

// runsOf returns, for each place, where the longest run that starts there ends.
func runsOf(text []byte) []int {
	ends := make([]int, len(text))
	for _, follows := range []func(a, b byte) bool{
		func(a, b byte) bool { return a == b || a+1 == b && letterOrDigit(a) && letterOrDigit(b) },
		func(a, b byte) bool { return a == b || a == b+1 && letterOrDigit(a) && letterOrDigit(b) },
		isRightOf,
		func(a, b byte) bool { return isRightOf(b, a) },
	} {
		end := len(text)
		for i := len(text) - 1; i >= 0; i-- {
			if i+1 < len(text) && !follows(text[i], text[i+1]) {
				end = i + 1
			}
			ends[i] = max(ends[i], end)
		}
	}
	return ends
}

// isRightOf reports whether the key b is the next one after a in a row or a column.
func isRightOf(a, b byte) bool {
	return a != ' ' && b != ' ' && strings.Contains(keyboard, string([]byte{a, b}))
}

// period returns the length of what the text says again and again, at least twice; the last time may be cut short.
// Without such it is the length of the text.
func period(text []byte) int {
	n := len(text)
	border := make([]int, n+1) // of each prefix: the longest proper prefix that is its suffix as well
	for i, k := 1, 0; i < n; i++ {
		for k > 0 && text[i] != text[k] {
			k = border[k]
		}
		if text[i] == text[k] {
			k++
		}
		border[i+1] = k
	}
	if p := n - border[n]; p <= n/2 {
		return p
	}
	return n
}

// around cuts the text into what is before its first letter, up to its last letter, and after it.
func around(text []byte) (before, core, after []byte) {
	isLetter := func(c byte) bool { return letterOrDigit(c) && !digit(c) }
	from := max(slices.IndexFunc(text, isLetter), 0)
	to := len(text)
	for to > from && !isLetter(text[to-1]) {
		to--
	}
	return text[:from], text[from:to], text[to:]
}

// withoutSeparator returns the text without its signs if these are one sign, more than once: "p.a.s.s.w.o.r.d". It
// returns nil otherwise.
func withoutSeparator(text []byte) []byte {
	var bare []byte
	var separator byte
	for _, c := range text {
		switch {
		case letterOrDigit(c):
			bare = append(bare, c)
		case separator != 0 && separator != c:
			return nil
		default:
			separator = c
		}
	}
	if len(bare) > len(text)-2 {
		return nil
	}
	return bare
}

// year reports whether the text begins with a year that people write: one from 1930 to 2039.
func year(text []byte) bool {
	if len(text) < 4 || !digit(text[2]) || !digit(text[3]) {
		return false
	}
	century, decade := string(text[:2]), text[2]
	return century == "19" && decade >= '3' || century == "20" && decade <= '3'
}

func characterBits(c byte) int {
	if letterOrDigit(c) && !digit(c) {
		return letterBits
	}
	return otherBits
}
