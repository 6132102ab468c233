package otlp

import "google.golang.org/protobuf/encoding/protowire"

// kind is the type of a field.
type kind uint8

const (
	textKind     kind = iota
	bytesKind         // base64 in JSON
	idKind            // hexadecimal in JSON
	fixed64Kind       // unsigned; a number or a string in JSON
	fixed32Kind       // as well
	varintKind        // as well
	signedKind        // as well, signed
	severityKind      // a number, or its name in JSON
	doubleKind
	boolKind
	messageKind
	recordKind // a message that may be broken without spoiling what surrounds it
)

// wire returns how protobuf writes a field of that type.
func (k kind) wire() protowire.Type {
	switch k {
	case fixed64Kind, doubleKind:
		return protowire.Fixed64Type
	case fixed32Kind:
		return protowire.Fixed32Type
	case varintKind, signedKind, severityKind, boolKind:
		return protowire.VarintType
	default:
		return protowire.BytesType
	}
}

// name is what a field is called in JSON: both spellings are accepted.
type name struct {
	camel, snake string
	number       protowire.Number
	kind         kind
	repeated     bool
}

// shape is the fields of a message that matter.
type shape []name

// byNumber returns the field of that number, or nil.
func (s shape) byNumber(number protowire.Number) *name {
	for i := range s {
		if s[i].number == number {
			return &s[i]
		}
	}
	return nil
}

// byName returns the field called key, or nil.
func (s shape) byName(key []byte) *name {
	for i := range s {
		if string(key) == s[i].camel || string(key) == s[i].snake {
			return &s[i]
		}
	}
	return nil
}

// Fields that have the same number in both signals.
const (
	groupResource = 1
	groupScopes   = 2
	scopeScope    = 1
	scopeRecords  = 2
)

// The messages, from the outermost to AnyValue. Those that differ between the signals are indexed by Signal.
var (
	exportShapes = [...]shape{
		{{"resourceLogs", "resource_logs", 1, messageKind, true}},
		{{"resourceSpans", "resource_spans", 1, messageKind, true}},
	}
	groupShapes = [...]shape{
		{{"resource", "resource", groupResource, messageKind, false}, {"scopeLogs", "scope_logs", groupScopes, messageKind, true}},
		{{"resource", "resource", groupResource, messageKind, false}, {"scopeSpans", "scope_spans", groupScopes, messageKind, true}},
	}
	scopeShapes = [...]shape{
		{{"scope", "scope", scopeScope, messageKind, false}, {"logRecords", "log_records", scopeRecords, recordKind, true}},
		{{"scope", "scope", scopeScope, messageKind, false}, {"spans", "spans", scopeRecords, recordKind, true}},
	}
	resourceShape = []name{{"attributes", "attributes", 1, messageKind, true}}
	scopeShape    = []name{
		{"name", "name", 1, textKind, false},
		{"version", "version", 2, textKind, false},
		{"attributes", "attributes", 3, messageKind, true},
	}
	logShape = []name{
		{"timeUnixNano", "time_unix_nano", 1, fixed64Kind, false},
		{"severityNumber", "severity_number", 2, severityKind, false},
		{"severityText", "severity_text", 3, textKind, false},
		{"body", "body", 5, messageKind, false},
		{"attributes", "attributes", 6, messageKind, true},
		{"droppedAttributesCount", "dropped_attributes_count", 7, varintKind, false},
		{"flags", "flags", 8, fixed32Kind, false},
		{"traceId", "trace_id", 9, idKind, false},
		{"spanId", "span_id", 10, idKind, false},
		{"observedTimeUnixNano", "observed_time_unix_nano", 11, fixed64Kind, false},
		{"eventName", "event_name", 12, textKind, false},
	}
	spanShape = []name{
		{"traceId", "trace_id", 1, idKind, false},
		{"spanId", "span_id", 2, idKind, false},
		{"parentSpanId", "parent_span_id", 4, idKind, false},
		{"name", "name", 5, textKind, false},
		{"kind", "kind", 6, severityKind, false},
		{"startTimeUnixNano", "start_time_unix_nano", 7, fixed64Kind, false},
		{"endTimeUnixNano", "end_time_unix_nano", 8, fixed64Kind, false},
		{"attributes", "attributes", 9, messageKind, true},
		{"droppedAttributesCount", "dropped_attributes_count", 10, varintKind, false},
		{"events", "events", 11, recordKind, true},
		{"status", "status", 15, messageKind, false},
	}
	statusShape = []name{
		{"message", "message", 2, textKind, false},
		{"code", "code", 3, severityKind, false},
	}
	eventShape = []name{
		{"timeUnixNano", "time_unix_nano", 1, fixed64Kind, false},
		{"name", "name", 2, textKind, false},
		{"attributes", "attributes", 3, messageKind, true},
		{"droppedAttributesCount", "dropped_attributes_count", 4, varintKind, false},
	}
	keyValueShape = []name{
		{"key", "key", 1, textKind, false},
		{"value", "value", 2, messageKind, false},
	}
	listShape = []name{{"values", "values", 1, messageKind, true}}
	anyShape  = []name{
		{"stringValue", "string_value", protowire.Number(stringValue), textKind, false},
		{"boolValue", "bool_value", protowire.Number(boolValue), boolKind, false},
		{"intValue", "int_value", protowire.Number(intValue), signedKind, false},
		{"doubleValue", "double_value", protowire.Number(doubleValue), doubleKind, false},
		{"arrayValue", "array_value", protowire.Number(arrayValue), messageKind, false},
		{"kvlistValue", "kvlist_value", protowire.Number(mapValue), messageKind, false},
		{"bytesValue", "bytes_value", protowire.Number(bytesValue), bytesKind, false},
	}
)
