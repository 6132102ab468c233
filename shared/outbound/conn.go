package outbound

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
)

// DialTLS connects like DialContext and shakes hands. An empty name in the settings is that of the address.
func (g *Guard) DialTLS(ctx context.Context, network, address string, c *tls.Config) (*tls.Conn, error) {
	plain, err := g.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if c.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			_ = plain.Close()
			return nil, err
		}
		c = c.Clone()
		c.ServerName = strings.TrimSuffix(host, ".")
	}
	end := traceOf(ctx).begin(Shaking)
	conn := tls.Client(plain, c)
	if err := conn.HandshakeContext(ctx); err != nil {
		end(Shaking)
		_ = plain.Close()
		return nil, err
	}
	end(Connected)
	return conn, nil
}

// silent is a connection that is not read before something was written to it. A server that speaks before it was asked
// would otherwise have its words written to the log by net/http.
type silent struct {
	net.Conn
	once  sync.Once
	asked chan struct{}
}

func silence(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return &silent{Conn: conn, asked: make(chan struct{})}, nil
}

func (c *silent) open() { c.once.Do(func() { close(c.asked) }) }

// Read waits for the first Write, or Close.
func (c *silent) Read(p []byte) (int, error) { <-c.asked; return c.Conn.Read(p) }

// Write lets reads begin.
func (c *silent) Write(p []byte) (int, error) { c.open(); return c.Conn.Write(p) }

// Close ends reads that wait.
func (c *silent) Close() error { c.open(); return c.Conn.Close() }
