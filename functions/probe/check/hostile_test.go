package check

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/monitor"
)

// brief is the timeout of looks at services that never end.
const brief = 300 * time.Millisecond

// drip writes a byte at a time for ever.
func drip(c io.Writer, begin string) {
	_, _ = io.WriteString(c, begin)
	for {
		if _, err := c.Write([]byte("a")); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func endless(c io.Writer, begin, part string) {
	_, _ = io.WriteString(c, begin)
	for {
		if _, err := io.WriteString(c, part); err != nil {
			return
		}
	}
}

// bomb is 64 MiB of nothing, compressed.
func bomb(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(make([]byte, 64<<20)) // into memory
	_ = w.Close()
	return b.Bytes()
}

// TestHostileServices looks at services that try to hold a look up. Each look must end in its time, with the right code, and
// leave nothing behind.
func TestHostileServices(t *testing.T) { // not beside others, for what it leaves behind is counted
	c := usual(t)
	zip := bomb(t)
	http := func(c *monitor.HTTPConfig, address string) monitor.Config {
		c.URL = "http://" + address + c.URL
		return monitor.Config{HTTP: c}
	}
	plain := func(address string) monitor.Config { return http(&monitor.HTTPConfig{}, address) }
	https := func(address string) monitor.Config {
		return monitor.Config{HTTP: &monitor.HTTPConfig{URL: "https://" + address}}
	}
	withTLS := func(address string) monitor.Config {
		host, port := hostPort(t, address)
		return monitor.Config{TLS: &monitor.TLSConfig{Host: host, Port: port}}
	}
	tcp := func(address string) monitor.Config {
		host, port := hostPort(t, address)
		return monitor.Config{TCP: &monitor.TCPConfig{Host: host, Port: port, Send: "hello\n", Expect: "welcome"}}
	}
	postgres := func(address string) monitor.Config {
		return monitor.Config{Postgres: &monitor.PostgresConfig{Address: address}}
	}
	for name, x := range map[string]struct {
		kind   monitor.Kind
		config func(address string) monitor.Config
		answer func(net.Conn)
		code   string
		during string
	}{
		"HTTP that hangs":             {monitor.HTTP, plain, hang, monitor.CodeTimeout, "waiting for the answer"},
		"HTTP that drips its status":  {monitor.HTTP, plain, func(c net.Conn) { drip(c, "HTTP/1.1 ") }, monitor.CodeTimeout, "waiting"},
		"HTTP that drips its headers": {monitor.HTTP, plain, func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\nX-A: ") }, monitor.CodeTimeout, "waiting"},
		"HTTP that drips its body":    {monitor.HTTP, plain, func(c net.Conn) { drip(c, "HTTP/1.1 200 OK\r\n\r\n") }, monitor.CodeTimeout, "waiting"},
		"HTTP without an end of headers": {monitor.HTTP, plain, func(c net.Conn) {
			endless(c, "HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("b", 1000)+"\r\n")
		}, monitor.CodeProtocol, ""},
		"HTTP without an end of its first line": {monitor.HTTP, plain, func(c net.Conn) { endless(c, "HTTP/1.1 200 ", strings.Repeat("b", 1000)) }, monitor.CodeProtocol, ""},
		"HTTP without an end of the body": {monitor.HTTP, plain, func(c net.Conn) {
			endless(c, "HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("b", 1000))
		}, monitor.CodeOK, ""},
		"HTTP without an end of chunks": {monitor.HTTP, plain, func(c net.Conn) {
			endless(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n")
		}, monitor.CodeOK, ""},
		"HTTP with a chunk extension without an end": {monitor.HTTP, plain, func(c net.Conn) {
			endless(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", strings.Repeat("b", 1000))
		}, monitor.CodeProtocol, ""},
		"HTTP that continues for ever": {monitor.HTTP, plain, func(c net.Conn) { endless(c, "", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n") }, monitor.CodeProtocol, ""},
		"HTTP with a bomb": {monitor.HTTP, func(address string) monitor.Config {
			h := &monitor.HTTPConfig{}
			jsonStatus(h)
			return http(h, address)
		}, func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(zip), zip)
		}, monitor.CodeTooLarge, ""},
		"HTTP that says nothing":         {monitor.HTTP, plain, func(net.Conn) {}, monitor.CodeDisconnected, ""},
		"HTTP that ends early":           {monitor.HTTP, plain, func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab") }, monitor.CodeDisconnected, ""},
		"HTTP that speaks first":         {monitor.HTTP, plain, func(c net.Conn) { fmt.Fprint(c, "220 private greeting\r\n"); hang(c) }, monitor.CodeProtocol, ""},
		"HTTP that resets":               {monitor.HTTP, plain, reset, monitor.CodeDisconnected, ""},
		"HTTPS that hangs":               {monitor.HTTP, https, hang, monitor.CodeTimeout, "agreeing on encryption"},
		"HTTPS that drips":               {monitor.HTTP, https, func(c net.Conn) { drip(c, "\x16\x03\x03\x40\x00\x02\x00\x3f\xfc") }, monitor.CodeTimeout, "agreeing on encryption"},
		"HTTPS in plain text":            {monitor.HTTP, https, func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); hang(c) }, monitor.CodeTLS, "does not speak TLS"},
		"HTTPS that ends":                {monitor.HTTP, https, func(net.Conn) {}, monitor.CodeTLS, "ended the connection"},
		"TLS that hangs":                 {monitor.TLS, withTLS, hang, monitor.CodeTimeout, "agreeing on encryption"},
		"TLS in plain text":              {monitor.TLS, withTLS, func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-private\r\n"); hang(c) }, monitor.CodeTLS, "does not speak TLS"},
		"TCP that hangs":                 {monitor.TCP, tcp, hang, monitor.CodeTimeout, "waiting"},
		"TCP that drips":                 {monitor.TCP, tcp, func(c net.Conn) { drip(c, "") }, monitor.CodeTimeout, "waiting"},
		"TCP without an end":             {monitor.TCP, tcp, func(c net.Conn) { endless(c, "", strings.Repeat("b", 1000)) }, monitor.CodeExpect, ""},
		"TCP that ends":                  {monitor.TCP, tcp, func(c net.Conn) { once(c) }, monitor.CodeDisconnected, ""},
		"Postgres that hangs":            {monitor.Postgres, postgres, hang, monitor.CodeTimeout, "waiting"},
		"Postgres that drips":            {monitor.Postgres, postgres, func(c net.Conn) { drip(c, "R\x00\x00\x03\x00") }, monitor.CodeTimeout, "waiting"},
		"Postgres that is none":          {monitor.Postgres, postgres, func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 private\r\n\r\n"); hang(c) }, monitor.CodeTooLarge, ""},
		"Postgres without an end":        {monitor.Postgres, postgres, func(c net.Conn) { endless(c, "", notice) }, monitor.CodeTooLarge, ""},
		"Postgres with a huge message":   {monitor.Postgres, postgres, func(c net.Conn) { endless(c, "R\x7f\xff\xff\xff", "\x00\x00\x00\x00") }, monitor.CodeTooLarge, ""},
		"Postgres that ends":             {monitor.Postgres, postgres, func(c net.Conn) { once(c) }, monitor.CodeDisconnected, ""},
		"Postgres that lets in and hang": {monitor.Postgres, postgres, func(c net.Conn) { fmt.Fprint(c, letIn); hang(c) }, monitor.CodeTimeout, "waiting"},
		"Postgres that lets in and floods": {monitor.Postgres, postgres, func(c net.Conn) {
			endless(c, letIn, notice)
		}, monitor.CodeTooLarge, ""},
		"Postgres that hashes for ever": {monitor.Postgres, postgres, hashing, monitor.CodeProtocol, "rounds of hashing"},
		"Postgres that wants a password as it is": {monitor.Postgres, postgres, func(c net.Conn) {
			fmt.Fprint(c, "R\x00\x00\x00\x08\x00\x00\x00\x03")
			got, _ := io.ReadAll(c)
			if bytes.Contains(got, []byte("hunter2")) {
				t.Error("the password was sent as it is")
			}
		}, monitor.CodeProtocol, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, x.answer)
			secrets := monitor.Secrets{URL: "postgres://me:hunter2@" + address + "/db?sslmode=disable"}
			timeout := brief
			if x.code != monitor.CodeTimeout {
				timeout = patient
			}
			got := c.Run(t.Context(), x.kind, x.config(address), secrets, timeout)
			status := monitor.Down
			if x.code == monitor.CodeOK {
				status = monitor.Healthy
			}
			want(t, got, status, x.code, x.during)
			if text := got.Details.Error; strings.Contains(text, "private") || strings.Contains(text, "hunter2") {
				t.Errorf("the text %q shows what the service sent, or the password", text)
			}
			if x.code == monitor.CodeTimeout && got.Latency < brief {
				t.Errorf("the time was used up after %s already", got.Latency)
			}
		})
	}
	t.Cleanup(func() { settles(t) })
}

// once reads something and ends.
func once(c net.Conn) { _, _ = c.Read(make([]byte, 1000)) }

func reset(c net.Conn) {
	once(c)
	_ = c.(*net.TCPConn).SetLinger(0)
}

const (
	// letIn lets anybody log in: AuthenticationOk, ReadyForQuery.
	letIn  = "R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I"
	notice = "N\x00\x00\x00\x0eMprivate\x00\x00"
)

// hashing asks for SCRAM with as many rounds as pgx would take, which is some seconds of work.
func hashing(c net.Conn) {
	once(c) // the startup message
	fmt.Fprint(c, "R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00")
	buffer := make([]byte, 1000)
	n, _ := c.Read(buffer)
	_, nonce, _ := strings.Cut(string(buffer[:n]), "r=")
	server := "r=" + nonce + "more,s=c2FsdHNhbHQ=,i=9999999"
	fmt.Fprintf(c, "R\x00\x00\x00%c\x00\x00\x00\x0b%s", len(server)+8, server)
	hang(c)
}

func TestServiceThatTakesNoConnection(t *testing.T) {
	t.Parallel()
	c := usual(t)
	address := deaf(t)
	host, port := hostPort(t, address)
	for kind, config := range map[monitor.Kind]monitor.Config{
		monitor.HTTP:     {HTTP: &monitor.HTTPConfig{URL: "http://" + address}},
		monitor.TCP:      {TCP: &monitor.TCPConfig{Host: host, Port: port}},
		monitor.TLS:      {TLS: &monitor.TLSConfig{Host: host, Port: port}},
		monitor.Postgres: {Postgres: &monitor.PostgresConfig{}},
	} {
		got := c.Run(t.Context(), kind, config, monitor.Secrets{URL: "postgres://me@" + address + "/db"}, brief)
		want(t, got, monitor.Down, monitor.CodeTimeout, "while connecting")
	}
}

// deaf returns an address on which connections are neither taken nor refused: its queue is full.
func deaf(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	err = errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0))
	name, err2 := syscall.Getsockname(fd)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		cancel()
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
}

// TestRefusedServices looks at what must not be reached, by every kind.
func TestRefusedServices(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 100)
	address := listen(t, func(net.Conn) { reached <- struct{}{} })
	_, port := hostPort(t, address)
	c := checker(t, settingsOf(""), Options{})
	for _, host := range []string{"127.0.0.1", "localhost", "::1", "[::1]", "::ffff:127.0.0.1", "0.0.0.0", "2130706433", "0x7f.1", "169.254.169.254", "metadata.google.internal"} {
		at := place(host, port)
		for kind, config := range map[monitor.Kind]monitor.Config{
			monitor.HTTP:     {HTTP: &monitor.HTTPConfig{URL: "http://" + at + "/"}},
			monitor.TCP:      {TCP: &monitor.TCPConfig{Host: host, Port: port}},
			monitor.TLS:      {TLS: &monitor.TLSConfig{Host: host, Port: port}},
			monitor.DNS:      {DNS: &monitor.DNSConfig{Name: "example.com", Type: "A", Server: at}},
			monitor.Postgres: {Postgres: &monitor.PostgresConfig{}},
		} {
			got := c.Run(t.Context(), kind, config, monitor.Secrets{URL: "postgres://me:hunter2@" + at + "/db"}, patient)
			if got.Status != monitor.Down || got.Details.Code != monitor.CodeRefusedAddress || !strings.Contains(got.Details.Error, "refused") {
				t.Errorf("%s %s: got %s (%s)", kind, host, got.Details.Code, got.Details.Error)
			}
		}
	}
	if len(reached) > 0 {
		t.Error("the service was reached")
	}
}

// TestCostlyConditions makes a body and patterns that take as long as they may: the look ends soon after its time all the same.
func TestCostlyConditions(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("a", 64<<10)) })
	h := monitor.HTTPConfig{URL: s.URL}
	for range 1000 {
		h.BodyText = append(h.BodyText, monitor.Condition{Op: monitor.Matches, Value: "(?:a?){98}b|a$"})
	}
	got := usual(t).Run(t.Context(), monitor.HTTP, monitor.Config{HTTP: &h}, monitor.Secrets{}, time.Second)
	want(t, got, monitor.Down, monitor.CodeTimeout)
	h.BodyText, h.Header = nil, h.BodyText
	got = usual(t).Run(t.Context(), monitor.HTTP, monitor.Config{HTTP: &h}, monitor.Secrets{}, patient)
	want(t, got, monitor.Down, monitor.CodeHeader)
}

// TestCancelled stops looks from outside: they say nothing of the service.
func TestCancelled(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 1)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	got := usual(t).Run(ctx, monitor.HTTP, monitor.Config{HTTP: &monitor.HTTPConfig{URL: s.URL}}, monitor.Secrets{}, patient)
	want(t, got, monitor.Unknown, monitor.CodeCancelled)
}

// TestPanic makes a check panic: a checker without a guard cannot look.
func TestPanic(t *testing.T) {
	t.Parallel()
	c := usual(t)
	c.guard = nil
	got := c.Run(t.Context(), monitor.TCP, monitor.Config{TCP: &monitor.TCPConfig{Host: "127.0.0.1", Port: 1}}, monitor.Secrets{}, patient)
	want(t, got, monitor.Down, monitor.CodeInternal, "not the service's fault")
}

// TestManyAtOnce makes 200 looks at once, of which a third hang: none delays another. The others must all be done before the
// first of those that hang gives up.
func TestManyAtOnce(t *testing.T) { // not beside others, for what it leaves behind is counted
	well := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "well") })
	stuck := listen(t, hang)
	c := usual(t)
	const hanging = 15 * time.Second
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var quick, slow sync.WaitGroup
	for i := range 200 {
		if i%3 == 0 {
			slow.Go(func() {
				got := c.Run(ctx, monitor.HTTP, monitor.Config{HTTP: &monitor.HTTPConfig{URL: "http://" + stuck}}, monitor.Secrets{}, hanging)
				want(t, got, monitor.Unknown, monitor.CodeCancelled)
			})
			continue
		}
		quick.Go(func() {
			got := c.Run(ctx, monitor.HTTP, monitor.Config{HTTP: &monitor.HTTPConfig{URL: well.URL}}, monitor.Secrets{}, hanging)
			want(t, got, monitor.Healthy, monitor.CodeOK)
		})
	}
	quick.Wait()
	// None of those that hang has ended by itself: they are stopped now.
	cancel()
	slow.Wait()
	settles(t)
}
