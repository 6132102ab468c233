package ingest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/mesherhq/mesher/shared/event"
)

const (
	inJSON     = "application/json"
	inProtobuf = "application/x-protobuf"
)

// logsJSON is an export of log records with these severities.
func logsJSON(severities ...int) string {
	var records []string
	for _, s := range severities {
		records = append(records, fmt.Sprintf(`{"timeUnixNano":"1769860799000000000","severityNumber":%d,"body":{"stringValue":"severity %d"}}`, s, s))
	}
	return `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},` +
		`"scopeLogs":[{"scope":{"name":"http"},"logRecords":[` + strings.Join(records, ",") + `]}]}]}`
}

// nested wraps a protobuf message into fields of these numbers, the last one outermost.
func nested(message []byte, numbers ...protowire.Number) []byte {
	for _, n := range numbers {
		message = protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), message)
	}
	return message
}

// logProtobuf is a log record.
func logProtobuf(severity uint64, text string) []byte {
	b := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), 1769860799000000000)
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), severity)
	return append(b, nested([]byte(text), 1, 5)...)
}

// logsProtobuf is an export of records.
func logsProtobuf(records ...[]byte) string {
	var all []byte
	for _, r := range records {
		all = append(all, nested(r, 2)...)
	}
	return string(nested(all, 2, 1))
}

const spans = `{"resourceSpans":[{"scopeSpans":[{"spans":[
	{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"GET /pay","events":[
		{"timeUnixNano":"1769860799000000000","name":"exception","attributes":[
			{"key":"exception.type","value":{"stringValue":"TimeoutError"}},{"key":"exception.message","value":{"stringValue":"too slow"}}]}]},
	{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203332","name":"GET /fine"}]}]}]}`

func TestExport(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	key := []string{"Authorization", "Bearer " + h.key}
	messages := func(from map[uuid.UUID]event.Event) []string {
		out := []string{}
		for id, e := range h.bus.events(t) {
			if _, ok := from[id]; !ok {
				out = append(out, e.Message)
			}
		}
		return out
	}
	for _, tt := range []struct {
		name, path, kind, body string
		headers                []string
		status                 int
		answer                 string
		published              []string
	}{
		{"JSON", "/v1/logs", inJSON, logsJSON(9, 17, 13), nil, 200, "{}", []string{"severity 17"}},
		{"JSON with a charset", "/v1/logs/", inJSON + "; charset=utf-8", logsJSON(21), nil, 200, "{}", []string{"severity 21"}},
		{"JSON of nothing", "/v1/logs", inJSON, "{}", nil, 200, "{}", nil},
		{"gzip", "/v1/logs", inJSON, gzipped(logsJSON(18)), []string{"Content-Encoding", "gzip"}, 200, "{}", []string{"severity 18"}},
		{"protobuf", "/v1/logs", inProtobuf, logsProtobuf(logProtobuf(17, "pb"), logProtobuf(5, "no")), nil, 200, "", []string{"pb"}},
		{"protobuf of nothing", "/v1/logs", inProtobuf, "", nil, 200, "", nil},
		{"spans", "/v1/traces", inJSON, spans, nil, 200, "{}", []string{""}},
		{
			"a malformed record among good ones", "/v1/logs", inProtobuf, logsProtobuf(logProtobuf(17, "one"), []byte{0x2a, 0x7f}, logProtobuf(17, "two")), nil,
			200, "malformed", nil,
		},
		{
			"a record that is too large", "/v1/logs", inJSON, strings.ReplaceAll(logsJSON(17), `"body"`,
				`"attributes":[{"key":"a","value":{"stringValue":"`+strings.Repeat("x", 1<<20)+`"}}],"body"`), nil,
			200, `"rejectedLogRecords":"1"`, nil,
		},
		{"no JSON", "/v1/logs", inJSON, "nonsense", nil, 400, "not valid JSON", nil},
		{"no protobuf", "/v1/logs", inProtobuf, "nonsense", nil, 400, "broken outside", nil},
		{"plain text that says gzip", "/v1/logs", inJSON, "{}", []string{"Content-Encoding", "gzip"}, 400, "gzip", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := h.bus.events(t)
			a := h.raw(http.MethodPost, tt.path, io.MultiReader(strings.NewReader(tt.body)), append(append(tt.headers, key...), "Content-Type", tt.kind)...)
			kind, _, _ := strings.Cut(tt.kind, ";")
			if a.status != tt.status || !strings.Contains(a.body, tt.answer) || a.header.Get("Content-Type") != kind || tt.answer == "" && a.body != "" {
				t.Errorf("%+v, want %d %q", a, tt.status, tt.answer)
			}
			if diff := cmp.Diff(tt.published, messages(before)); tt.published != nil && diff != "" {
				t.Errorf("published (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("what the events say", func(t *testing.T) {
		var log, span event.Event
		for _, e := range h.bus.events(t) {
			switch {
			case e.Message == "severity 17":
				log = e
			case e.ExceptionType == "TimeoutError":
				span = e
			}
		}
		if log.Level != event.Error || log.Logger != "http" || log.Title != "severity 17" || log.Fingerprint == uuid.Nil || log.EventID.Version() != 8 {
			t.Errorf("log: %+v", log)
		}
		if span.ExceptionValue != "too slow" || span.Transaction != "GET /pay" || span.TraceID != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("span: %+v", span)
		}
	})
	t.Run("the key in every place", func(t *testing.T) {
		for _, headers := range [][]string{
			{"X-Mesher-Key", h.key}, {"Authorization", "bearer " + h.key}, {"X-Sentry-Auth", "Sentry sentry_key=" + h.key}, {"api_key", h.key}, {"sentry_key", h.key},
		} {
			path := "/v1/logs"
			if strings.HasSuffix(headers[0], "_key") {
				path += "?" + headers[0] + "=" + h.key
			}
			if a := h.raw(http.MethodPost, path, strings.NewReader(logsJSON(17)), append(headers, "Content-Type", inJSON)...); a.status != http.StatusOK {
				t.Errorf("%s: %+v", headers[0], a)
			}
		}
	})
	t.Run("sent again, it is the same", func(t *testing.T) {
		ids := func(body string) map[uuid.UUID]bool {
			before, out := h.bus.events(t), map[uuid.UUID]bool{}
			h.raw(http.MethodPost, "/v1/logs", strings.NewReader(body), append(key, "Content-Type", inJSON)...)
			for id, e := range h.bus.events(t) {
				if _, ok := before[id]; !ok {
					out[e.EventID] = true
				}
			}
			return out
		}
		first := ids(logsJSON(19, 19, 20))
		if diff := cmp.Diff(first, ids(logsJSON(19, 19, 20))); diff != "" || len(first) != 3 {
			t.Errorf("event ids (-first +again):\n%s", diff)
		}
	})
}

func TestExport_Failures(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	post := func(kind, key string) reply {
		body := logsJSON(17)
		if kind == inProtobuf {
			body = logsProtobuf(logProtobuf(17, "pb"))
		}
		return h.raw(http.MethodPost, "/v1/logs", strings.NewReader(body), "Content-Type", kind, "X-Mesher-Key", key)
	}
	for _, kind := range []string{"", "text/plain", "application/grpc"} {
		if a := post(kind, h.key); a.status != http.StatusUnsupportedMediaType || a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.body, "application/x-protobuf") {
			t.Errorf("%q: %+v", kind, a)
		}
	}
	h.bus.say(func(context.Context, string) error { return statusPermissionDenied() })
	for _, kind := range []string{inJSON, inProtobuf} {
		if a := post(kind, "nonsense"); a.status != http.StatusUnauthorized || a.header.Get("Content-Type") != kind || !strings.Contains(a.body, "mshr_") {
			t.Errorf("without a key: %+v", a)
		}
		a := post(kind, h.key)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "5" || a.header.Get("Content-Type") != kind || !strings.Contains(a.body, "could not be published") {
			t.Errorf("not published: %+v", a)
		}
		if wire := kind == inProtobuf; wire != strings.HasPrefix(a.body, "\x12") || wire == strings.HasPrefix(a.body, `{"message":`) {
			t.Errorf("the answer in %s is %q", kind, a.body)
		}
	}
}

func TestExport_CountsRecords(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	access, err := h.keys.access(t.Context(), h.key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := h.open(r, access)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	body := logsProtobuf(logProtobuf(9, "a"), logProtobuf(17, "b"), []byte{0x2a, 0x7f}, logProtobuf(16, "c"))
	if err := h.read(t.Context(), in, []byte(body), func(in *intake, body []byte) error {
		_, err := in.readExport(logSignal(), body, inProtobuf)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if in.others["otlp_log"] != 2 || len(in.items) != 1 || in.usage.Rejected != 1 {
		t.Errorf("%v others, %d events, %d rejected", in.others, len(in.items), in.usage.Rejected)
	}
}
