package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/alert"
)

const (
	titleMost = 300 // characters of a title
	valueMost = 300 // of a fact
	factsMost = 8   // facts of a snapshot that are shown
)

// message is a story in words, for people, as all kinds of channels tell it. Nothing in it is escaped: titles and facts come
// from whoever caused the alert.
type message struct {
	Level string // critical, warning, info, or resolved
	Title string
	Text  string // a sentence; may be empty
	Facts []fact
	Items []item // alerts of a digest
	Link  string // empty: none
	At    time.Time
	Event string // that of the story
}

type fact struct{ Name, Value string }

type item struct{ Level, Title, Link string }

// words puts a story into words.
func (l links) words(s alert.Story) message {
	m := message{Event: s.Event, At: s.CreatedAt}
	switch {
	case s.Alert != nil:
		l.aboutAlert(&m, s)
	case s.Digest != nil:
		l.aboutDigest(&m, s)
	case s.Budget != nil:
		m.Level, m.Title = "warning", fmt.Sprintf("The channel %q is over its budget", s.Channel.Name)
		m.Text = fmt.Sprintf("It was told %d times within an hour, which is its hourly budget. What is more comes in one message at %s.",
			s.Budget.Budget, moment(s.Budget.Until))
	default:
		m.Level, m.Title = "info", fmt.Sprintf("This is a test of the channel %q", s.Channel.Name)
		m.Text = "Alerts of the rules that use it will arrive here."
	}
	m.Title = short(m.Title, titleMost)
	where := s.Organization.Name
	if s.Project != nil && s.Project.Name != "" {
		where = s.Project.Name + ", " + where
	}
	m.Facts = append(m.Facts, fact{"Project", short(where, valueMost)})
	if s.Project == nil {
		m.Facts[len(m.Facts)-1].Name = "Organization"
	}
	return m
}

func (l links) aboutAlert(m *message, s alert.Story) {
	t := s.Alert
	m.Title, m.Level, m.At, m.Link = t.Title, t.Severity, t.StartedAt, l.alertLink(*t)
	m.Facts = append(m.Facts, fact{"Rule", short(s.Rule.Name, valueMost)}, fact{"Severity", t.Severity}, fact{"Since", moment(t.StartedAt)})
	if s.Event == "resolved" || s.Combined {
		m.Event, m.Level = "resolved", "resolved"
		m.At = t.ResolvedAt
		m.Facts = append(m.Facts, fact{"Resolved", moment(t.ResolvedAt) + ", after " + span(t.ResolvedAt.Sub(t.StartedAt))})
		if t.ResolvedWhy != "" {
			m.Facts = append(m.Facts, fact{"Why", short(t.ResolvedWhy, valueMost)})
		}
		if s.Combined {
			m.Text = "It fired and was resolved before this could be told."
		}
		return
	}
	m.Facts = append(m.Facts, snapshot(t.Snapshot)...)
}

func (l links) aboutDigest(m *message, s alert.Story) {
	d := s.Digest
	of := "of several rules"
	if s.Rule != nil {
		of = fmt.Sprintf("of %q", s.Rule.Name)
	}
	m.Level, m.At = d.Severity, d.Until
	switch {
	case s.Event == "digest_resolved":
		m.Title, m.Level = fmt.Sprintf("All %d alerts %s are resolved", d.Fired, of), "resolved"
		return
	case d.Fired == 0:
		m.Title, m.Level = fmt.Sprintf("%s %s resolved", count(d.Resolved, "alert"), of), "resolved"
	default:
		within := "within a minute"
		if took := d.Until.Sub(d.Since); took >= time.Minute {
			within = "in " + span(took)
		}
		m.Title = fmt.Sprintf("+%d more alerts %s %s", d.Fired, of, within)
		if closed := d.Fired - d.Open; closed > 0 {
			m.Text = fmt.Sprintf("%d of them are resolved already. ", closed)
		}
		if d.Resolved > 0 {
			m.Text += fmt.Sprintf("Besides, it is told here that %s resolved.", is(d.Resolved))
		}
		m.Text = strings.TrimSpace(m.Text)
	}
	for _, t := range d.Alerts {
		m.Items = append(m.Items, item{Level: t.Severity, Title: short(t.Title, titleMost), Link: l.alertLink(t)})
	}
	if more := max(d.Fired, d.Resolved) - len(d.Alerts); more > 0 && len(d.Alerts) > 0 {
		m.Facts = append(m.Facts, fact{"Not shown", fmt.Sprintf("%d more", more)})
	}
}

func is(n int) string {
	if n == 1 {
		return "one alert is"
	}
	return fmt.Sprintf("%d alerts are", n)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// snapshot returns the facts of a snapshot that are numbers, texts or truths.
func snapshot(raw json.RawMessage) []fact {
	known := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&known) != nil {
		return nil
	}
	var out []fact
	for _, name := range slices.Sorted(maps.Keys(known)) {
		var value string
		switch v := known[name].(type) {
		case string:
			value = v
		case json.Number, bool:
			value = fmt.Sprint(v)
		}
		if value = short(value, valueMost); value != "" && len(out) < factsMost {
			out = append(out, fact{short(strings.ReplaceAll(name, "_", " "), titleMost), value})
		}
	}
	return out
}

// short returns a text as one line of so many characters at most.
func short(s string, most int) string {
	r := []rune(oneLine(s))
	if len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return string(r)
}

// span shows how long something lasts, in its two largest units.
func span(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	}
	return fmt.Sprintf("%d s", max(d, 0)/time.Second)
}
