package notify

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Limits of Slack, in characters.
const (
	slackHeaderMost = 150
	slackBlockMost  = 3000
)

// slackBlock is a block of Block Kit. What others wrote stands in text of type plain_text, of which Slack makes neither links,
// mentions nor bold letters.
type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackText struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	Emoji *bool  `json:"emoji,omitempty"` // of plain_text: whether :names: become pictures
}

func slackPlain(text string, most int) slackText {
	return slackText{Type: "plain_text", Text: escaped(text, most, slackControl), Emoji: new(bool)}
}

// slackControl escapes the characters that Slack reads in every text.
func slackControl(r rune) string {
	switch r {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	}
	return string(r)
}

// escaped returns a text with its characters escaped, cut to so many characters, never within an escape.
func escaped(s string, most int, escape func(rune) string) string {
	var out []rune
	for _, r := range s {
		next := []rune(escape(r))
		if len(out)+len(next) > most-1 {
			return string(out) + "…"
		}
		out = append(out, next...)
	}
	return string(out)
}

// slackBody returns a message as an incoming webhook of Slack takes it. Receivers that know no blocks, such as Mattermost, show
// its text.
func slackBody(m message) ([]byte, error) {
	body := m.lines()
	if len(m.heading()) >= slackHeaderMost {
		body = append([]string{m.Title}, body...) // the header may be cut
	}
	header, lines := slackPlain(m.heading(), slackHeaderMost), slackPlain(strings.Join(body, "\n"), slackBlockMost)
	blocks := []slackBlock{{Type: "header", Text: &header}, {Type: "section", Text: &lines}}
	link := ""
	if m.Link != "" {
		link = "<" + slackEscape.Replace(m.Link) + "|Open in Mesher>"
		blocks = append(blocks, slackBlock{Type: "context", Elements: []slackText{{Type: "mrkdwn", Text: link}}})
	}
	text := escaped(strings.Join(append([]string{m.heading()}, m.lines()...), "\n"), slackBlockMost-runes(link)-1, inert)
	return encode(map[string]any{
		"text": strings.TrimSpace(text + "\n" + link), "blocks": blocks, "unfurl_links": false, "unfurl_media": false,
	})
}

// slackEscape is what Slack asks for in text with mentions and links, and what would end a link.
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "%7C")

// inert escapes a character so that no receiver makes bold letters, links, mentions or pictures of the text: what could begin
// one is parted from what follows by a space that is not seen.
func inert(r rune) string {
	const parting = "\u200b"
	if strings.ContainsRune("<*_~`[](@#!:|\\", r) {
		return slackControl(r) + parting
	}
	return slackControl(r)
}

// heading returns the first line of a message.
func (m message) heading() string {
	if m.Event == "test" || m.Event == "budget" {
		return m.Title
	}
	return "[" + m.Level + "] " + m.Title
}

// lines returns what follows the first line.
func (m message) lines() []string {
	var out []string
	if m.Text != "" {
		out = append(out, m.Text)
	}
	for _, i := range m.Items {
		out = append(out, fmt.Sprintf("• [%s] %s", i.Level, i.Title))
	}
	for _, f := range m.Facts {
		out = append(out, f.Name+": "+f.Value)
	}
	return out
}

// cutTo cuts a text to so many characters.
func cutTo(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// encode returns v as JSON, with the characters that HTML knows as they are.
func encode(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode a message: %w", err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
