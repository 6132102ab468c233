package notify

import (
	"strings"
	"time"
)

// Limits of Discord, in characters: of one embed's parts, and of all of them together.
const (
	discordTitleMost = 256
	discordTextMost  = 4096
	discordNameMost  = 256
	discordValueMost = 1024
	discordAllMost   = 6000
	discordFieldMost = 25
)

var discordColours = map[string]int{"critical": 0xd32f2f, "warning": 0xf9a825, "info": 0x1976d2, "resolved": 0x388e3c}

type discordEmbed struct {
	Title       string         `json:"title"`
	Description string         `json:"description,omitempty"`
	URL         string         `json:"url,omitempty"`
	Color       int            `json:"color"`
	Timestamp   string         `json:"timestamp,omitempty"`
	Fields      []discordField `json:"fields,omitempty"`
}

type discordField struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Inline bool   `json:"inline"`
}

// discordBody returns a message as a webhook of Discord takes it: one embed, which mentions nobody.
func discordBody(m message) ([]byte, error) {
	var lines []string
	if m.Text != "" {
		lines = append(lines, m.Text)
	}
	for _, i := range m.Items {
		lines = append(lines, "• ["+i.Level+"] "+i.Title)
	}
	e := discordEmbed{
		Title: tame(m.heading(), discordTitleMost), Description: tame(strings.Join(lines, "\n"), discordTextMost),
		URL: m.Link, Color: discordColours[m.Level],
	}
	if !m.At.IsZero() {
		e.Timestamp = m.At.UTC().Format(time.RFC3339)
	}
	left := discordAllMost - runes(e.Title) - runes(e.Description)
	for _, f := range m.Facts {
		field := discordField{Name: tame(f.Name, discordNameMost), Value: tame(f.Value, discordValueMost), Inline: runes(f.Value) < 40}
		if left -= runes(field.Name) + runes(field.Value); left < 0 || len(e.Fields) == discordFieldMost {
			break
		}
		e.Fields = append(e.Fields, field)
	}
	return encode(map[string]any{
		"username": "Mesher", "embeds": []discordEmbed{e}, "allowed_mentions": map[string]any{"parse": []string{}},
	})
}

func runes(s string) int { return len([]rune(s)) }

// tame escapes what Discord makes bold letters, links and mentions of, and cuts the result to so many characters.
func tame(s string, most int) string {
	return escaped(s, most, func(r rune) string {
		switch {
		case strings.ContainsRune("\\*_~`|>[]()#-<:", r):
			return `\` + string(r)
		case r == '@':
			return "@\u200b"
		}
		return string(r)
	})
}
