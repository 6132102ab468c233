package store

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// issueCount is what a batch adds to one fingerprint.
type issueCount struct {
	Fingerprint uuid.UUID   `json:"fingerprint"`
	IssueID     uuid.UUID   `json:"issue_id"` // for the case that the fingerprint is new
	Events      int         `json:"events"`
	First       time.Time   `json:"first_seen"`
	Last        time.Time   `json:"last_seen"`
	ActiveHour  time.Time   `json:"active_hour"`
	Level       event.Level `json:"level"`
	LastRelease string      `json:"last_release,omitempty"`
	Title       string      `json:"title"`
	Culprit     string      `json:"culprit"`

	opening
	released time.Time // when LastRelease was received
}

// opening is what an issue is opened with besides, from its first event. It is set for a fingerprint that is new.
type opening struct {
	ExceptionType  string `json:"exception_type,omitempty"`
	ExceptionValue string `json:"exception_value,omitempty"`
	Message        string `json:"message,omitempty"`
	Platform       string `json:"platform,omitempty"`
	FirstRelease   string `json:"first_release,omitempty"`
}

// hourCount is what a batch adds to one fingerprint in one hour.
type hourCount struct {
	fingerprint uuid.UUID
	hour        hour
	events      int
}

// levelCount is what a batch adds to one level of the project in one hour.
type levelCount struct {
	hour   hour
	level  int // as in levels
	events int
}

// levels are the levels in the order in which their names would be sorted.
const levels = "debug,error,fatal,info,warning"

func levelNumber(l event.Level) int {
	switch l {
	case event.Debug:
		return 1
	case event.Error:
		return 2
	case event.Fatal:
		return 3
	case event.Info:
		return 4
	}
	return 5
}

// sums is what a batch adds up to, sorted, so that every writer touches rows in one order.
type sums struct {
	issues []issueCount
	hours  []hourCount
	levels []levelCount
}

// tally sums rows by fingerprint, hour and level.
func tally(rows []row, found look) (sums, error) {
	type slot struct {
		fingerprint uuid.UUID
		hour        hour
	}
	type grade struct {
		hour  hour
		level int
	}
	var (
		s       sums
		issueAt = make(map[uuid.UUID]int)
		hourAt  = make(map[slot]int)
		levelAt = make(map[grade]int)
	)
	for i := range rows {
		r := &rows[i]
		n, ok := issueAt[r.fingerprint]
		if !ok {
			n = len(s.issues)
			issueAt[r.fingerprint] = n
			c, err := newIssueCount(r, found.of(r.fingerprint).unbound)
			if err != nil {
				return sums{}, err
			}
			s.issues = append(s.issues, c)
		}
		s.issues[n].add(r)
		h := hourOf(r.receivedAt)
		s.hours[place(hourAt, slot{r.fingerprint, h}, &s.hours, hourCount{r.fingerprint, h, 0})].events++
		g := grade{h, levelNumber(r.level)}
		s.levels[place(levelAt, g, &s.levels, levelCount{g.hour, g.level, 0})].events++
	}
	for i := range s.issues {
		s.issues[i].ActiveHour = s.issues[i].Last.Truncate(time.Hour)
	}
	slices.SortFunc(s.issues, func(a, b issueCount) int { return bytes.Compare(a.Fingerprint[:], b.Fingerprint[:]) })
	slices.SortFunc(s.hours, func(a, b hourCount) int {
		return cmp.Or(bytes.Compare(a.fingerprint[:], b.fingerprint[:]), cmp.Compare(a.hour, b.hour))
	})
	slices.SortFunc(s.levels, func(a, b levelCount) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.level, b.level))
	})
	return s, nil
}

// place returns where the counter of key is, which it appends to counters if there is none.
func place[K comparable, C any](at map[K]int, key K, counters *[]C, counter C) int {
	n, ok := at[key]
	if !ok {
		n = len(*counters)
		at[key] = n
		*counters = append(*counters, counter)
	}
	return n
}

// newIssueCount returns the counter that r is the first event of, still without counting it.
func newIssueCount(r *row, unbound bool) (issueCount, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return issueCount{}, fmt.Errorf("make an issue id: %w", err)
	}
	c := issueCount{
		Fingerprint: r.fingerprint, IssueID: id, First: r.receivedAt, Last: r.receivedAt,
		Level: r.level, Title: r.title, Culprit: r.culprit,
	}
	if !unbound {
		return c, nil
	}
	// Rows do not carry what is needed once in the life of an issue.
	var e event.Event
	if err := event.DecodeLine(r.line, &e); err != nil {
		return issueCount{}, fmt.Errorf("read an event again: %w", err)
	}
	c.opening = opening{e.ExceptionType, e.ExceptionValue, e.Message, e.Platform, e.Release}
	return c, nil
}

// add counts r.
func (c *issueCount) add(r *row) {
	c.Events++
	if r.receivedAt.Before(c.First) {
		c.First = r.receivedAt
	}
	if !r.receivedAt.Before(c.Last) {
		c.Last, c.Level = r.receivedAt, r.level
	}
	if r.release != "" && !r.receivedAt.Before(c.released) {
		c.released, c.LastRelease = r.receivedAt, r.release
	}
}
