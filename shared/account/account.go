// Package account is who people are and how they prove it: users and their passwords, the sessions they log in to,
// the tokens that their programs and the links in their mails carry, and how often all that may be tried.
//
// No secret is stored. Passwords are argon2id hashes; sessions and tokens are 178 bits or more of randomness, of which
// the SHA-256 is kept.
package account

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/fault"
)

// DB is what a query needs: a pool, a connection or a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const (
	userAgentMost = 400 // characters
	// Of IPv6: what one subscriber has at least, what providers give to a household, and what to a site.
	networkBitsV6, customerBitsV6, siteBitsV6 = 64, 56, 48
)

// Client is from where a request comes.
type Client struct {
	IP        netip.Addr
	UserAgent string // cut to 400 characters
}

// Network returns what throttling knows the client by: its IPv4 address, or the /64 of its IPv6 address, of which one
// subscriber has every address. Clients whose address is not known share 0.0.0.0/32.
func (c Client) Network() netip.Prefix { return c.wider(networkBitsV6) }

// wider returns the client's IPv4 address, or the prefix of so many bits of its IPv6 address.
func (c Client) wider(bitsV6 int) netip.Prefix {
	ip := c.address()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = bitsV6
	}
	return netip.PrefixFrom(ip, bits).Masked()
}

// address returns the client's address as Postgres takes it: IPv4 as such, without a zone, never none.
func (c Client) address() netip.Addr {
	if !c.IP.IsValid() {
		return netip.IPv4Unspecified()
	}
	return c.IP.Unmap().WithZone("")
}

// Agent returns what the client calls itself, cut, and with a replacement for each character that cannot be shown or
// stored, such as those that turn the direction of writing around.
func (c Client) Agent() string {
	var b strings.Builder
	n := 0
	for _, r := range c.UserAgent {
		if n++; n > userAgentMost {
			break
		}
		if !unicode.IsGraphic(r) || unseen(r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// checkText refuses a text that is too short or too long, in characters, or that a person could not read.
func checkText(what, text string, least, most int) error {
	switch n := utf8.RuneCountInString(text); {
	case n < least:
		return fault.New(fault.Invalid, "the %s is empty", what)
	case n > most:
		return fault.New(fault.Invalid, "the %s has %d characters; at most %d are allowed", what, n, most)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) || unseen(r) }):
		return fault.New(fault.Invalid, "the %s holds a character that cannot be shown", what)
	case strings.TrimSpace(text) != text:
		return fault.New(fault.Invalid, "the %s begins or ends with a space", what)
	case n > 0 && !strings.ContainsFunc(text, func(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) }):
		return fault.New(fault.Invalid, "the %s has no character that can be seen", what)
	}
	return nil
}

// unseen reports whether a character that counts as one that can be shown shows nothing: a name of such looks like none, or
// like another one.
func unseen(r rune) bool {
	const blankBraille = '\u2800'
	return r == blankBraille || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// storable reports whether Postgres takes a text at all; one that it does not take equals none that is stored.
func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// violates reports whether the server refused a row for a constraint.
func violates(err error, constraint string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.ConstraintName == constraint
}
