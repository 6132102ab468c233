package otlp_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"sort"
	"strconv"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// spec is a field as the .proto files have it. The type is a scalar, or the name of a message.
type spec struct {
	number   protowire.Number
	kind     string
	repeated bool
}

// protos are the messages of opentelemetry-proto 1.x, by the names of their fields in JSON.
var protos = map[string]map[string]spec{
	"Logs":          {"resourceLogs": {1, "ResourceLogs", true}},
	"Traces":        {"resourceSpans": {1, "ResourceSpans", true}},
	"ResourceLogs":  {"resource": {1, "Resource", false}, "scopeLogs": {2, "ScopeLogs", true}, "schemaUrl": {3, "string", false}},
	"ResourceSpans": {"resource": {1, "Resource", false}, "scopeSpans": {2, "ScopeSpans", true}, "schemaUrl": {3, "string", false}},
	"Resource":      {"attributes": {1, "KeyValue", true}, "droppedAttributesCount": {2, "varint", false}},
	"ScopeLogs":     {"scope": {1, "Scope", false}, "logRecords": {2, "LogRecord", true}, "schemaUrl": {3, "string", false}},
	"ScopeSpans":    {"scope": {1, "Scope", false}, "spans": {2, "Span", true}, "schemaUrl": {3, "string", false}},
	"Scope":         {"name": {1, "string", false}, "version": {2, "string", false}, "attributes": {3, "KeyValue", true}, "droppedAttributesCount": {4, "varint", false}},
	"LogRecord": {
		"timeUnixNano": {1, "fixed64", false}, "severityNumber": {2, "varint", false}, "severityText": {3, "string", false}, "body": {5, "AnyValue", false},
		"attributes": {6, "KeyValue", true}, "droppedAttributesCount": {7, "varint", false}, "flags": {8, "fixed32", false}, "traceId": {9, "hex", false},
		"spanId": {10, "hex", false}, "observedTimeUnixNano": {11, "fixed64", false}, "eventName": {12, "string", false},
	},
	"Span": {
		"traceId": {1, "hex", false}, "spanId": {2, "hex", false}, "traceState": {3, "string", false}, "parentSpanId": {4, "hex", false}, "name": {5, "string", false},
		"kind": {6, "varint", false}, "startTimeUnixNano": {7, "fixed64", false}, "endTimeUnixNano": {8, "fixed64", false}, "attributes": {9, "KeyValue", true},
		"droppedAttributesCount": {10, "varint", false}, "events": {11, "Event", true}, "status": {15, "Status", false},
	},
	"Event":      {"timeUnixNano": {1, "fixed64", false}, "name": {2, "string", false}, "attributes": {3, "KeyValue", true}, "droppedAttributesCount": {4, "varint", false}},
	"Status":     {"message": {2, "string", false}, "code": {3, "varint", false}},
	"KeyValue":   {"key": {1, "string", false}, "value": {2, "AnyValue", false}},
	"ArrayValue": {"values": {1, "AnyValue", true}},
	"KvList":     {"values": {1, "KeyValue", true}},
	"AnyValue": {
		"stringValue": {1, "string", false}, "boolValue": {2, "bool", false}, "intValue": {3, "varint", false}, "doubleValue": {4, "double", false},
		"arrayValue": {5, "ArrayValue", false}, "kvlistValue": {6, "KvList", false}, "bytesValue": {7, "base64", false},
	},
}

// object is a message as a tree of JSON.
type object = map[string]any

// tree reads JSON with its numbers as they stand.
func tree(t testing.TB, raw []byte) object {
	t.Helper()
	var o object
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

// protobuf writes a message in protobuf.
func protobuf(t testing.TB, message string, o object) []byte {
	t.Helper()
	specs := protos[message]
	names := make([]string, 0, len(o))
	for name := range o {
		if _, ok := specs[name]; ok && o[name] != nil {
			names = append(names, name)
		}
	}
	sort.Slice(names, func(i, j int) bool { return specs[names[i]].number < specs[names[j]].number })
	dst := []byte{}
	for _, name := range names {
		s := specs[name]
		if !s.repeated {
			dst = appendField(t, dst, s, o[name])
			continue
		}
		for _, element := range o[name].([]any) {
			dst = appendField(t, dst, s, element)
		}
	}
	return dst
}

func appendField(t testing.TB, dst []byte, s spec, v any) []byte {
	t.Helper()
	tag := func(wire protowire.Type) []byte { return protowire.AppendTag(dst, s.number, wire) }
	switch s.kind {
	case "string":
		return protowire.AppendString(tag(protowire.BytesType), v.(string))
	case "bool":
		return protowire.AppendVarint(tag(protowire.VarintType), protowire.EncodeBool(v.(bool)))
	case "varint":
		return protowire.AppendVarint(tag(protowire.VarintType), whole(t, v))
	case "fixed64":
		return protowire.AppendFixed64(tag(protowire.Fixed64Type), whole(t, v))
	case "fixed32":
		return protowire.AppendFixed32(tag(protowire.Fixed32Type), uint32(whole(t, v)))
	case "double":
		x, err := strconv.ParseFloat(scalar(v), 64)
		if err != nil {
			t.Fatal(err)
		}
		return protowire.AppendFixed64(tag(protowire.Fixed64Type), math.Float64bits(x))
	case "hex":
		id, _ := hex.DecodeString(v.(string)) // what is no id is cut, and no id either
		return protowire.AppendBytes(tag(protowire.BytesType), id)
	case "base64":
		data, err := base64.StdEncoding.DecodeString(v.(string))
		if err != nil {
			t.Fatal(err)
		}
		return protowire.AppendBytes(tag(protowire.BytesType), data)
	default:
		return protowire.AppendBytes(tag(protowire.BytesType), protobuf(t, s.kind, v.(object)))
	}
}

// scalar returns the text of a number or string.
func scalar(v any) string {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case string:
		return v
	}
	raw, _ := json.Marshal(v)
	return string(raw)
}

// whole returns a whole number that may be negative or a string.
func whole(t testing.TB, v any) uint64 {
	t.Helper()
	text := scalar(v)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return uint64(n)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
