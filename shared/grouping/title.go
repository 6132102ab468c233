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

// title returns one line for people: "Type: value" for an exception, else the message.
func title(e *event.Event) string {
	t := firstLine(e.ExceptionValue)
	switch {
	case e.ExceptionType != "" && t != "":
		t = firstLine(e.ExceptionType) + ": " + t
	case e.ExceptionType != "":
		t = firstLine(e.ExceptionType)
	case e.Message != "":
		t = firstLine(e.Message)
	}
	if t == "" {
		return untitled
	}
	t, _ = event.Trim(t, longestTitle)
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

// culprit returns where the event happened: the innermost in-app frame of the exception that was captured
// (its innermost frame if none is in-app), else the transaction.
func (p *parts) culprit(transaction string) string {
	var at frame
	if n := len(p.chain.entries); n > 0 {
		last := p.chain.entries[n-1]
		for _, f := range p.chain.frames[last.from:last.to] {
			if f.inApp || !at.inApp {
				at = f
			}
		}
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
