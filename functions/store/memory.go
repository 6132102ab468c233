package store

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// rememberTags and rememberUsers are how many values of tags and how many users an instance remembers: 5 MB each.
	rememberTags  = 200_000
	rememberUsers = 200_000
	// rememberKeys is for how many tags of a fingerprint it counts the values, and for how many fingerprints
	// with very many users it knows whether there is room for more.
	rememberKeys = 50_000
	// rememberReleases is how many releases of projects it knows to be there.
	rememberReleases = 10_000
	// rememberRuleUsers is how many users whom alert rules count: 5 MB.
	rememberRuleUsers = 200_000
)

// memory is what an instance knows to be committed, so that it need not be written again: it saves work, and
// nothing is wrong without it or when other instances write too. It remembers by hashes of 64 bits with a seed
// that nobody knows; two that collide cost a tag's value one hour.
type memory struct {
	seed maphash.Seed

	mu       sync.Mutex
	tags     cache // value of a tag → the last hour that is written
	tried    cache // fingerprint and tag → the hour and how many values were written in it
	users    cache // fingerprint and user → the last hour that is written
	crowds   cache // fingerprint → the hour in which its users were counted, and whether they are enough
	releases cache // project and release → the last day that is written

	ruleUsers cache // rule, subject and user → the last minute that is written

	watches watchCache
}

func newMemory() *memory {
	return &memory{
		seed: maphash.MakeSeed(), tags: cache{most: rememberTags}, tried: cache{most: rememberKeys},
		users: cache{most: rememberUsers}, crowds: cache{most: rememberKeys}, releases: cache{most: rememberReleases},
		ruleUsers: cache{most: rememberRuleUsers},
	}
}

// hour is whole hours since the epoch.
type hour int64

func hourOf(t time.Time) hour { return hour(t.Unix() / int64(time.Hour/time.Second)) }

func (m *memory) hashID(id uuid.UUID) uint64 { return maphash.Bytes(m.seed, id[:]) }

func (m *memory) hashText(s string) uint64 { return maphash.String(m.seed, s) }

// join returns the hash of two things, in this order.
func join(a, b uint64) uint64 { return bits.RotateLeft64(a, 23) ^ b }

// cache is a map that holds at most so many entries. It forgets those that nobody asked for lately, half of
// them at a time.
type cache struct {
	most       int
	young, old map[uint64]int64
}

func (c *cache) get(key uint64) (int64, bool) {
	if value, ok := c.young[key]; ok {
		return value, true
	}
	value, ok := c.old[key]
	if ok {
		c.put(key, value)
	}
	return value, ok
}

func (c *cache) put(key uint64, value int64) {
	if c.young == nil {
		c.young, c.old = make(map[uint64]int64), make(map[uint64]int64)
	}
	if _, ok := c.young[key]; !ok && len(c.young) >= c.most/2 {
		c.young, c.old = c.old, c.young
		clear(c.young)
	}
	c.young[key] = value
}

// remember takes note of what a transaction wrote. It is called after the commit.
func (m *memory) remember(w work) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range w.tags {
		m.tags.put(t.hash, int64(t.hour))
		m.try(t.keyHash, t.hour)
	}
	for _, u := range w.users {
		m.users.put(u.key, int64(u.hour))
	}
	for _, r := range w.releases {
		m.releases.put(r.hash, dayNumber(r.Last))
	}
	for _, u := range w.ruleUsers {
		m.ruleUsers.put(u.key, int64(u.minute))
	}
}

// knows reports whether c holds key for h or a later hour.
func (c *cache) knows(key uint64, h hour) bool {
	written, ok := c.get(key)
	return ok && hour(written) >= h
}
