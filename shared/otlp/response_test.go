package otlp_test

import (
	"testing"

	"github.com/mesherhq/mesher/shared/otlp"
)

func TestResponses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, got, want string }{
		{"type of JSON", otlp.ResponseType("application/json; charset=utf-8"), "application/json"},
		{"type of protobuf", otlp.ResponseType("application/x-protobuf"), "application/x-protobuf"},
		{"type of nothing", otlp.ResponseType(""), "application/x-protobuf"},
		{"empty JSON", string(otlp.EmptyResponse(otlp.JSONType)), `{}`},
		{"empty protobuf", string(otlp.EmptyResponse(otlp.ProtobufType)), ""},
		{
			"partial logs in JSON", string(otlp.PartialResponse(otlp.JSONType, 3, "a \"b\"\xff", otlp.LogSignal)),
			`{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"a \"b\"` + "\ufffd" + `"}}`,
		},
		{
			"partial traces in JSON", string(otlp.PartialResponse(otlp.JSONType, 1, "x", otlp.TraceSignal)),
			`{"partialSuccess":{"rejectedSpans":"1","errorMessage":"x"}}`,
		},
		{"partial protobuf", string(otlp.PartialResponse(otlp.ProtobufType, 300, "x\xff", otlp.LogSignal)), "\x0a\x09\x08\xac\x02\x12\x04x\ufffd"},
		{"a warning in protobuf", string(otlp.PartialResponse(otlp.ProtobufType, 0, "x", otlp.TraceSignal)), "\x0a\x03\x12\x01x"},
		{"an error in JSON", string(otlp.ErrorResponse(otlp.JSONType, "no key")), `{"message":"no key"}`},
		{"an error in protobuf", string(otlp.ErrorResponse(otlp.ProtobufType, "no key")), "\x12\x06no key"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}
