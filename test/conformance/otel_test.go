package conformance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// caseKey is the attribute that tells an OpenTelemetry record apart: it has no id of its own.
const caseKey = "conformance_case"

func TestOpenTelemetryGo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		gzip bool
		lost bool // the first answers are lost on their way back, so that the exporter sends again
	}{
		{name: "plain"},
		{name: "with gzip", gzip: true},
		{name: "with answers that are lost", gzip: true, lost: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := mesher.URL
			var repeated atomic.Int64
			if tt.lost {
				address = forgetful(t, &repeated)
			}
			o := newOpenTelemetry(t, address, tt.gzip)
			o.records(t)
			o.slog(t)
			o.spans(t)
			o.check(t)
			if tt.lost && repeated.Load() == 0 {
				t.Error("no answer was lost: the test shows less than it says")
			}
		})
	}
}

// forgetful returns the address of a proxy that loses the first answer from each path after the platform has done
// its work.
func forgetful(t *testing.T, lost *atomic.Int64) string {
	t.Helper()
	target, err := url.Parse(mesher.URL)
	if err != nil {
		t.Fatal(err)
	}
	var logs, traces atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(resp *http.Response) error {
		first := &logs
		if resp.Request.URL.Path == "/v1/traces" {
			first = &traces
		}
		if resp.StatusCode == http.StatusOK && first.CompareAndSwap(false, true) {
			lost.Add(1)
			resp.StatusCode = http.StatusServiceUnavailable
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// openTelemetry is a program that uses the SDK and its exporters.
type openTelemetry struct {
	logs   *sdklog.LoggerProvider
	traces *sdktrace.TracerProvider
	wants  map[string]want // by case
	never  []string        // cases of what becomes no event
}

func newOpenTelemetry(t *testing.T, address string, compressed bool) *openTelemetry {
	t.Helper()
	headers := map[string]string{"Authorization": "Bearer " + mesher.APIKey}
	logOptions := []otlploghttp.Option{
		otlploghttp.WithEndpointURL(address + "/v1/logs"), otlploghttp.WithHeaders(headers), otlploghttp.WithRetry(otlploghttp.RetryConfig{
			Enabled: true, InitialInterval: 10 * time.Millisecond, MaxInterval: time.Second, MaxElapsedTime: flushTime,
		}),
	}
	traceOptions := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(address + "/v1/traces"), otlptracehttp.WithHeaders(headers), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 10 * time.Millisecond, MaxInterval: time.Second, MaxElapsedTime: flushTime,
		}),
	}
	if compressed {
		logOptions = append(logOptions, otlploghttp.WithCompression(otlploghttp.GzipCompression))
		traceOptions = append(traceOptions, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	logs, err := otlploghttp.New(t.Context(), logOptions...)
	if err != nil {
		t.Fatal(err)
	}
	traces, err := otlptracehttp.New(t.Context(), traceOptions...)
	if err != nil {
		t.Fatal(err)
	}
	from := resource.NewSchemaless(
		attribute.String("service.name", "shop"), attribute.String("service.version", "1.2.3"),
		attribute.String("deployment.environment.name", "conformance"), attribute.String("host.name", "test.example"),
		attribute.String("telemetry.sdk.language", "go"),
	)
	return &openTelemetry{
		logs:   sdklog.NewLoggerProvider(sdklog.WithResource(from), sdklog.WithProcessor(sdklog.NewBatchProcessor(logs))),
		traces: sdktrace.NewTracerProvider(sdktrace.WithResource(from), sdktrace.WithBatcher(traces)),
		wants:  map[string]want{},
	}
}

// expect returns the case of an event that is to be stored.
func (o *openTelemetry) expect(name, level, top string, row object) string {
	id := uuid.NewString()
	row["level"], row["environment"], row["server_name"], row["release"] = level, "conformance", "test.example", "shop@1.2.3"
	o.wants[id] = want{name, row, top, 1}
	return id
}

// ignore returns the case of what becomes no event.
func (o *openTelemetry) ignore() string {
	id := uuid.NewString()
	o.never = append(o.never, id)
	return id
}

// records emits log records.
func (o *openTelemetry) records(t *testing.T) {
	t.Helper()
	logger := o.logs.Logger("orders")
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	emit := func(id string, severity log.Severity, body attribute.Value, attributes ...attribute.KeyValue) {
		var r log.Record
		r.SetTimestamp(at)
		r.SetSeverity(severity)
		r.SetBody(body)
		r.AddAttributes(append(attributes, attribute.String(caseKey, id))...)
		logger.Emit(t.Context(), r)
	}
	emit(o.expect("an error", "error", "", object{
		"message": "the order is lost", "logger": "orders", "occurred_at": "2026-03-01T12:00:00.123456+00:00",
		"tags": object{"shop": "north"},
	}), log.SeverityError, attribute.StringValue("the order is lost"), attribute.String("shop", "north"))
	emit(o.expect("the worst", "fatal", "", object{"message": "out of memory"}), log.SeverityFatal4, attribute.StringValue("out of memory"))
	emit(o.expect("an exception", "error", "save", object{
		"exception_type": "*fs.PathError", "exception_value": "open orders.db: no such file", "platform": "go",
	}), log.SeverityError, attribute.StringValue("cannot save"), attribute.String("exception.type", "*fs.PathError"),
		attribute.String("exception.message", "open orders.db: no such file"), attribute.String("exception.stacktrace", goroutineTrace))
	emit(o.expect("an exception that is no error", "warning", "", object{"exception_type": "RetryError", "message": "trying again"}),
		log.SeverityWarn, attribute.StringValue("trying again"), attribute.String("exception.type", "RetryError"))
	emit(o.expect("odd text", "error", "", object{"message": "before\uFFFDafter \u202E 世界", "extra": object{"otel": object{
		"attributes": object{"deep": object{"list": []any{1, "two\uFFFD", true}}},
	}}}), log.SeverityError, attribute.StringValue("before\x00after \u202E 世界"),
		attribute.Map("deep", attribute.Slice("list", attribute.Int64Value(1), attribute.StringValue("two\x00"), attribute.BoolValue(true))))
	emit(o.expect("a map", "error", "", object{"message": "inside", "extra": object{"otel": object{"body": object{"code": 7}}}}),
		log.SeverityError, attribute.MapValue(attribute.String("message", "inside"), attribute.Int64("code", 7)))
	emit(o.ignore(), log.SeverityInfo, attribute.StringValue("all is well"))
	emit(o.ignore(), log.SeverityWarn, attribute.StringValue("not too bad"))
	for i := range 50 {
		emit(o.expect("one of many", "error", "", object{"message": fmt.Sprint("line ", i)}), log.SeverityError, attribute.StringValue(fmt.Sprint("line ", i)))
	}
	// Three that are alike to the last bit: nothing tells that they are not one.
	alike := o.expect("one of three", "error", "", object{"message": "again"})
	o.wants[alike] = want{"three alike", o.wants[alike].row, "", 3}
	for range 3 {
		emit(alike, log.SeverityError, attribute.StringValue("again"))
	}
}

// slog logs the way most Go programs do.
func (o *openTelemetry) slog(t *testing.T) {
	t.Helper()
	logger := slog.New(otelslog.NewHandler("shop/log", otelslog.WithLoggerProvider(o.logs), otelslog.WithSource(true)))
	err := fmt.Errorf("charge the card: %w", errPlain)
	logger.Error("payment failed", "error", err, caseKey, o.expect("slog with an error", "error", "", object{
		// The SDK names the type of what fmt.Errorf wraps.
		"message": "payment failed", "exception_type": "*errors.errorString", "exception_value": "charge the card: the disk is full", "logger": "shop/log",
	}))
	logger.ErrorContext(t.Context(), "just words", caseKey, o.expect("slog without an error", "error", "", object{"message": "just words"}))
	logger.Info("all is well", caseKey, o.ignore())
}

// spans records exceptions in spans.
func (o *openTelemetry) spans(t *testing.T) {
	t.Helper()
	ctx, span := o.traces.Tracer("orders").Start(t.Context(), "POST /orders", trace.WithAttributes(attribute.String("shop", "north")))
	note := func(name string, err error, options ...trace.EventOption) {
		id := o.expect(name, "error", "", object{
			"exception_value": err.Error(), "transaction": "POST /orders", "trace_id": span.SpanContext().TraceID().String(),
			"contexts": object{"trace": object{"span_id": span.SpanContext().SpanID().String()}},
		})
		span.RecordError(err, append(options, trace.WithAttributes(attribute.String(caseKey, id)))...)
	}
	note("a span's exception", errPlain)
	note("a span's exception with its stack", errors.New("deep down"), trace.WithStackTrace(true))
	o.logs.Logger("orders").Emit(ctx, within(o.expect("a record within a span", "error", "", object{
		"trace_id": span.SpanContext().TraceID().String(), "message": "in the middle",
	})))
	span.AddEvent("no exception", trace.WithAttributes(attribute.String(caseKey, o.ignore())))
	span.End()
}

// within returns a record that is emitted while a span is open.
func within(id string) (r log.Record) {
	r.SetSeverity(log.SeverityError)
	r.SetBody(attribute.StringValue("in the middle"))
	r.AddAttributes(attribute.String(caseKey, id))
	return r
}

// check sends what is left and looks at all of it.
func (o *openTelemetry) check(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), flushTime)
	defer cancel()
	if err := errors.Join(o.logs.Shutdown(ctx), o.traces.Shutdown(ctx)); err != nil {
		t.Fatal(err)
	}
	checkCases(t, o.wants, o.never)
}

// goroutineTrace is a stack trace as the runtime writes it.
const goroutineTrace = `goroutine 7 [running]:
shop.example/orders.save(0x1)
	/srv/shop/orders/save.go:41 +0x1d
main.main()
	/srv/shop/main.go:9 +0x25
`
