// Drives OpenTelemetry's exporters for JavaScript: node otel.mjs. Writes what becomes an event, and what does not, as
// JSON.
import { randomUUID } from 'node:crypto';
import { SeverityNumber, SpanStatusCode } from '@opentelemetry/api';
import { OTLPLogExporter as JSONLogs } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtobufLogs } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPTraceExporter as JSONTraces } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { caught } from './scenarios.mjs';

const headers = { Authorization: `Bearer ${process.env.MESHER_KEY}` };
const resource = resourceFromAttributes({
  'service.name': 'shop', 'service.version': '1.2.3', 'deployment.environment.name': 'conformance', 'host.name': 'test.example',
  'telemetry.sdk.language': 'nodejs',
});
const events = [];
const never = [];

// expect returns the attributes of what becomes an event, by which it is found.
function expect(name, want, top = '') {
  const id = randomUUID();
  const usual = { level: 'error', environment: 'conformance', server_name: 'test.example', release: 'shop@1.2.3' };
  events.push({ case: id, name, want: { ...usual, ...want }, top });
  return { conformance_case: id };
}

function ignored() {
  never.push(randomUUID());
  return { conformance_case: never.at(-1) };
}

async function logs(kind, exporter) {
  const provider = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter })] });
  const logger = provider.getLogger('orders');
  const error = SeverityNumber.ERROR;
  const name = (what) => `${what} in ${kind}`;
  logger.emit({
    severityNumber: error, body: 'the order is lost', timestamp: 1772366400123,
    attributes: { shop: 'north', ...expect(name('an error'), { message: 'the order is lost', logger: 'orders', tags: { shop: 'north' }, occurred_at: '2026-03-01T12:00:00.123+00:00' }) },
  });
  logger.emit({ severityNumber: SeverityNumber.FATAL4, body: 'out of memory', attributes: expect(name('the worst'), { level: 'fatal', message: 'out of memory' }) });
  logger.emit({
    severityNumber: error, body: 'cannot save', exception: caught('disk is full'),
    attributes: expect(name('an exception'), { message: 'cannot save', exception_type: 'TypeError', exception_value: 'disk is full' }, 'functionThatFails'),
  });
  logger.emit({
    severityNumber: error, body: { message: 'inside', code: 7, list: [1, 'two', null, true], deep: { bytes: new Uint8Array([1, 2]) } },
    attributes: expect(name('a map'), { message: 'inside', extra: { otel: { body: { code: 7, list: [1, 'two', null, true] } } } }),
  });
  logger.emit({
    severityNumber: error, body: 'before\u0000after 世界', attributes: { text: 'Grüße \u0000', list: ['a', 'b'], number: 1.5, ...expect(name('odd text'), {
      message: 'before\ufffdafter 世界', extra: { otel: { attributes: { text: 'Grüße \ufffd', list: ['a', 'b'], number: 1.5 } } },
    }) },
  });
  logger.emit({ severityNumber: error, eventName: 'order.lost', attributes: expect(name('an event without a body'), { message: 'order.lost' }) });
  logger.emit({ severityNumber: SeverityNumber.INFO, body: 'all is well', attributes: ignored() });
  logger.emit({ body: 'who knows how bad', attributes: ignored() });
  for (let i = 0; i < 50; i++) {
    logger.emit({ severityNumber: error, body: `line ${i}`, attributes: expect(name('one of many'), { message: `line ${i}` }) });
  }
  await provider.forceFlush();
  await provider.shutdown();
}

async function spans() {
  const exporter = new JSONTraces({ url: `${process.env.MESHER_URL}/v1/traces`, headers, compression: 'gzip' });
  const provider = new TracerProvider({ resource, spanProcessors: [new BatchSpanProcessor({ exporter })] });
  const span = provider.getTracer('orders').startSpan('POST /orders');
  const { traceId, spanId } = span.spanContext();
  const error = caught('while the span was open');
  span.addEvent('exception', {
    'exception.type': error.name, 'exception.message': error.message, 'exception.stacktrace': error.stack,
    ...expect('an exception of a span', {
      exception_type: 'TypeError', exception_value: 'while the span was open', transaction: 'POST /orders', trace_id: traceId,
      contexts: { trace: { span_id: spanId } },
    }, 'functionThatFails'),
  });
  span.addEvent('something else', ignored());
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
  await provider.forceFlush();
  await provider.shutdown();
}

const url = `${process.env.MESHER_URL}/v1/logs`;
await logs('JSON', new JSONLogs({ url, headers }));
await logs('JSON with gzip', new JSONLogs({ url, headers, compression: 'gzip' }));
await logs('protobuf', new ProtobufLogs({ url, headers }));
await logs('protobuf with gzip', new ProtobufLogs({ url, headers, compression: 'gzip' }));
await spans();
process.stdout.write(JSON.stringify({ events, never }));
