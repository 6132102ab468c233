package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// breadcrumbsMost is how many of an event's breadcrumbs are stored.
const breadcrumbsMost = 100

// messageMost is how many characters of a message are stored.
const messageMost = 8192

// columns are the fields of an event that have a column of their own, and its name.
var columns = map[string]string{
	"environment": "environment", "release": "release", "platform": "platform", "transaction": "transaction",
	"server_name": "server_name", "logger": "logger", "contexts": "contexts", "request": "request", "sdk": "sdk",
	"user": "user_info", "exception": "exception", "threads": "threads", "breadcrumbs": "breadcrumbs", "tags": "tags",
	"fingerprint": "client_fingerprint",
}

// compare returns what is not in the row as it was sent, in words.
func compare(t *testing.T, e sent, row map[string]any) (wrong []string) {
	t.Helper()
	say := func(what string, want, got any) {
		if diff := cmp.Diff(want, got, cmp.Comparer(sameNumber)); diff != "" {
			wrong = append(wrong, fmt.Sprintf("%s (-sent +stored):\n%s", what, short([]byte(diff))))
		}
	}
	if e.Event != nil {
		event := clean(decode(t, e.Event)).(map[string]any)
		extra, _ := row["extra"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(event)) {
			value := canonical(name, event[name])
			column, known := columns[name]
			switch {
			case known && !empty(value):
				say(name, value, row[column])
			case name == "message" && strings.TrimSpace(fmt.Sprint(value)) != "":
				say(name, first(fmt.Sprint(value), messageMost), row["message"])
			case name == "level":
				say(name, value, row["level"])
			case name == "timestamp":
				if away := moment(t, value).Sub(moment(t, row["occurred_at"])).Abs(); away > 2*time.Microsecond {
					wrong = append(wrong, fmt.Sprintf("timestamp %v is stored as %v", value, row["occurred_at"]))
				}
			case name == "extra":
				say(name, value, pick(extra, value))
			case !known && !slices.Contains([]string{"event_id", "message", "logentry"}, name) && !empty(value):
				say("extra."+name, value, extra[name])
			}
		}
	}
	if e.Top != "" {
		if got := top(row["exception"]); got != e.Top {
			wrong = append(wrong, fmt.Sprintf("the stack trace ends in %q, want %q", got, e.Top))
		}
	}
	want := clean(decode(t, encode(t, e.Want)))
	say("as the program wants it", want, part(row, want))
	return wrong
}

// canonical returns the value in the one form that is stored of the several that SDKs send.
func canonical(name string, value any) any {
	switch name {
	case "exception", "threads", "breadcrumbs":
		if object, ok := value.(map[string]any); ok {
			value = object["values"]
		}
		if list, ok := value.([]any); ok && name == "breadcrumbs" {
			return list[max(0, len(list)-breadcrumbsMost):]
		}
	case "tags":
		tags := map[string]any{}
		for key, tag := range value.(map[string]any) {
			if tag != nil {
				tags[key] = fmt.Sprint(tag)
			}
		}
		return tags
	case "user":
		user := maps.Clone(value.(map[string]any))
		if id, ok := user["id"]; ok && id != nil {
			user["id"] = fmt.Sprint(id)
		}
		if user["ip_address"] == "{{auto}}" {
			user["ip_address"] = "127.0.0.1" // where all of this runs
		}
		return user
	case "level":
		if value == "log" {
			return "info"
		}
	}
	return value
}

// clean returns v with what Postgres cannot hold replaced; decoding has replaced lone surrogates already.
func clean(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "\x00", "\uFFFD")
	case []any:
		for i := range v {
			v[i] = clean(v[i])
		}
	case map[string]any:
		for key, value := range maps.Clone(v) {
			delete(v, key)
			v[clean(key).(string)] = clean(value)
		}
	}
	return v
}

// part returns of got what want has: of an object those members, of an array elements, one by one.
func part(got, want any) any {
	switch want := want.(type) {
	case map[string]any:
		if object, ok := got.(map[string]any); ok {
			out := map[string]any{}
			for key, value := range want {
				if member, ok := object[key]; ok {
					out[key] = part(member, value)
				}
			}
			return out
		}
	case []any:
		if list, ok := got.([]any); ok && len(list) == len(want) {
			out := make([]any, len(list))
			for i := range list {
				out[i] = part(list[i], want[i])
			}
			return out
		}
	}
	return got
}

// pick returns the members of object that want has, whole.
func pick(object map[string]any, want any) map[string]any {
	out := map[string]any{}
	for key := range want.(map[string]any) {
		if value, ok := object[key]; ok {
			out[key] = value
		}
	}
	return out
}

// top returns the function of the newest frame of the captured exception.
func top(chain any) string {
	list, _ := chain.([]any)
	if len(list) == 0 {
		return ""
	}
	last, _ := list[len(list)-1].(map[string]any)
	stack, _ := last["stacktrace"].(map[string]any)
	frames, _ := stack["frames"].([]any)
	if len(frames) == 0 {
		return ""
	}
	frame, _ := frames[len(frames)-1].(map[string]any)
	name, _ := frame["function"].(string)
	return name
}

// moment reads a time in any of the forms that SDKs and the database write.
func moment(t *testing.T, v any) time.Time {
	t.Helper()
	if number, ok := v.(json.Number); ok {
		seconds, err := strconv.ParseFloat(number.String(), 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.UnixMicro(int64(seconds * 1e6))
	}
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(v))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// sameNumber compares by value: jsonb writes 1e2 as 100.
func sameNumber(a, b json.Number) bool {
	x, _, errX := big.ParseFloat(a.String(), 10, 200, big.ToNearestEven)
	y, _, errY := big.ParseFloat(b.String(), 10, 200, big.ToNearestEven)
	return errX == nil && errY == nil && x.Cmp(y) == 0
}

// empty reports whether nothing is said by v: it is stored as nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// first returns the first n characters.
func first(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n])
	}
	return text
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
