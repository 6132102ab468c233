package outbound

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

// body reads at most so much of an answer, as sent and as decompressed, whichever is used up first.
type body struct {
	io.Reader
	io.Closer
	left, limit int64
}

// limit makes a response's body one that ends with an error of code CodeTooLarge after so many bytes, and reads it as it was
// before it was compressed with gzip. Nobody asked for that, but some servers compress all the same.
func limit(resp *http.Response, most int64) {
	b := &body{Reader: resp.Body, Closer: resp.Body, left: most, limit: most}
	resp.Body = b
	encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding")))
	if encoding != "gzip" && encoding != "x-gzip" || resp.Uncompressed || !hasBody(resp) {
		return
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength, resp.Uncompressed = -1, true
	resp.Body = &body{Reader: &gunzip{from: b}, Closer: b, left: most, limit: most}
}

func hasBody(resp *http.Response) bool {
	return resp.ContentLength != 0 && resp.Request.Method != http.MethodHead
}

// Read returns the limit's error only when there is more than the limit.
func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fault.New(fault.TooLarge, "the answer is larger than the %d bytes that are read of it", b.limit).Named(CodeTooLarge)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.Reader.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), nil
		b.left = -1
		if n == 0 {
			return b.Read(nil)
		}
		return n, err
	}
	b.left -= int64(n)
	return n, err
}

// gunzip reads what was compressed. Its beginning is read only when the first byte is asked for.
type gunzip struct {
	from   io.Reader
	reader *gzip.Reader
}

func (g *gunzip) Read(p []byte) (int, error) {
	if g.reader == nil {
		reader, err := gzip.NewReader(g.from)
		if err != nil {
			return 0, err
		}
		g.reader = reader
	}
	return g.reader.Read(p)
}
