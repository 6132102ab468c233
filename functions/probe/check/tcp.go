package check

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/monitor"
)

// tcp looks whether an address takes connections and, if asked, answers as expected.
func (l *look) tcp(ctx context.Context, c *monitor.TCPConfig) finding {
	conn, err := l.guard.DialContext(ctx, "tcp", place(c.Host, c.Port))
	if err != nil {
		return l.failed(err, monitor.CodeConnect, "no connection could be made")
	}
	defer conn.Close()
	defer bind(ctx, conn)()
	if c.Send != "" {
		if _, err := io.WriteString(conn, c.Send); err != nil {
			return l.failed(err, monitor.CodeDisconnected, "nothing could be sent")
		}
	}
	if c.Expect != "" {
		if err := contains(conn, []byte(c.Expect)); err != nil {
			if errors.Is(err, errNotThere) {
				return down(monitor.CodeExpect, "the first %d bytes of the answer do not contain the expected text", tcpMost)
			}
			return l.failed(err, monitor.CodeDisconnected, "no answer could be read")
		}
	}
	return l.paced(c.DegradedAfterMS, 0)
}

// bind ends a connection's reads and writes with ctx. It returns what has to be called before the connection is closed.
func bind(ctx context.Context, conn net.Conn) (release func()) {
	if ends, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(ends) // fails only on a closed connection
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

var errNotThere = errors.New("the text is not there")

// contains reads until the text has been read.
func contains(r io.Reader, text []byte) error {
	var got []byte
	part := make([]byte, 512)
	for len(got) < tcpMost {
		n, err := r.Read(part[:min(len(part), tcpMost-len(got))])
		got = append(got, part[:n]...)
		if bytes.Contains(got, text) {
			return nil
		}
		if errors.Is(err, io.EOF) && len(got) > 0 {
			return errNotThere
		}
		if err != nil {
			return err
		}
	}
	return errNotThere
}

// place returns host:port of a host that may stand in brackets.
func place(host string, port int) string {
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
}
