package sentry

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"io"

	"github.com/mesherhq/mesher/shared/fault"
)

// DecodeStore returns the event in the body of a request to the store endpoint: the body itself if that is JSON,
// else what base64 and zlib make of it, as raven sends it. More than most bytes of JSON are fault.TooLarge,
// anything else that is wrong is fault.Invalid. That the result is valid JSON is for the Converter to find out.
func DecodeStore(body []byte, most int64) ([]byte, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if isObject(body) {
		if int64(len(body)) > most {
			return nil, tooLong(most)
		}
		return body, nil
	}
	if len(body) == 0 {
		return nil, fault.New(fault.Invalid, "the body is empty: it must be an event as a JSON object")
	}
	packed, err := unbase64(body)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the body is neither a JSON object nor base64")
	}
	if isObject(packed) {
		if int64(len(packed)) > most {
			return nil, tooLong(most)
		}
		return packed, nil
	}
	return inflate(packed, most)
}

// unbase64 decodes base64 of either alphabet, with or without padding and line breaks.
func unbase64(body []byte) ([]byte, error) {
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(body, "-_") {
		encoding = base64.RawURLEncoding
	}
	body = bytes.TrimRight(body, "=\r\n")
	out := make([]byte, encoding.DecodedLen(len(body)))
	n, err := encoding.Decode(out, body)
	return out[:n], err
}

// inflate unpacks zlib into at most most bytes.
func inflate(packed []byte, most int64) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the body is base64, but neither of a JSON object nor of zlib")
	}
	out, err := io.ReadAll(io.LimitReader(z, most+1))
	switch {
	case int64(len(out)) > most:
		return nil, tooLong(most)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fault.Wrap(err, fault.Invalid, "the body ends in the middle of its zlib data")
	case err != nil:
		return nil, fault.Wrap(err, fault.Invalid, "the zlib data of the body is damaged")
	}
	return out, nil
}

// isObject reports whether text begins like a JSON object.
func isObject(text []byte) bool { return len(text) > 0 && text[0] == '{' }

func tooLong(most int64) error {
	return fault.New(fault.TooLarge, "the event has more than %d bytes, which is the limit", most)
}
