package otlp

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// The content types of requests and their answers.
const (
	ProtobufType = "application/x-protobuf"
	JSONType     = "application/json"
)

// ResponseType returns the Content-Type of the answer to a request with that Content-Type.
func ResponseType(contentType string) string {
	if inJSON, err := isJSON(contentType); err == nil && inJSON {
		return JSONType
	}
	return ProtobufType
}

// EmptyResponse returns the body that answers an export which was taken whole.
func EmptyResponse(contentType string) []byte {
	if ResponseType(contentType) == JSONType {
		return []byte("{}")
	}
	return []byte{}
}

// PartialResponse returns the body that answers an export of which rejected records were not taken, and why.
// Senders do not send those again.
func PartialResponse(contentType string, rejected int, message string, signal Signal) []byte {
	if ResponseType(contentType) == JSONType {
		key := [...]string{"rejectedLogRecords", "rejectedSpans"}[signal]
		dst := append([]byte(`{"partialSuccess":{"`), key...) // a number of 64 bits is a string
		dst = append(strconv.AppendInt(append(dst, `":"`...), int64(rejected), 10), '"')
		return append(rawjson.AppendString(append(dst, `,"errorMessage":`...), message), `}}`...)
	}
	var inner []byte
	if rejected != 0 {
		inner = protowire.AppendVarint(protowire.AppendTag(inner, 1, protowire.VarintType), uint64(rejected))
	}
	inner = protowire.AppendString(protowire.AppendTag(inner, 2, protowire.BytesType), strings.ToValidUTF8(message, "\ufffd"))
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
}

// ErrorResponse returns the body of an answer that is no success: a google.rpc.Status with a message for the
// sender.
func ErrorResponse(contentType, message string) []byte {
	if ResponseType(contentType) == JSONType {
		return append(rawjson.AppendString([]byte(`{"message":`), message), '}')
	}
	return protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), strings.ToValidUTF8(message, "\ufffd"))
}
