package sentry

import (
	"bytes"
	"math/bits"
	"strings"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// moved is a value that goes to extra, since its own field cannot hold it.
type moved struct {
	name  string // of its field: plain ASCII
	value []byte
}

// move lets extra hold value under the name of its field, unless there is nothing in it: PHP sends [] for an empty
// object.
func (c *Converter) move(name string, value []byte) {
	if empty(value) {
		return
	}
	c.moved = append(c.moved, moved{name, value})
}

// extra writes the SDK's extra with everything that moved to it.
func (c *Converter) extra(raw []byte) {
	if raw != nil && rawjson.KindOf(raw) != rawjson.ObjectKind {
		c.move("extra", raw)
		raw = nil
	}
	if raw == nil {
		raw = []byte("{}")
	}
	if len(c.moved) == 0 {
		if len(raw) > len("{}") {
			c.field("extra", raw)
		}
		return
	}
	c.field("extra", raw[:len(raw)-1])
	for _, m := range c.moved {
		c.dst = append(appendKey(c.dst, freeName(raw, m.name)), m.value...)
	}
	c.dst = append(c.dst, '}')
}

// freeName returns name, with as many underscores after it as it takes for the object extra to have no member of
// that name: up to 64, which nobody but an attacker reaches.
func freeName(extra []byte, name string) string {
	var taken uint64 // bit n: name with n underscores
	for key := range rawjson.Object(extra) {
		tail, ok := bytes.CutPrefix(key, []byte(name))
		if ok && len(tail) < 64 && len(bytes.TrimLeft(tail, "_")) == 0 {
			taken |= 1 << len(tail)
		}
	}
	return name + strings.Repeat("_", bits.TrailingZeros64(^taken))
}
