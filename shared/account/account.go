// Package account is who people are and how they prove it: users and their passwords, the sessions they log in to,
// the tokens that their programs and the links in their mails carry, and how often all that may be tried.
//
// No secret is stored. Passwords are argon2id hashes; sessions and tokens are 178 bits or more of randomness, of which
// the SHA-256 is kept.
package account

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/label"
	"github.com/mesherhq/mesher/shared/postgres"
)

// DB is what a query needs: a pool, a connection or a transaction.
type DB = postgres.DB

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
		if !label.Shown(r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// storable reports whether Postgres takes a text at all; one that it does not take equals none that is stored.
func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// violates reports whether the server refused a row for a constraint.
func violates(err error, constraint string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.ConstraintName == constraint
}
