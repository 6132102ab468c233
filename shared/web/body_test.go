package web_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/logging"
	"github.com/mesherhq/mesher/shared/web"
)

const (
	wireLimit    = 200_000
	decodedLimit = 1_000_000
)

// echo is a server that answers the body it decoded, and what it holds of its budget.
type echo struct {
	*httptest.Server
	budget *web.Budget
	most   struct {
		sync.Mutex
		held int64
	}
	log *lockedBuffer
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.String()
}

func newEcho(t testing.TB, budget int64, limits web.BodyLimits) *echo {
	t.Helper()
	e := &echo{budget: web.NewBudget(budget), log: new(lockedBuffer)}
	e.Server = httptest.NewServer(web.Handler(logging.New(e.log, nil, ""), func(w http.ResponseWriter, r *http.Request) error {
		lease := e.budget.NewLease()
		defer lease.Release()
		body, err := web.Body(r, limits, lease)
		e.most.Lock()
		e.most.held = max(e.most.held, e.budget.Held())
		e.most.Unlock()
		if err != nil {
			return err
		}
		_, err = w.Write(body)
		return err
	}))
	t.Cleanup(func() {
		e.Close() // waits for what is in flight
		if held := e.budget.Held(); held != 0 {
			t.Errorf("%d bytes of the budget are not given back", held)
		}
	})
	return e
}

// post sends a body and returns status and answer. An encoding of "-" sends no header.
func (e *echo) post(ctx context.Context, encoding string, body io.Reader) (int, http.Header, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, body)
	if err != nil {
		return 0, nil, "", err
	}
	if encoding != "-" {
		req.Header["Content-Encoding"] = []string{encoding}
	}
	resp, err := e.Client().Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(answer), err
}

// want posts and compares the status.
func (e *echo) want(t *testing.T, encoding string, body io.Reader, status int) string {
	t.Helper()
	got, _, answer, err := e.post(t.Context(), encoding, body)
	if err != nil {
		t.Fatal(err)
	}
	if got != status {
		t.Errorf("%s: status %d, want %d: %.200s", encoding, got, status, answer)
	}
	return answer
}

// compress returns plain in an encoding.
func compress(encoding string, plain []byte) []byte {
	var out bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip", "x-gzip", "GZIP":
		w = gzip.NewWriter(&out)
	case "deflate":
		w = zlib.NewWriter(&out)
	case "raw":
		w, _ = flate.NewWriter(&out, 6)
	case "br":
		w = brotli.NewWriter(&out)
	case "zstd":
		w, _ = zstd.NewWriter(&out)
	default:
		return plain
	}
	if _, err := w.Write(plain); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// encodings are the names in headers, and how to compress for them.
var encodings = []struct{ header, how string }{
	{"-", ""},
	{"", ""},
	{"identity", ""},
	{" Identity ", ""},
	{"gzip", "gzip"},
	{"x-gzip", "gzip"},
	{" GZip", "gzip"},
	{"deflate", "deflate"},
	{"deflate", "raw"},
	{"br", "br"},
	{"zstd", "zstd"},
}

func compressed() []string { return []string{"gzip", "deflate", "raw", "br", "zstd"} }

// header returns the Content-Encoding of a way to compress.
func header(how string) string {
	if how == "raw" {
		return "deflate"
	}
	return how
}

func text(n int) []byte {
	return bytes.Repeat([]byte(`{"message":"disk full","level":"error"} `), n/40+1)[:n]
}

// chunked hides the length of a body.
type chunked struct{ io.Reader }

func TestBody_Encodings(t *testing.T) {
	t.Parallel()
	e := newEcho(t, 64<<20, web.BodyLimits{Wire: wireLimit, Decoded: decodedLimit})
	for _, enc := range encodings {
		for _, n := range []int{0, 1, 2, 100, 16<<10 - 1, 16 << 10, 16<<10 + 1, wireLimit - 1, wireLimit} {
			plain := text(n)
			body := compress(enc.how, plain)
			for _, r := range []io.Reader{bytes.NewReader(body), chunked{bytes.NewReader(body)}} {
				if got := e.want(t, enc.header, r, http.StatusOK); got != string(plain) {
					t.Errorf("%q %s of %d bytes came back as %d", enc.header, enc.how, n, len(got))
				}
			}
		}
	}
	t.Run("several members in one stream", func(t *testing.T) {
		t.Parallel()
		for _, how := range []string{"gzip", "zstd"} {
			two := append(compress(how, text(100)), compress(how, text(50))...)
			if got := e.want(t, how, bytes.NewReader(two), http.StatusOK); got != string(text(100))+string(text(50)) {
				t.Errorf("%s came back as %q", how, got)
			}
		}
	})
	t.Run("one byte over the wire limit", func(t *testing.T) {
		t.Parallel()
		for _, r := range []io.Reader{bytes.NewReader(text(wireLimit + 1)), chunked{bytes.NewReader(text(wireLimit + 1))}} {
			if got := e.want(t, "-", r, http.StatusRequestEntityTooLarge); !strings.Contains(got, "200000 bytes") {
				t.Errorf("answer %s does not say the limit", got)
			}
		}
	})
	t.Run("at the decompressed limit and one byte over", func(t *testing.T) {
		t.Parallel()
		for _, how := range compressed() {
			e.want(t, header(how), bytes.NewReader(compress(how, text(decodedLimit))), http.StatusOK)
			got := e.want(t, header(how), bytes.NewReader(compress(how, text(decodedLimit+1))), http.StatusRequestEntityTooLarge)
			if !strings.Contains(got, "decompressed") || !strings.Contains(got, "1 MB") {
				t.Errorf("%s: answer %s does not say the limit", how, got)
			}
		}
	})
	t.Run("encodings that are not understood", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"compress", "gzip, br", "snappy", strings.Repeat("x", 5000)} {
			got := e.want(t, name, strings.NewReader("{}"), http.StatusUnsupportedMediaType)
			if !strings.Contains(got, "use gzip, deflate, br, zstd or none") || len(got) > 500 {
				t.Errorf("answer %s does not say what to use", got)
			}
		}
	})
}

func TestBody_BrokenStreams(t *testing.T) {
	t.Parallel()
	e := newEcho(t, 64<<20, web.BodyLimits{Wire: wireLimit, Decoded: decodedLimit})
	noise := make([]byte, 5000)
	_, _ = rand.Read(noise)
	plain := append(text(3000), noise...)
	for _, how := range compressed() {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			whole := compress(how, plain)
			// Cut off anywhere; what is left of zstd's nothing is an empty stream.
			for cut := 1; cut < len(whole); cut += 1 + len(whole)/60 {
				got := e.want(t, header(how), bytes.NewReader(whole[:cut]), http.StatusBadRequest)
				if !strings.Contains(got, "cut off") {
					t.Errorf("cut at %d: %s", cut, got)
				}
			}
			// A flipped bit is refused, or harmless in a header; it never breaks the decoder for the next.
			for at := 0; at < len(whole); at += 1 + len(whole)/60 {
				bad := bytes.Clone(whole)
				bad[at] ^= 0x10
				status, _, answer, err := e.post(t.Context(), header(how), bytes.NewReader(bad))
				if err != nil || status != http.StatusOK && status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge {
					t.Errorf("bit flipped at %d: %d %v %.100s", at, status, err, answer)
				}
				if got := e.want(t, header(how), bytes.NewReader(whole), http.StatusOK); got != string(plain) {
					t.Fatalf("after a broken stream, a good one came back as %d bytes instead of %d", len(got), len(plain))
				}
			}
			for _, garbage := range [][]byte{[]byte(`{"message":"plain text after all"}`), noise, {0}} {
				e.want(t, header(how), bytes.NewReader(garbage), http.StatusBadRequest)
			}
		})
	}
	t.Run("a client that stops in the middle of its body", func(t *testing.T) {
		t.Parallel()
		conn, err := net.Dial("tcp", e.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"mess")
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
			t.Errorf("answer %q, %v", answer, err)
		}
	})
}

// bomb returns a stream that decompresses to about ten gigabytes of zeros: one stretch of zeros, repeated.
func bomb(how string) io.Reader {
	const stretch, times = 10 << 20, 1000
	zeros := make([]byte, stretch)
	var out bytes.Buffer
	repeat := func(start, part, end []byte) io.Reader {
		readers := []io.Reader{bytes.NewReader(start)}
		for range times {
			readers = append(readers, bytes.NewReader(part))
		}
		return io.MultiReader(append(readers, bytes.NewReader(end))...)
	}
	flushed := func(w interface {
		io.WriteCloser
		Flush() error
	},
	) io.Reader {
		var parts [][]byte
		for range 2 {
			_, _ = w.Write(zeros)
			_ = w.Flush()
			parts = append(parts, bytes.Clone(out.Bytes()))
			out.Reset()
		}
		_ = w.Close()
		return repeat(parts[0], parts[1], out.Bytes())
	}
	switch how {
	case "gzip":
		return repeat(nil, compress(how, zeros), nil)
	case "zstd":
		w, _ := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
		return flushed(w)
	case "deflate":
		return flushed(zlib.NewWriter(&out))
	case "raw":
		w, _ := flate.NewWriter(&out, 9)
		return flushed(w)
	}
	return flushed(brotli.NewWriter(&out))
}

// counted counts what is read through it.
type counted struct {
	io.Reader
	mu sync.Mutex
	n  int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += int64(n)
	return n, err
}

func TestBody_Bombs(t *testing.T) {
	t.Parallel()
	for _, how := range compressed() {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			limits := web.BodyLimits{Wire: 20_000_000, Decoded: 32_000_000}
			// The answer would be 503 if more were ever held than both limits, and a buffer that is being outgrown.
			e := newEcho(t, limits.Wire+2*limits.Decoded, limits)
			c := &counted{Reader: bomb(how)}
			got := e.want(t, header(how), chunked{c}, http.StatusRequestEntityTooLarge)
			if !strings.Contains(got, "over") {
				t.Errorf("answer %s", got)
			}
			if c.n > limits.Wire {
				t.Errorf("%d bytes were read", c.n)
			}
		})
	}
	t.Run("a body without end is cut off at the wire limit", func(t *testing.T) {
		t.Parallel()
		e := newEcho(t, 256<<20, web.BodyLimits{Wire: wireLimit, Decoded: decodedLimit})
		for _, encoding := range []string{"-", "gzip"} {
			c := &counted{Reader: endless{}}
			status, _, answer, err := e.post(t.Context(), encoding, c)
			// The server may hang up before the client has read the answer.
			if err == nil && status != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d: %s", status, answer)
			}
			if held := e.most.held; held > 2*wireLimit {
				t.Errorf("%d bytes were held", held)
			}
		}
	})
	t.Run("a window that is too large is refused", func(t *testing.T) {
		t.Parallel()
		e := newEcho(t, 64<<20, web.BodyLimits{Wire: wireLimit, Decoded: decodedLimit})
		var out bytes.Buffer
		w, _ := zstd.NewWriter(&out, zstd.WithWindowSize(512<<20), zstd.WithEncoderConcurrency(1))
		_, _ = w.Write(text(100_000))
		_ = w.Flush()
		_ = w.Close()
		e.want(t, "zstd", &out, http.StatusBadRequest)
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestBody_SlowClientsHoldNoDecoder keeps many compressed bodies half sent: each declares a window of 8 MiB.
func TestBody_SlowClientsHoldNoDecoder(t *testing.T) {
	e := newEcho(t, 256<<20, web.BodyLimits{Wire: 20_000_000, Decoded: 32_000_000})
	var part bytes.Buffer
	w, _ := zstd.NewWriter(&part, zstd.WithWindowSize(8<<20), zstd.WithEncoderConcurrency(1))
	noise := make([]byte, 300_000)
	_, _ = rand.Read(noise)
	_, _ = w.Write(noise)
	_ = w.Flush()
	before := heap()
	const clients = 40
	var conns []net.Conn
	for range clients {
		conn, err := net.Dial("tcp", e.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		defer conn.Close() // else a failure would wait for the clients for ever
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: zstd\r\nContent-Length: 1000000\r\n\r\n")
		if _, err := conn.Write(part.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all bodies are being read", func() bool { return e.budget.Held() >= clients*300_000 })
	grown := heap() - before
	if spare := grown - e.budget.Held(); spare > 60<<20 {
		t.Errorf("the heap grew by %d MB, the budget knows of %d MB", grown>>20, e.budget.Held()>>20)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	eventually(t, "everything is given back", func() bool { return e.budget.Held() == 0 })
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func TestBody_Budget(t *testing.T) {
	t.Parallel()
	t.Run("exhausted, the client is asked to come back", func(t *testing.T) {
		t.Parallel()
		e := newEcho(t, 100_000, web.BodyLimits{Wire: wireLimit, Decoded: decodedLimit})
		for _, how := range append(compressed(), "") {
			status, h, answer, err := e.post(t.Context(), header(how), bytes.NewReader(compress(how, text(150_000))))
			if err != nil || status != http.StatusServiceUnavailable || h.Get("Retry-After") != "2" {
				t.Errorf("%s: %d, Retry-After %q, %v: %s", how, status, h.Get("Retry-After"), err, answer)
			}
			e.want(t, header(how), bytes.NewReader(compress(how, text(10_000))), http.StatusOK)
		}
	})
	t.Run("shared by many at a time", func(t *testing.T) {
		t.Parallel()
		e := newEcho(t, 3_000_000, web.BodyLimits{Wire: wireLimit, Decoded: decodedLimit})
		plain := text(150_000)
		var wg sync.WaitGroup
		for i := range 60 {
			how := append(compressed(), "")[i%6]
			body := compress(how, plain)
			if i%5 == 0 {
				body = body[:len(body)/2]
			}
			wg.Go(func() {
				for range 5 {
					status, _, answer, err := e.post(t.Context(), header(how), bytes.NewReader(body))
					switch {
					case err != nil:
						t.Error(err)
					case status == http.StatusOK && i%5 != 0:
						if answer != string(plain) {
							t.Errorf("%s: another body came back, of %d bytes", how, len(answer))
						}
					case status == http.StatusOK && how == "":
					case status != http.StatusServiceUnavailable && (i%5 != 0 || status != http.StatusBadRequest):
						t.Errorf("%s: status %d: %.100s", how, status, answer)
					}
				}
			})
		}
		wg.Wait()
	})
	t.Run("never goes below zero, and a large request in vain does not starve small ones", func(t *testing.T) {
		t.Parallel()
		b := web.NewBudget(1000)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 2000 {
					if err := b.Take(5000); !fault.Is(err, fault.Unavailable) {
						t.Errorf("err = %v", err)
					}
					if err := b.Take(100); err != nil { // 8 × 100 fit at any time
						t.Error(err)
						return
					}
					b.Give(100)
				}
			})
		}
		wg.Wait()
		if b.Held() != 0 {
			t.Errorf("held = %d", b.Held())
		}
	})
	t.Run("what came over the wire is given back once it is decompressed", func(t *testing.T) {
		t.Parallel()
		for _, how := range compressed() {
			b := web.NewBudget(10 << 20)
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(compress(how, text(150_000))))
			r.Header.Set("Content-Encoding", header(how))
			out, err := web.Body(r, web.BodyLimits{Wire: wireLimit, Decoded: decodedLimit}, b.NewLease())
			if err != nil || b.Held() != int64(cap(out)) {
				t.Errorf("%s: %d bytes are held for a body in %d, %v", how, b.Held(), cap(out), err)
			}
		}
	})
	t.Run("a lease gives everything back, once", func(t *testing.T) {
		t.Parallel()
		b := web.NewBudget(1000)
		l := b.NewLease()
		_, _ = l.Take(300), l.Take(200)
		l.Give(100)
		if b.Held() != 400 {
			t.Errorf("held = %d, want 400", b.Held())
		}
		l.Release()
		l.Release()
		if b.Held() != 0 {
			t.Errorf("held = %d, want 0", b.Held())
		}
	})
}

func FuzzBody(f *testing.F) {
	for i, how := range compressed() {
		f.Add(uint8(i), compress(how, text(500)))
	}
	f.Add(uint8(5), []byte("{}"))
	limits := web.BodyLimits{Wire: 10_000, Decoded: 50_000}
	names := []string{"gzip", "deflate", "deflate", "br", "zstd", "", "identity", "snappy"}
	f.Fuzz(func(t *testing.T, encoding uint8, body []byte) {
		budget := web.NewBudget(1 << 20)
		for _, length := range []int64{int64(len(body)), -1} {
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
			r.ContentLength = length
			r.Header.Set("Content-Encoding", names[int(encoding)%len(names)])
			lease := budget.NewLease()
			out, err := web.Body(r, limits, lease)
			if int64(len(out)) > limits.Decoded {
				t.Errorf("%d bytes came out", len(out))
			}
			if held := budget.Held(); held > limits.Wire+limits.Decoded+2 {
				t.Errorf("%d bytes are held", held)
			}
			var known *fault.Error
			if err != nil && !errors.As(err, &known) {
				t.Errorf("an error without a kind: %v", err)
			}
			lease.Release()
			if budget.Held() != 0 {
				t.Errorf("%d bytes are not given back", budget.Held())
			}
		}
		// Whatever it was, the decoder that read it reads the next one.
		for _, how := range compressed() {
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(compress(how, []byte("good"))))
			r.Header.Set("Content-Encoding", header(how))
			if out, err := web.Body(r, limits, budget.NewLease()); err != nil || string(out) != "good" {
				t.Errorf("%s afterwards: %q, %v", how, out, err)
			}
		}
	})
}

func BenchmarkBody(b *testing.B) {
	plain := text(2500)
	for _, how := range append(compressed(), "") {
		b.Run("encoding="+how, func(b *testing.B) {
			body := compress(how, plain)
			budget := web.NewBudget(1 << 30)
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Header.Set("Content-Encoding", header(how))
			r.ContentLength = int64(len(body))
			src := bytes.NewReader(nil)
			r.Body = io.NopCloser(src)
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(body)
				lease := budget.NewLease()
				if _, err := web.Body(r, web.BodyLimits{Wire: 1e6, Decoded: 1e7}, lease); err != nil {
					b.Fatal(err)
				}
				lease.Release()
			}
		})
	}
}

func TestBudget_Share(t *testing.T) {
	t.Parallel()
	whole := web.NewBudget(1000)
	a, b := whole.Share(600), whole.Share(600)
	if err := a.Take(600); err != nil {
		t.Fatal(err)
	}
	if err := a.Take(1); !fault.Is(err, fault.Unavailable) || a.Held() != 600 || whole.Held() != 600 {
		t.Errorf("over the share: %v, %d of the share and %d of all held", err, a.Held(), whole.Held())
	}
	if err := b.Take(400); err != nil {
		t.Errorf("the rest is there for others: %v", err)
	}
	if err := b.Take(1); !fault.Is(err, fault.Unavailable) || b.Held() != 400 || whole.Held() != 1000 {
		t.Errorf("over all: %v, %d of the share and %d of all held", err, b.Held(), whole.Held())
	}
	a.Give(600)
	b.Give(400)
	if a.Held()+b.Held()+whole.Held() != 0 {
		t.Errorf("%d, %d and %d are still held", a.Held(), b.Held(), whole.Held())
	}
}

// TestBody_OfAShare decompresses bodies of two shares, many at once, within the few decoders there are.
func TestBody_OfAShare(t *testing.T) {
	t.Parallel()
	whole := web.NewBudget(64 << 20)
	shares := []*web.Budget{whole.Share(32 << 20), whole.Share(32 << 20)}
	plain := text(100_000)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			how := compressed()[i%len(compressed())]
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(compress(how, plain)))
			r.Header.Set("Content-Encoding", header(how))
			lease := shares[i%2].NewLease()
			defer lease.Release()
			out, err := web.Body(r, web.BodyLimits{Wire: wireLimit, Decoded: decodedLimit}, lease)
			if err != nil || !bytes.Equal(out, plain) {
				t.Errorf("%s: %d bytes, %v", how, len(out), err)
			}
		})
	}
	wg.Wait()
	if held := whole.Held() + shares[0].Held() + shares[1].Held(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}
