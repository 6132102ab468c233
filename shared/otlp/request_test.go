package otlp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/otlp"
	"github.com/mesherhq/mesher/shared/rawjson"
)

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, contentType string
		kind                    fault.Kind
	}{
		{"no content type", `{}`, "", fault.Unsupported},
		{"another content type", `{}`, "text/plain", fault.Unsupported},
		{"no JSON", ``, otlp.JSONType, fault.Invalid},
		{"broken JSON", `{"resourceLogs":[`, otlp.JSONType, fault.Invalid},
		{"text behind the JSON", `{} {}`, otlp.JSONType, fault.Invalid},
		{"an array", `[]`, otlp.JSONType, fault.Invalid},
		{"groups that are no array", `{"resourceLogs":{}}`, otlp.JSONType, fault.Invalid},
		{"a group that is no object", `{"resourceLogs":[1]}`, otlp.JSONType, fault.Invalid},
		{"scopes that are no array", `{"resourceLogs":[{"scopeLogs":"x"}]}`, otlp.JSONType, fault.Invalid},
		{"records that are no array", `{"resourceLogs":[{"scopeLogs":[{"logRecords":1}]}]}`, otlp.JSONType, fault.Invalid},
		{"deep JSON", strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000), otlp.JSONType, fault.Invalid},
		{"a truncated message", "\x0a\x05\x12", otlp.ProtobufType, fault.Invalid},
		{"a truncated group", "\x0a\x02\x12\x05", otlp.ProtobufType, fault.Invalid},
		{"JSON as protobuf", `{"resourceLogs":[]}`, otlp.ProtobufType, fault.Invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := otlp.Logs([]byte(tt.body), tt.contentType); !fault.Is(err, tt.kind) {
				t.Errorf("error %v, want one of kind %s", err, tt.kind)
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ body, contentType string }{
		{"", otlp.ProtobufType},
		{"", "application/protobuf"},
		{"{}", otlp.JSONType},
		{` {"resourceLogs":null,"resource_spans":[]} `, "Application/JSON; charset=utf-8"},
		{`{"resourceLogs":[{},{"scopeLogs":null},{"scopeLogs":[{},{"logRecords":[]}]}]}`, otlp.JSONType},
		{"\x0a\x00\x0a\x02\x12\x00\x98\x06\x01", otlp.ProtobufType}, // with an unknown field
	} {
		if list, rejected := natives(t, []byte(tt.body), tt.contentType, otlp.LogSignal); len(list) != 0 || rejected != 0 {
			t.Errorf("%q: %d records, %d rejected", tt.body, len(list), rejected)
		}
	}
}

// messages returns the messages of the events of an export, and how many were rejected.
func messages(t *testing.T, body []byte, contentType string) (list []string, rejected int) {
	t.Helper()
	raws, rejected := natives(t, body, contentType, otlp.LogSignal)
	for _, raw := range raws {
		list = append(list, rawjson.Unquote(rawjson.Lookup([]byte(raw), "message")))
	}
	return list, rejected
}

func TestMalformedRecords(t *testing.T) {
	t.Parallel()
	body := func(text string) string { return `{"body":{"stringValue":"` + text + `"}}` }
	broken := []string{
		`1`, `null`, `"x"`, `[]`, `{"body":1}`, `{"attributes":{}}`, `{"attributes":[1]}`, `{"attributes":[null]}`, `{"attributes":[{"value":"x"}]}`,
		`{"timeUnixNano":"soon"}`, `{"timeUnixNano":-1}`, `{"timeUnixNano":[]}`, `{"body":{"intValue":"1.5"}}`, `{"body":{"intValue":true}}`,
		`{"body":{"boolValue":1}}`, `{"body":{"doubleValue":"0x10"}}`, `{"body":{"bytesValue":"!"}}`, `{"body":{"stringValue":{}}}`,
		`{"body":{"arrayValue":{"values":[{"intValue":"x"}]}}}`, `{"body":{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":[]}}]}}}`,
	}
	records := []string{body("first")}
	for i, raw := range broken {
		records = append(records, raw, body(fmt.Sprint(i)))
	}
	list, rejected := messages(t, export(records...), otlp.JSONType)
	if rejected != len(broken) || len(list) != len(broken)+1 || list[0] != "first" {
		t.Errorf("%d rejected of %d, messages %q", rejected, len(broken), list)
	}

	record := func(raw []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), raw)
	}
	good := func(text string) []byte { return record(protobuf(t, "LogRecord", tree(t, []byte(body(text))))) }
	scope := slicesConcat(good("a"), record([]byte("\x2a\x05\x0a")), good("b"), record([]byte("\x32\x04\x12\x02\x0a\x09")),
		record([]byte("\x2a\x06\x2a\x04\x0a\x02\x0a\x09")), record([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")), good("c"))
	group := protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), scope)
	list, rejected = messages(t, protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), group), otlp.ProtobufType)
	if diff := cmp.Diff([]string{"a", "b", "c"}, list); rejected != 4 || diff != "" {
		t.Errorf("%d rejected, messages %s", rejected, diff)
	}
}

func slicesConcat(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }

func TestMalformedSpans(t *testing.T) {
	t.Parallel()
	body := `{"resourceSpans":[{"scopeSpans":[{"spans":[
		{"name":1e1000000,"events":[{"name":"exception"},{"name":"exception","attributes":7},{"name":"other","timeUnixNano":"x"},{"name":"exception"}]},
		{"attributes":7,"events":[{"name":"exception"}]}, 5, {"events":7}, {"events":[{"name":"exception"}]}]}]}]}`
	list, rejected := natives(t, []byte(body), otlp.JSONType, otlp.TraceSignal)
	if len(list) != 3 || rejected != 4 {
		t.Errorf("%d exceptions, %d spans rejected", len(list), rejected)
	}
}

// TestOddForms writes the same record as it should be and as clients send it.
func TestOddForms(t *testing.T) {
	t.Parallel()
	want, _ := natives(t, export(`{"timeUnixNano":"1795305600000000000","severityNumber":17,"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",`+
		`"body":{"stringValue":"5"},"attributes":[{"key":"i","value":{"intValue":"-5"}},{"key":"d","value":{"doubleValue":2}},{"key":"b","value":{"boolValue":true}},`+
		`{"key":"x","value":{"bytesValue":"+/8="}},{"key":"n"}]}`), otlp.JSONType, otlp.LogSignal)
	got, rejected := natives(t, []byte(`{"resource_logs":[{"unknown":[{}],"scope_logs":[{"log_records":[{"time_unix_nano":1795305600000000000,"severity_number":"SEVERITY_NUMBER_ERROR",`+
		`"trace_id":"W47/95gDgQPSabYzgT/GDA==","span_id":"7uGbfsPBsXQ=","observed_time_unix_nano":null,"body":{"string_value":5},"attributes":[`+
		`{"\u006bey":"i","value":{"int_value":-5.0,"unknown":1}},{"value":{"stringValue":"first","double_value":"2.0"},"key":"d"},{"key":"b","value":{"bool_value":"true"}},`+
		`{"key":"x","value":{"bytes_value":"-_8"}},{"key":"n","value":null}]}]}]}]}`), otlp.JSONType, otlp.LogSignal)
	if diff := cmp.Diff(withoutIDs(want), withoutIDs(got)); rejected != 0 || diff != "" {
		t.Errorf("%d rejected\n%s", rejected, diff)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	ids := func(body string) (list []string) {
		raws, _ := natives(t, []byte(body), otlp.JSONType, otlp.LogSignal)
		for _, raw := range raws {
			list = append(list, rawjson.Unquote(rawjson.Lookup([]byte(raw), "event_id")))
		}
		return list
	}
	format := `{"resourceLogs":[{"resource":{"attributes":[{"key":"r","value":{"intValue":%d}}]},"scopeLogs":[{"scope":{"name":"s%d"},"logRecords":[{"flags":%d},{"flags":%[3]d},{"flags":9}]}]}]}`
	one := ids(fmt.Sprintf(format, 1, 1, 1))
	if again := ids(" " + fmt.Sprintf(format, 1, 1, 1)); !cmp.Equal(one, again) {
		t.Errorf("sent again, %v became %v", one, again)
	}
	if one[0] == one[1] || one[0][14] != '8' {
		t.Errorf("ids of twins: %v", one)
	}
	for _, other := range [][]string{ids(fmt.Sprintf(format, 2, 1, 1)), ids(fmt.Sprintf(format, 1, 2, 1))} {
		for i := range one {
			if one[i] == other[i] {
				t.Errorf("records of another resource or scope have the same ids: %v", other)
			}
		}
	}
	if other := ids(fmt.Sprintf(format, 1, 1, 3)); other[0] == one[0] || other[2] != one[2] {
		t.Errorf("what is sent with a record changes its id: %v, %v", one, other)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("records", func(t *testing.T) {
		t.Parallel()
		body := export(strings.TrimSuffix(strings.Repeat(`{},`, otlp.MaxRecords+3), ","))
		if list, rejected := natives(t, body, otlp.JSONType, otlp.LogSignal); len(list) != otlp.MaxRecords || rejected != 3 {
			t.Errorf("%d records, %d rejected", len(list), rejected)
		}
	})
	t.Run("exceptions of a span", func(t *testing.T) {
		t.Parallel()
		events := strings.TrimSuffix(strings.Repeat(`{"name":"exception"},`, otlp.MaxEvents+3), ",")
		body := []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"events":[` + events + `]}]}]}]}`)
		if list, rejected := natives(t, body, otlp.JSONType, otlp.TraceSignal); len(list) != otlp.MaxEvents || rejected != 1 {
			t.Errorf("%d exceptions, %d rejected", len(list), rejected)
		}
	})
	t.Run("exceptions of all spans", func(t *testing.T) {
		t.Parallel()
		span := `{"events":[` + strings.TrimSuffix(strings.Repeat(`{"name":"exception"},`, 100), ",") + `]}`
		body := []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.TrimSuffix(strings.Repeat(span+",", 105), ",") + `]}]}]}`)
		if list, rejected := natives(t, body, otlp.JSONType, otlp.TraceSignal); len(list) != otlp.MaxRecords || rejected != 5 {
			t.Errorf("%d exceptions, %d rejected", len(list), rejected)
		}
	})
	t.Run("attributes and tags", func(t *testing.T) {
		t.Parallel()
		var list []string
		for i := range otlp.MaxAttributes + 7 {
			list = append(list, fmt.Sprintf(`{"key":"k%d","value":{"intValue":%d}}`, i, i))
		}
		e := only(t, `{"attributes":[`+strings.Join(list, ",")+`],"droppedAttributesCount":1}`)
		var extra struct {
			Otel struct {
				Attributes map[string]int
				Dropped    int `json:"dropped_attributes_count"`
			}
		}
		var tags map[string]string
		if json.Unmarshal(e.Extra, &extra) != nil || json.Unmarshal(e.Tags, &tags) != nil {
			t.Fatalf("%s %s", e.Extra, e.Tags)
		}
		if len(extra.Otel.Attributes) != otlp.MaxAttributes || extra.Otel.Dropped != 8 || len(tags) != otlp.MaxTags || e.Meta != nil {
			t.Errorf("%d attributes, %d dropped, %d tags, %s", len(extra.Otel.Attributes), extra.Otel.Dropped, len(tags), e.Meta)
		}
	})
	t.Run("nesting", func(t *testing.T) {
		t.Parallel()
		nested := strings.Repeat(`{"arrayValue":{"values":[`, otlp.MaxNesting+1) + `{}` + strings.Repeat(`]}}`, otlp.MaxNesting+1)
		e := only(t, `{"body":`+nested+`}`)
		if want := `"body":` + strings.Repeat("[", otlp.MaxNesting) + `"nested too deeply"`; !strings.Contains(string(e.Extra), want) {
			t.Errorf("extra is %s", e.Extra)
		}
	})
	t.Run("what is repeated", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("x", 2*otlp.MaxInherited)
		body := fmt.Sprintf(`{"resourceLogs":[{"resource":{"attributes":[{"key":"service.version","value":{"stringValue":"%s"}},{"key":"a","value":{"intValue":1}}]},`+
			`"scopeLogs":[{"scope":{"name":"%[1]s","version":"%[1]s"},"logRecords":[{}]}]}]}`, long)
		list, _ := natives(t, []byte(body), otlp.JSONType, otlp.LogSignal)
		if len(list[0]) > otlp.MaxInherited+4000 || !strings.Contains(list[0], `"resource":{"a":1},"dropped_resource_attributes_count":1`) {
			t.Errorf("%d bytes: %.300s", len(list[0]), list[0])
		}
	})
	t.Run("tags are short", func(t *testing.T) {
		t.Parallel()
		e := only(t, `{"attributes":[{"key":"short","value":{"stringValue":"`+strings.Repeat("ä", 200)+`"}},{"key":"long","value":{"stringValue":"`+strings.Repeat("a", 201)+`"}}]}`)
		if want := `{"short":"` + strings.Repeat("ä", 200) + `"}`; string(e.Tags) != want {
			t.Errorf("tags %s", e.Tags)
		}
	})
	t.Run("a long stack trace", func(t *testing.T) {
		t.Parallel()
		text := `Error: x` + strings.Repeat(`\n    at f (/srv/a.js:1:2)`, 5000)
		e := only(t, `{"attributes":[{"key":"exception.stacktrace","value":{"stringValue":"`+text+`"}}]}`)
		if !strings.Contains(string(e.Extra), text) || strings.Count(string(e.Exception), "a.js") != 250 || e.ExceptionType != "Error" {
			t.Error("the text or its frames are lost")
		}
	})
}

// only returns the event of a log record.
func only(t *testing.T, record string) event.Event {
	t.Helper()
	list, rejected := natives(t, export(record), otlp.JSONType, otlp.LogSignal)
	if len(list) != 1 || rejected != 0 {
		t.Fatalf("%d records, %d rejected", len(list), rejected)
	}
	return checkNative(t, []byte(list[0]))
}

func TestStoppedLoop(t *testing.T) {
	t.Parallel()
	q, err := otlp.Logs(export(`{}`, `{}`, `7`), otlp.JSONType)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 2 {
		for rec := range q.Records() {
			ids = append(ids, rec.EventID().String())
			break
		}
	}
	if len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("two loops begin with %v", ids)
	}
}
