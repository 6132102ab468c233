package notify

import (
	"embed"
	"fmt"
	html "html/template"
	"strings"
	plain "text/template"
	"unicode"
)

// kind is a kind of mail. Its texts are the files of that name.
type kind string

// The kinds.
const (
	verifyEmail     kind = "verify_email"
	accountExists   kind = "account_exists"
	changeEmail     kind = "change_email"
	passwordReset   kind = "password_reset"
	passwordChanged kind = "password_changed"
	emailChanged    kind = "email_changed"
	invitation      kind = "invitation"
	alertFired      kind = "alert_fired"
	alertResolved   kind = "alert_resolved"
	alertDigest     kind = "alert_digest"
	alertBudget     kind = "alert_budget"
	alertTest       kind = "alert_test"
)

//go:embed templates
var templates embed.FS

// text is a kind's texts: subject and body for those who read plain text, body for all others.
type text struct {
	plain *plain.Template
	html  *html.Template
}

// parseTexts reads the texts of all kinds.
func parseTexts() (map[kind]text, error) {
	out := map[kind]text{}
	for _, k := range []kind{
		verifyEmail, accountExists, changeEmail, passwordReset, passwordChanged, emailChanged, invitation,
		alertFired, alertResolved, alertDigest, alertBudget, alertTest,
	} {
		parts := []string{"templates/layout", "templates/" + string(k)}
		if strings.HasPrefix(string(k), "alert_") {
			parts = append(parts, "templates/alert_rows")
		}
		p, err := plain.ParseFS(templates, withEnd(parts, ".txt")...)
		if err != nil {
			return nil, fmt.Errorf("read the text of the mail %s: %w", k, err)
		}
		h, err := html.ParseFS(templates, withEnd(parts, ".html")...)
		if err != nil {
			return nil, fmt.Errorf("read the HTML of the mail %s: %w", k, err)
		}
		out[k] = text{plain: p.Option("missingkey=error"), html: h.Option("missingkey=error")}
	}
	return out, nil
}

func withEnd(names []string, end string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name + end
	}
	return out
}

// fill writes subject and bodies of a letter.
func (t text) fill(l *letter, about any) error {
	var subject, body, page strings.Builder
	if err := t.plain.ExecuteTemplate(&subject, "subject", about); err != nil {
		return fmt.Errorf("write the subject of the mail %s: %w", l.kind, err)
	}
	if err := t.plain.ExecuteTemplate(&body, "layout.txt", about); err != nil {
		return fmt.Errorf("write the text of the mail %s: %w", l.kind, err)
	}
	if err := t.html.ExecuteTemplate(&page, "layout.html", about); err != nil {
		return fmt.Errorf("write the HTML of the mail %s: %w", l.kind, err)
	}
	l.subject, l.text, l.html = oneLine(subject.String()), body.String(), page.String()
	return nil
}

// shownMost is how many characters of a name a mail shows.
const shownMost = 80

// shown makes a name, which anybody may have chosen, fit to stand in a sentence: one line, cut, and nothing that a mail
// program makes a link of. A mail of ours must not carry somebody else's.
func shown(name string) string {
	name = oneLine(unlinked(oneLine(name)))
	if r := []rune(name); len(r) > shownMost {
		name = string(r[:shownMost-1]) + "…"
	}
	return name
}

// unlinked takes addresses apart: "evil.example" becomes "evil. example". A space is the one thing that no program reads
// over; look-alikes of the characters are made the same by some.
func unlinked(name string) string {
	const dots, ats, colons = ".。．｡․", "@＠﹫", ":：﹕"
	var b strings.Builder
	for _, r := range name {
		switch {
		case strings.ContainsRune(ats, r):
			b.WriteString(" " + string(r) + " ")
		case strings.ContainsRune(dots+colons, r):
			b.WriteString(string(r) + " ")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// oneLine returns s as one line, without characters that cannot be seen and those that turn the direction of
// writing around.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector),
			r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
