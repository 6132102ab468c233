package check

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/outbound"
)

var (
	errTooMuch   = errors.New("the database sent too much")
	errRounds    = errors.New("the database asks for too many rounds of hashing")
	errHandshake = errors.New("no encryption could be agreed on")
	errSecond    = errors.New("a look makes one connection, and cancels nothing: the query ends by itself")
)

// wire is the one connection of a look at a database. It bounds what is read of it, and hands out no second one.
type wire struct {
	guard  *outbound.Guard
	secure bool // encryption is asked for
	mu     sync.Mutex
	conn   net.Conn
	plain  bool          // the server wants no encryption
	took   time.Duration // the handshake
	err    error
}

// lookup leaves names to the guard.
func (*wire) lookup(_ context.Context, host string) ([]string, error) { return []string{host}, nil }

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		return nil, errSecond
	}
	conn, err := w.guard.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.conn = conn
	return &metered{Conn: conn, wire: w, left: postgresMost}, nil
}

// inspect agrees on the encryption, if there is one, and reads along from then on.
func (w *wire) inspect(ctx context.Context, _ *pgconn.Config, conn net.Conn) (net.Conn, error) {
	if secure, ok := conn.(*tls.Conn); ok {
		began := time.Now()
		err := secure.HandshakeContext(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.took = time.Since(began); err != nil {
			w.err = errHandshake
			return conn, err
		}
	}
	return &inspected{Conn: conn, wire: w}, nil
}

func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

func (w *wire) fail(err error) error { w.mu.Lock(); defer w.mu.Unlock(); w.err = err; return err }

func (w *wire) failure() error { w.mu.Lock(); defer w.mu.Unlock(); return w.err }

func (w *wire) handshake() time.Duration { w.mu.Lock(); defer w.mu.Unlock(); return w.took }

func (w *wire) plainOnly() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.plain }

// metered fails when more was read than may be.
type metered struct {
	net.Conn
	wire *wire
	left int
	met  bool // something was read
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if n > 0 && !m.met {
		m.met = true
		if m.wire.secure && p[0] == 'N' { // the answer to the wish for encryption
			m.wire.mu.Lock()
			m.wire.plain = true
			m.wire.mu.Unlock()
		}
	}
	if m.left -= n; m.left < 0 {
		return 0, m.wire.fail(errTooMuch)
	}
	return n, err
}

// inspected reads the messages along, for how often a password is to be hashed to log in: pgx would do so ten million times,
// and nothing could stop it.
type inspected struct {
	net.Conn
	wire *wire
	head []byte // the type and length of a message
	skip int    // bytes of it that are still to come and do not matter
	want int    // bytes of it that are still to come and do
	body []byte
}

// A message is a byte for its type and four for its length, which counts itself.
const (
	headSize       = 5
	authentication = 'R'
	saslContinue   = 11
	saslMost       = 1 << 10 // bytes of the server's part of a login
)

func (c *inspected) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for data := p[:n]; len(data) > 0; {
		data = c.next(data)
		switch {
		case c.want > saslMost:
			return 0, c.wire.fail(errTooMuch)
		case c.want == 0 && c.body != nil:
			if rounds(c.body) > scramMost {
				return 0, c.wire.fail(errRounds)
			}
			c.body = nil
		}
	}
	return n, err
}

// next reads a part of data and returns the rest.
func (c *inspected) next(data []byte) []byte {
	switch {
	case c.skip > 0:
		n := min(c.skip, len(data))
		c.skip -= n
		return data[n:]
	case c.want > 0:
		n := min(c.want, len(data))
		c.body = append(c.body, data[:n]...)
		c.want -= n
		return data[n:]
	}
	n := min(headSize-len(c.head), len(data))
	c.head = append(c.head, data[:n]...)
	if len(c.head) == headSize {
		size := max(int(binary.BigEndian.Uint32(c.head[1:]))-4, 0)
		if c.head[0] == authentication && size > 0 {
			c.want, c.body = size, []byte{}
		} else {
			c.skip = size
		}
		c.head = c.head[:0]
	}
	return data[n:]
}

// rounds returns how often the password is to be hashed; 0 where the message asks for something else.
func rounds(body []byte) int {
	if len(body) < 4 || binary.BigEndian.Uint32(body) != saslContinue {
		return 0
	}
	most := 0
	for part := range bytes.SplitSeq(body[4:], []byte(",")) {
		if text, ok := bytes.CutPrefix(part, []byte("i=")); ok {
			n, _ := strconv.Atoi(string(text)) // what is no number pgx refuses
			most = max(most, n)
		}
	}
	return most
}
