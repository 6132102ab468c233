// Package scrub takes personal data and secrets out of an event before it is grouped and stored.
//
// Three kinds of rules find them. A key names a secret: what it holds is replaced as a whole, be it a text, a
// number, an object or an array. A text holds something that looks like a secret, such as a card number, a token
// of a known shape, or password=…: that part is replaced. A text that is JSON is searched by its keys first. A path
// names what its owner never wants: it is removed.
// The replacement is always [Filtered]. Keys stay, JSON stays clean, and scrubbing twice is scrubbing once.
//
// What events are grouped by is left alone: the types of exceptions, and the functions, modules and files of
// frames, apart from the user information and secret parameters of URLs in them. So are ids, the release, the
// environment and the platform. A JSON number is only ever replaced because of its key: as a card number it would
// be a string. Under a key that ends in the word id, a string of nothing but digits is no card number either.
package scrub

import "regexp"

// Rules say what is scrubbed from the events of a project. The zero value scrubs nothing.
type Rules struct {
	Defaults      bool     `json:"defaults"`                 // the built-in rules for secrets, card and social security numbers
	Emails        bool     `json:"emails,omitempty"`         // e-mail addresses in texts, and what keys such as email hold
	IPs           bool     `json:"ips,omitempty"`            // IP addresses in texts, and what keys such as ip_address hold
	SafeKeys      []string `json:"safe_keys,omitempty"`      // nothing under these keys is scrubbed; * at the ends stands for any text
	ExtraKeys     []string `json:"extra_keys,omitempty"`     // more keys of secrets, whatever their case; * as in SafeKeys
	ExtraPatterns []string `json:"extra_patterns,omitempty"` // regular expressions (RE2); what matches is replaced in every text
	Remove        []string `json:"remove,omitempty"`         // paths of what is removed, such as request.cookies or extra.*.token
}

// DefaultRules are the rules of a project that set none.
func DefaultRules() Rules { return Rules{Defaults: true} }

// Policy is Rules, checked and compiled. It never changes, so any number of Scrubbers share it.
type Policy struct {
	defaults, emails, ips bool
	safe, extra           []glob
	patterns              []*regexp.Regexp
	remove                []string // in lower case
	shown                 []string // the same as their owner wrote them
}

// idle reports whether there is nothing to do.
func (p *Policy) idle() bool {
	return !p.defaults && !p.emails && !p.ips && len(p.extra)+len(p.patterns)+len(p.remove) == 0
}

// Filtered is what stands in place of what was scrubbed.
const Filtered = "[Filtered]"

// quoted is Filtered as JSON.
const quoted = `"` + Filtered + `"`

// rule is why something was scrubbed, for Meta.
type rule uint8

const (
	byKey rule = iota
	byExtraKey
	byPair
	byURL
	byAuthorization
	byCard
	bySSN
	byJWT
	byPrivateKey
	byToken
	byEmail
	byIP
	byPattern
	byPath
)

// ruleNames are the rules as Meta calls them.
var ruleNames = [...]string{
	"key", "extra_key", "pair", "url", "authorization", "card", "ssn", "jwt", "private_key", "token", "email",
	"ip", "pattern", "remove",
}
