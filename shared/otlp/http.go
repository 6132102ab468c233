package otlp

import (
	"bytes"
	"strings"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// headerName returns the name of the request header that an attribute holds, or "".
func headerName(key []byte) []byte {
	name, ok := bytes.CutPrefix(key, []byte("http.request.header."))
	if !ok {
		return nil
	}
	return name
}

// writeRequest writes request.
func (rec *Record) writeRequest(w *objectWriter) {
	some := false
	for s := requestMethod; s <= requestHeader; s++ {
		some = some || s != requestStatus && s != requestRoute && rec.has(s)
	}
	if !some {
		return
	}
	url, query := rec.url()
	inner := objectWriter{dst: append(appendKey(w.dst, "request"), '{')}
	inner.text("method", rec.text(requestMethod))
	inner.text("url", url)
	inner.text("query_string", query)
	rec.writeHeaders(&inner)
	if client := rec.text(requestClient); client != "" {
		inner.dst = append(append(appendKey(inner.dst, "env"), `{"REMOTE_ADDR":`...), quoted(client)...)
		inner.dst = append(inner.dst, '}')
	}
	w.dst = append(inner.dst, '}')
}

// url returns the whole address of the request, or as much of it as is known, and its query.
func (rec *Record) url() (url, query string) {
	query = strings.TrimPrefix(rec.text(requestQuery), "?")
	if full := rec.text(requestURL); full != "" {
		return full, query
	}
	path := rec.text(requestPath)
	if path == "" {
		path = rec.text(requestTarget)
		if before, after, ok := strings.Cut(path, "?"); ok && query == "" {
			path, query = before, after
		}
	}
	host := rec.text(requestHost)
	if host == "" {
		return path, query
	}
	if port := rec.text(requestPort); port != "" && port != "80" && port != "443" && !strings.Contains(host, ":") {
		host += ":" + port
	}
	return first(rec.text(requestScheme), "http") + "://" + host + path, query
}

// writeHeaders writes headers. A header that was sent several times is an array, whose elements are joined.
func (rec *Record) writeHeaders(w *objectWriter) {
	inner := objectWriter{dst: append(appendKey(w.dst, "headers"), '{')}
	empty := len(inner.dst)
	inner.text("User-Agent", rec.text(requestAgent))
	lists := [...][]attribute{rec.attributes, nil}
	if rec.span != nil {
		lists[1] = rec.span.attributes
	}
	for _, list := range lists {
		for i := range list {
			a := &list[i]
			if name := headerName(a.key); len(name) > 0 {
				inner.text(string(name), joined(a.value))
			}
		}
	}
	if len(inner.dst) > empty {
		w.dst = append(inner.dst, '}')
	}
}

// joined returns an array of texts as one text, and any other value as it is.
func joined(v value) string {
	if v.kind != arrayValue {
		return textOf(&v)
	}
	var parts []string
	for _, part := range rawjson.Array(v.bytes) {
		parts = append(parts, rawjson.Unquote(part))
	}
	return strings.Join(parts, ", ")
}
