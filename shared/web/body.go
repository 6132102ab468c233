package web

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/mesherhq/mesher/shared/fault"
)

// BodyLimits bounds the body of one request, in bytes.
type BodyLimits struct {
	Wire    int64 // as sent
	Decoded int64 // after decompression
}

// zstdWindow is the largest zstd window we allocate for a client, in bytes: the decoder reserves it before
// it knows how much data will come. 8 MiB is what every level of the reference encoder below "ultra" needs.
const zstdWindow = 8 << 20

// typicalRatio is how many times larger an event gets by decompression; only the first guess depends on it.
const typicalRatio = 4

// mostGuess bounds what is taken on the word of a Content-Length alone, in bytes: a client that announces much
// and sends nothing must not keep others out.
const mostGuess = 64 << 10

// firstRead is the size of a buffer before anything is known about a body's length.
const firstRead = 16 << 10

// Body reads r's body, undoing its Content-Encoding (gzip, deflate, br, zstd, identity or none; an empty
// header means none, as some SDKs send it). Memory for it is taken from lease before it is used; the caller
// releases it once the bytes are no longer needed. What is over a limit is refused while reading with
// fault.TooLarge, a broken stream with fault.Invalid, an unknown encoding with fault.Unsupported, and an
// exhausted budget with fault.Unavailable.
//
// A body is decompressed once it is there as a whole. A decoder holds up to 16 MiB of windows and tables on
// the word of a stream's first bytes, so none may wait for a slow client, and only a few work at a time.
func Body(r *http.Request, limits BodyLimits, lease *Lease) ([]byte, error) {
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	switch encoding {
	case "", "identity", "gzip", "x-gzip", "deflate", "br", "zstd":
	default:
		return nil, fault.New(fault.Unsupported,
			"Content-Encoding %q is not supported; use gzip, deflate, br, zstd or none", clip(encoding))
	}
	over := fault.New(fault.TooLarge, "the body is over %s; send fewer events in one request", size(limits.Wire))
	if r.ContentLength > limits.Wire {
		return nil, over
	}
	body, err := readAll(r.Body, r.ContentLength, limits.Wire, over, lease)
	if err != nil {
		return nil, explainRead(err, "")
	}
	if encoding == "" || encoding == "identity" {
		return body, nil
	}
	defer lease.Give(int64(cap(body)))
	release, err := lease.budget.decoding(r.Context())
	if err != nil {
		return nil, err
	}
	defer release()
	return decompress(body, encoding, limits.Decoded, lease)
}

// decompress undoes encoding.
func decompress(body []byte, encoding string, most int64, lease *Lease) ([]byte, error) {
	wire := new(bytes.Reader)
	wire.Reset(body)
	// A decoder in its pool must not hold on to the body.
	defer wire.Reset(nil)
	z, done, err := decoder(encoding, wire)
	if err != nil {
		return nil, explainRead(err, encoding)
	}
	defer done()
	over := fault.New(fault.TooLarge, "the decompressed body is over %s; send fewer events in one request", size(most))
	out, err := readAll(z, int64(len(body))*typicalRatio, most, over, lease)
	if err != nil {
		return nil, explainRead(err, encoding)
	}
	return out, nil
}

// readAll reads src to its end into a buffer that grows by doubling, each time after its size was taken
// from the budget. hint is the expected length, or negative. More than most bytes are the error over.
func readAll(src io.Reader, hint, most int64, over error, hold *Lease) ([]byte, error) {
	// One byte more than expected: it takes the end of the stream, or shows that there is too much.
	want := min(firstRead, most) + 1
	if hint >= 0 {
		want = min(hint, mostGuess, most) + 1
	}
	if err := hold.Take(want); err != nil {
		return nil, err
	}
	buf := make([]byte, 0, want)
	for {
		n, err := src.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > most {
			return nil, over
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // explainRead says what it means
		}
		if len(buf) == cap(buf) {
			// Both buffers are there until the copy is done.
			old := int64(cap(buf))
			size := min(2*old, most+1)
			if err := hold.Take(size); err != nil {
				return nil, err
			}
			next := make([]byte, len(buf), size)
			copy(next, buf)
			buf = next
			hold.Give(old)
		}
	}
}

// decoder returns a reader that undoes encoding, and the function that returns it to its pool.
func decoder(encoding string, src io.Reader) (io.Reader, func(), error) {
	switch encoding {
	case "gzip", "x-gzip":
		z, _ := gzips.Get().(*gzip.Reader)
		if z == nil {
			z = new(gzip.Reader)
		}
		if err := z.Reset(src); err != nil {
			gzips.Put(z)
			return nil, nil, err //nolint:wrapcheck // explainRead says what it means
		}
		return z, func() { gzips.Put(z) }, nil
	case "deflate":
		return inflate(src)
	case "br":
		z, _ := brotlis.Get().(*brotli.Reader)
		if z == nil {
			z = new(brotli.Reader)
		}
		if err := z.Reset(src); err != nil {
			return nil, nil, err //nolint:wrapcheck // explainRead says what it means
		}
		return z, func() { brotlis.Put(z) }, nil
	case "zstd":
		z, _ := zstds.Get().(*zstd.Decoder)
		if z == nil {
			var err error
			z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(zstdWindow))
			if err != nil {
				return nil, nil, fmt.Errorf("make a zstd decoder: %w", err)
			}
		}
		if err := z.Reset(src); err != nil {
			return nil, nil, err //nolint:wrapcheck // explainRead says what it means
		}
		return z, func() { _ = z.Reset(nil); zstds.Put(z) }, nil
	}
	return nil, nil, fmt.Errorf("no decoder for %q", encoding)
}

// inflate undoes "deflate", which is a zlib stream by RFC 9110 but a raw deflate stream from some clients.
// The first two bytes tell them apart: a zlib header is a multiple of 31 with compression method 8.
func inflate(src io.Reader) (io.Reader, func(), error) {
	head := make([]byte, 2)
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, err //nolint:wrapcheck // explainRead says what it means
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), src)
	if n == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		z, err := zlib.NewReader(whole)
		if err != nil {
			return nil, nil, err //nolint:wrapcheck // explainRead says what it means
		}
		return z, func() { _ = z.Close() }, nil
	}
	z := flate.NewReader(whole)
	return z, func() { _ = z.Close() }, nil
}

// Pools of decoders: a fresh one costs more than the decompression of a small body. They hold no state
// between requests.
var gzips, brotlis, zstds sync.Pool

// explainRead says what an error of reading a body means; errors that already say it pass.
func explainRead(err error, encoding string) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	if encoding == "" {
		return fault.Wrap(err, fault.Invalid, "the body could not be read to its end")
	}
	return fault.Wrap(err, fault.Invalid, "the body is not valid %s data, or was cut off", encoding)
}

// size formats a number of bytes for a message.
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1e6 && n%1e6 == 0:
		return fmt.Sprintf("%d MB", n/1e6)
	}
	return fmt.Sprintf("%d bytes", n)
}

// clip shortens a client's text for a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
