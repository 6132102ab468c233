package monitor

import "strings"

// Slug returns what check-ins call a monitor as it is looked up by: lower-case letters, digits, - and _, at most 50; other
// characters become -. It is empty when nothing is left.
func Slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(s)) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			b.WriteRune(r)
		} else if text := b.String(); text != "" && text[len(text)-1] != '-' {
			b.WriteByte('-')
		}
	}
	out := b.String()
	return strings.Trim(out[:min(len(out), slugMost)], "-")
}
