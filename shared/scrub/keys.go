package scrub

import (
	"bytes"
	"encoding/binary"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// verdict is what a key says about its value, as bits. None is nothing.
type verdict uint8

const (
	secretKey  verdict = 1 << iota // the value is replaced
	extraKey                       // because the project says so
	countKey                       // but a number under it is a count
	safeKey                        // nothing under it is scrubbed
	idKey                          // its last word is id: digits are no card number
	cookieKey                      // holds a list of names and values
	addressKey                     // holds an e-mail or IP address that is scrubbed
	signedKey                      // holds a signature if it is a parameter of a URL
)

// keyCache remembers the verdicts on keys, of which a project sends few and each often.
type keyCache [512]struct {
	verdict verdict
	size    uint8
	key     [30]byte
}

// keyVerdict returns the verdict on a key as it stands between its quotes.
func (s *Scrubber) keyVerdict(key []byte) verdict {
	if len(key) == 0 || len(key) > len(s.cache[0].key) {
		return s.judge(key)
	}
	var h uint64
	if len(key) >= 8 {
		h = binary.LittleEndian.Uint64(key) ^ binary.LittleEndian.Uint64(key[len(key)-8:])*3
	} else {
		for _, b := range key {
			h = h<<8 | uint64(b)
		}
	}
	h = (h + uint64(len(key))) * 0x9e3779b97f4a7c15
	slot := &s.cache[h>>55]
	if int(slot.size) == len(key) && string(slot.key[:slot.size]) == string(key) {
		return slot.verdict
	}
	v := s.judge(key)
	slot.verdict, slot.size = v, uint8(copy(slot.key[:], key))
	return v
}

// judge works the verdict on a key out. It is linear in the length of the key.
func (s *Scrubber) judge(key []byte) verdict {
	if bytes.IndexByte(key, '\\') >= 0 {
		s.name = rawjson.AppendUnquoted(s.name[:0], key)
		key = s.name
	}
	v := s.judgeWords(key)
	if len(s.policy.safe)+len(s.policy.extra) == 0 {
		return v
	}
	lower := asciiLower(string(key))
	for i := range s.policy.safe {
		if s.policy.safe[i].matches(lower) {
			return safeKey
		}
	}
	for i := range s.policy.extra {
		if s.policy.extra[i].matches(lower) {
			return v&^countKey | secretKey | extraKey
		}
	}
	return v
}

// judgeWords judges a key by its words.
func (s *Scrubber) judgeWords(key []byte) verdict {
	var j judgement
	var bufs [2][longestWord]byte // for a word and the one before it, in lower case
	var previous []byte
	for i, n := 0, 0; i < len(key); n++ {
		from, to := nextWord(key, i)
		if from == to {
			break
		}
		var word []byte // too long to mean anything
		if to-from <= longestWord {
			word = bufs[n%2][:copy(bufs[n%2][:], key[from:to])]
			lower(word)
		}
		j.add(word, previous)
		previous, i = word, to
	}
	var v verdict
	if s.policy.defaults {
		v = j.verdict()
	}
	if s.policy.emails && j.email || s.policy.ips && j.ip {
		v |= addressKey
	}
	return v
}

// longestWord is how long the words are that mean something.
const longestWord = 20

// judgement is what is known of a key after some of its words.
type judgement struct {
	strong, plural bool // a word or phrase that names a secret was seen
	tail           bool // so was one that does at the end, and only carriers since
	measure        bool // the first word is a measure
	cookie, signed bool
	email, ip      bool // the key ends like that of an address
	words          int
	last           wordClass
	id             bool // the last word is id
}

func (j *judgement) add(text, before []byte) {
	class, word, previous := classOf(text), string(text), string(before)
	switch {
	case class == strong || class == strongs || isPhrase(before, text):
		j.strong = true
		j.plural = j.plural || class == strongs
		j.cookie = j.cookie || word == "cookie" || word == "cookies" || word == "setcookie"
		class = strong
	case class == tail || class == tails:
		j.tail = true
		j.plural = j.plural || class == tails
	case class == carrier:
	default:
		j.tail = false
	}
	if j.words == 0 {
		j.measure = class == measures
	}
	j.email = word == "email" || word == "emails" || word == "mail" && previous == "e" || j.email && word == "address"
	j.ip = word == "ip" || word == "ips" || word == "ipaddress" || j.ip && (word == "address" || word == "addr") ||
		word == "addr" && previous == "remote"
	j.signed = word == "sig" || word == "signature"
	j.id = word == "id" || word == "ids"
	j.last = class
	j.words++
}

func (j *judgement) verdict() (v verdict) {
	if j.strong && j.last != describes || j.tail {
		v = secretKey
	}
	if v != 0 && (j.plural || j.measure) {
		v |= countKey
	}
	if v != 0 && j.cookie {
		v |= cookieKey
	}
	if j.id {
		v |= idKey
	}
	if j.signed {
		v |= signedKey
	}
	return v
}

// nextWord returns where the next word of key begins and ends: letters of one case, or a capital and small
// letters. What is no letter divides words, and so does an escape of a URL such as %5B.
func nextWord(key []byte, i int) (from, to int) {
	for i < len(key) && !isLetter(key[i]) {
		if key[i] == '%' && i+2 < len(key) && isHex(key[i+1]) && isHex(key[i+2]) {
			i += 2
		}
		i++
	}
	from = i
	for i < len(key) && isUpper(key[i]) {
		i++
	}
	if i > from+1 {
		if i < len(key) && isLetter(key[i]) {
			i-- // the capital that the next word begins with
		}
		return from, i
	}
	for i < len(key) && isLetter(key[i]) && !isUpper(key[i]) {
		i++
	}
	return from, i
}

// lower lowers the capitals of ASCII in place.
func lower(b []byte) {
	for i, c := range b {
		if isUpper(c) {
			b[i] = c | 0x20
		}
	}
}
