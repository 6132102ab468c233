package sentry

// Action is what becomes of an item.
type Action string

// The actions. No item is ever refused: an SDK would drop the event in the same envelope with it.
const (
	Stored  Action = "stored"  // becomes an event
	Watched Action = "watched" // goes to the monitor that it names
	Counted Action = "counted" // accepted and passed over; only its number is kept
)

// ItemType is a row of Types.
type ItemType struct {
	Name     string // as it stands in the header of the item
	Category string // what X-Sentry-Rate-Limits calls it; "internal" is never limited
	Action   Action
	Doc      string
}

// itemTypes are the known types, those first that are kept.
var itemTypes = [...]ItemType{
	{"event", "error", Stored, "an error or a message"},
	{"feedback", "feedback", Stored, "what a user wrote; an event of level info"},
	{"check_in", "monitor", Watched, "a cron job's sign of life"},
	{"attachment", "attachment", Counted, "a file sent with an event"},
	{"client_report", "internal", Counted, "what the SDK dropped itself"},
	{"log", "log_item", Counted, "structured logs"},
	{"profile", "profile", Counted, "a profile of a transaction"},
	{"profile_chunk", "profile_chunk", Counted, "a part of a continuous profile"},
	{"raw_security", "security", Counted, "a report of a browser's security policy"},
	{"replay_event", "replay", Counted, "the description of a session replay"},
	{"replay_recording", "replay", Counted, "a part of a session replay"},
	{"session", "session", Counted, "the state of one session, for release health"},
	{"sessions", "session", Counted, "counts of sessions, for release health"},
	{"span", "span", Counted, "spans of a trace, as current SDKs send them"},
	{"statsd", "metric_bucket", Counted, "metrics of older SDKs"},
	{"trace_metric", "trace_metric", Counted, "metrics"},
	{"transaction", "transaction", Counted, "a trace, as older SDKs send it"},
	{"user_report", "default", Counted, "feedback of older SDKs"},
}

// Types returns the known item types in the order of their documentation.
func Types() []ItemType {
	types := itemTypes
	return types[:]
}

// TypeOf returns the row of the item type called name. An unknown type is counted, and nothing limits it.
func TypeOf(name string) ItemType {
	for _, t := range itemTypes {
		if t.Name == name {
			return t
		}
	}
	return ItemType{Name: name, Category: "unknown", Action: Counted, Doc: "not known to this version"}
}
