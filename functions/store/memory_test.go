package store

import (
	"testing"

	"github.com/google/uuid"
)

func TestCache(t *testing.T) {
	t.Parallel()
	const most = 1000
	c := cache{most: most}
	if _, ok := c.get(1); ok {
		t.Error("an empty cache holds 1")
	}
	for i := range uint64(10 * most) {
		c.put(i, int64(i))
		c.put(i, int64(i)+1) // no other entry
		if _, ok := c.get(0); !ok {
			t.Fatalf("what is asked for all the time is forgotten after %d others", i)
		}
		if got := c.len(); got > most {
			t.Fatalf("entries = %d, want at most %d", got, most)
		}
	}
	if got, ok := c.get(10*most - 1); got != 10*most || !ok {
		t.Errorf("the newest entry = %d, %t; want %d", got, ok, 10*most)
	}
	if got, ok := c.get(10*most - most/2); got == 0 || !ok {
		t.Errorf("one of the newest half = %d, %t; want it there", got, ok)
	}
	if _, ok := c.get(1); ok {
		t.Error("the oldest entry is there, want it forgotten")
	}
}

// However much is written, an instance remembers so much and no more.
func TestMemory_IsBounded(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for range 5 {
		var w work
		for range rememberTags {
			id := uuid.New()
			h := m.hashID(id)
			w.tags = append(w.tags, tagValue{hour: 1, hash: h, keyHash: h + 1})
			w.users = append(w.users, userValue{hour: 1, key: h})
			w.releases = append(w.releases, release{hash: h})
		}
		m.remember(w)
		m.counted(uuid.New(), 1, 0)
	}
	for _, c := range []*cache{&m.tags, &m.tried, &m.users, &m.crowds, &m.releases} {
		if c.len() > c.most || c.most == 0 {
			t.Errorf("entries = %d, want at most %d", c.len(), c.most)
		}
	}
}

func TestMemory_CountsValues(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for range tagValuesMost - 1 {
		m.try(1, 10)
	}
	if m.full(1, 10) {
		t.Error("full with one value less than there is room for")
	}
	for range 2000 { // the count must not run over into the hour
		m.try(1, 10)
	}
	if !m.full(1, 10) || !m.full(1, 9) || m.full(1, 11) || m.full(2, 10) {
		t.Errorf("full = %t, before %t, after %t, another %t; want true, true, false, false",
			m.full(1, 10), m.full(1, 9), m.full(1, 11), m.full(2, 10))
	}
	m.try(1, 11)
	if m.full(1, 11) {
		t.Error("full in the next hour after one value")
	}
}

func (c *cache) len() int { return len(c.young) + len(c.old) }
