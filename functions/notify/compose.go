package notify

import (
	"fmt"
	"net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/mesherhq/mesher/shared/fault"
)

// compose makes a message of a letter. Every try to deliver a notification gives it the same Message-ID, by which
// mailboxes recognise a mail that came twice. An address that cannot be written to is a fault.Invalid.
func compose(l letter, from *mail.Address, now time.Time) (*gomail.Msg, error) {
	to, err := mail.ParseAddress(l.to)
	if err != nil || to.Name != "" || to.Address != l.to {
		return nil, fault.New(fault.Invalid, "the recipient is not a mail address")
	}
	_, host, _ := cutLast(from.Address, "@")
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(from)
	m.ToMailAddress(to)
	m.Subject(l.subject)
	m.SetDateWithValue(now)
	m.SetMessageIDWithValue(l.id.String() + "@" + host)
	// Keeps out-of-office replies away (RFC 3834).
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(gomail.TypeTextPlain, l.text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.html)
	return m, nil
}

// cutLast cuts s around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// bytesOf returns the message as it goes over the wire.
func bytesOf(m *gomail.Msg) ([]byte, error) {
	var b strings.Builder
	if _, err := m.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("encode a mail: %w", err)
	}
	return []byte(b.String()), nil
}
