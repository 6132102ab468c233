// Package monitor is what is watched: monitors, what each looks at and expects, the health checks that were made, and what
// jobs say of themselves.
package monitor

import "time"

// Kind is what a monitor looks at.
type Kind string

// The kinds.
const (
	HTTP      Kind = "http"
	TCP       Kind = "tcp"
	DNS       Kind = "dns"
	TLS       Kind = "tls"
	Postgres  Kind = "postgres"
	Heartbeat Kind = "heartbeat" // a job that says itself that it ran
	Platform  Kind = "platform"  // a part of this installation
)

// Status is what a service was found to be.
type Status string

// The statuses. Unknown is that of a monitor that has not been looked at yet, never of a health check.
const (
	Unknown  Status = "unknown"
	Healthy  Status = "healthy"
	Degraded Status = "degraded" // it answers, but not as it should: too slow, or its certificate expires soon
	Down     Status = "down"
)

// Config is what a monitor's kind needs: the field of that name is set, and no other.
type Config struct {
	HTTP      *HTTPConfig      `json:"http,omitempty"`
	TCP       *TCPConfig       `json:"tcp,omitempty"`
	DNS       *DNSConfig       `json:"dns,omitempty"`
	TLS       *TLSConfig       `json:"tls,omitempty"`
	Postgres  *PostgresConfig  `json:"postgres,omitempty"`
	Heartbeat *HeartbeatConfig `json:"heartbeat,omitempty"`
	Platform  *PlatformConfig  `json:"platform,omitempty"`
}

// HTTPConfig is a request and what is expected of its answer.
type HTTPConfig struct {
	URL     string   `json:"url"`
	Method  string   `json:"method,omitempty"`  // GET where it is empty
	Headers []string `json:"headers,omitempty"` // names; the values are in Secrets.Headers, in the same order
	Body    string   `json:"body,omitempty"`
	// Redirects is how many are followed; 0: none is, and what answers is looked at itself.
	Redirects int `json:"redirects,omitempty"`

	Statuses        []string    `json:"statuses,omitempty"`          // such as "200", "2xx" or "200-299"; none: 2xx
	DegradedAfterMS int         `json:"degraded_after_ms,omitempty"` // degraded when it takes longer
	DownAfterMS     int         `json:"down_after_ms,omitempty"`     // down when it takes longer
	BodyText        []Condition `json:"body_conditions,omitempty"`   // of the text of the body
	JSON            []Condition `json:"json_conditions,omitempty"`   // Name is a path (RFC 9535), such as $.status
	Header          []Condition `json:"header_conditions,omitempty"` // Name is that of the header
	ExpiryDays      int         `json:"certificate_days,omitempty"`  // degraded when the certificate expires within so many days
}

// Condition compares something with a value.
type Condition struct {
	Name  string   `json:"name,omitempty"`
	Op    Operator `json:"op"`
	Value string   `json:"value,omitempty"`
}

// Operator is how a condition compares. Greater and less compare numbers, the others text.
type Operator string

// The operators. Exists and Missing take no value.
const (
	Equals      Operator = "equals"
	NotEquals   Operator = "not_equals"
	Contains    Operator = "contains"
	NotContains Operator = "not_contains"
	Matches     Operator = "matches" // a regular expression (RE2)
	Greater     Operator = "greater"
	Less        Operator = "less"
	Exists      Operator = "exists"
	Missing     Operator = "missing"
)

// TCPConfig is an address that takes connections.
type TCPConfig struct {
	Host            string `json:"host"`
	Port            int    `json:"port"`
	Send            string `json:"send,omitempty"`   // sent after connecting
	Expect          string `json:"expect,omitempty"` // what the first answer must contain
	DegradedAfterMS int    `json:"degraded_after_ms,omitempty"`
}

// DNSConfig is a name and what it resolves to.
type DNSConfig struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`             // A, AAAA, CNAME, MX, NS or TXT
	Values []string `json:"values,omitempty"` // all of them must be among the records; none: there must be a record
	Server string   `json:"server,omitempty"` // host:port of the name server to ask; empty: the system's
}

// TLSConfig is an address whose certificate must be valid for its host.
type TLSConfig struct {
	Host         string `json:"host"`
	Port         int    `json:"port"`
	ServerName   string `json:"server_name,omitempty"`   // empty: the host
	DegradedDays int    `json:"degraded_days,omitempty"` // degraded when it expires within so many days; 0: 14
}

// PostgresConfig is a database that answers a query. The URL, which holds a password, is in Secrets.
type PostgresConfig struct {
	Address         string `json:"address"`         // host:port and database of the URL, to be shown
	Query           string `json:"query,omitempty"` // empty: select 1. Run in a read-only transaction
	Expect          string `json:"expect,omitempty"`
	DegradedAfterMS int    `json:"degraded_after_ms,omitempty"`
}

// HeartbeatConfig is when a job must say that it ran. Either Cron or the monitor's interval is its schedule.
type HeartbeatConfig struct {
	Cron        string `json:"cron,omitempty"`          // five fields
	Timezone    string `json:"timezone,omitempty"`      // of Cron; empty: UTC
	GraceS      int    `json:"grace_s,omitempty"`       // how late it may be
	MaxRuntimeS int    `json:"max_runtime_s,omitempty"` // how long a run that said that it began may take; 0: any time
	FromSDK     bool   `json:"from_sdk,omitempty"`      // made by a check-in of an SDK, which changes it as well
}

// Part is a part of the installation.
type Part string

// The parts.
const (
	PartDatabase    Part = "database"
	PartQueue       Part = "queue"        // the age and number of undelivered messages
	PartDeadLetters Part = "dead_letters" // messages and events that were put aside
	PartPartitions  Part = "partitions"   // for how many days ahead there are partitions, and gaps
	PartScheduler   Part = "scheduler"    // jobs that are paused, failed or late
)

// PlatformConfig is which part is looked at.
type PlatformConfig struct {
	Part Part `json:"part"`
}

// Secrets is what of a monitor must not be read; it is stored sealed.
type Secrets struct {
	Headers []string `json:"headers,omitempty"` // values of HTTPConfig.Headers
	URL     string   `json:"url,omitempty"`     // of Postgres
}

// Look is what one check of a service found.
type Look struct {
	Status  Status
	Latency time.Duration // of the whole; 0 where nothing was measured
	Details Details
}

// Details is why, as people and programs read it. It holds nothing secret and nothing of a body but what a condition names.
type Details struct {
	Code   string `json:"code"`             // stable, such as ok, timeout, refused_address, dns, connect, tls, status, condition
	Error  string `json:"error,omitempty"`  // for people
	Region string `json:"region,omitempty"` // where it was looked from

	HTTPStatus int    `json:"http_status,omitempty"`
	Address    string `json:"address,omitempty"` // that was connected to
	// Timings in milliseconds.
	DNSMS       float64 `json:"dns_ms,omitempty"`
	ConnectMS   float64 `json:"connect_ms,omitempty"`
	TLSMS       float64 `json:"tls_ms,omitempty"`
	FirstByteMS float64 `json:"first_byte_ms,omitempty"`

	ExpiresAt time.Time      `json:"certificate_expires_at,omitzero"`
	Records   []string       `json:"records,omitempty"`
	Facts     map[string]any `json:"facts,omitempty"` // of the platform's parts
}
