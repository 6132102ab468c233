package grouping

import (
	"strings"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// Lengths in characters.
const (
	longestTitle   = 200
	longestCulprit = 500
)

// untitled is the title of an event that says nothing about itself.
const untitled = "(no message)"

// title returns one line for people: that of the rule which decided, if it has one, else "Type: value" for an
// exception, else the message.
func (p *parts) title(e *event.Event) string {
	t := ""
	if p.rule != nil && p.rule.Title != "" {
		t = firstLine(string(p.appendTemplate(nil, p.rule.Title, e, true)))
	}
	if t == "" {
		t = plainTitle(e)
	}
	if t == "" {
		return untitled
	}
	t, _ = event.Trim(t, longestTitle)
	return t
}

// plainTitle returns the title that the event itself gives.
func plainTitle(e *event.Event) string {
	t := firstLine(e.ExceptionValue)
	switch {
	case e.ExceptionType != "" && t != "":
		return firstLine(e.ExceptionType) + ": " + t
	case e.ExceptionType != "":
		return firstLine(e.ExceptionType)
	case e.Message != "":
		return firstLine(e.Message)
	}
	return t
}

// firstLine returns the first line of s that is not empty, without white space around it.
func firstLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return strings.TrimSpace(s[:i])
	}
	return s
}

// at returns where the event happened: the innermost in-app frame of the exception that was captured, its innermost
// frame if none is in-app, or nil.
func (p *parts) at() *frame {
	var at *frame
	if n := len(p.chain.entries); n > 0 {
		last := p.chain.entries[n-1]
		for i := last.from; i < last.to; i++ {
			if f := &p.chain.frames[i]; f.inApp || at == nil || !at.inApp {
				at = f
			}
		}
	}
	return at
}

// culprit returns where the event happened, else the transaction.
func (p *parts) culprit(transaction string) string {
	at := p.at()
	if at == nil {
		return transaction
	}
	place := at.module
	if place == nil {
		place = at.file
	}
	var buf [256]byte
	b := rawjson.AppendUnquoted(buf[:0], at.function)
	if len(b) > 0 && place != nil {
		b = append(b, " in "...)
	}
	if b = rawjson.AppendUnquoted(b, place); len(b) == 0 {
		return transaction
	}
	s, _ := event.Trim(string(b), longestCulprit)
	return s
}
