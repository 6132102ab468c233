package outbound

import (
	"net/textproto"
	"slices"
	"strings"
)

// Limits of the headers of a request.
const (
	headerNameMost  = 100
	headerValueMost = 8 << 10
)

// refusedHeaders say something of the connection or the message, which the transport says itself, or make a metadata server
// answer.
var refusedHeaders = []string{
	"Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Http2-Settings", "Metadata", "Metadata-Flavor", "X-Google-Metadata-Request",
}

// refusedPrefixes are those of headers of which none is sent.
var refusedPrefixes = []string{"Proxy-", "X-Aws-Ec2-Metadata-"}

// CheckHeader refuses a header that must not be sent, by its name, or because it is none. The error has code CodeHeader and
// does not repeat the value, which may be secret.
func CheckHeader(name, value string) error {
	switch {
	case name == "" || len(name) > headerNameMost || strings.ContainsFunc(name, notInToken):
		return refuse(CodeHeader, "the header %.100q is refused: a name has 1 to %d letters, digits and hyphens", name, headerNameMost)
	case len(value) > headerValueMost:
		return refuse(CodeHeader, "the value of the header %s is refused: it has %d bytes, expected at most %d", name, len(value), headerValueMost)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return refuse(CodeHeader, "the value of the header %s is refused: it holds a line break or another control character", name)
	}
	key := textproto.CanonicalMIMEHeaderKey(name)
	begins := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
	if slices.Contains(refusedHeaders, key) || slices.ContainsFunc(refusedPrefixes, begins) {
		return refuse(CodeHeader, "the header %s is refused: requests to addresses that users choose are sent without it", key)
	}
	return nil
}

// notInToken reports what the name of a header cannot hold (RFC 9110, section 5.6.2).
func notInToken(r rune) bool {
	return notInName(r) && !strings.ContainsRune("!#$%&'*+.^`|~", r)
}
