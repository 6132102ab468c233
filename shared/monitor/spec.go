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
	URL     string   `json:"url" example:"https://example.com/health"`
	Method  string   `json:"method,omitempty" doc:"GET when it is missing"`
	Headers []string `json:"headers,omitempty" nullable:"false" doc:"names; their values are written as secrets.headers and never read"` // the values are in Secrets.Headers, in the same order
	Body    string   `json:"body,omitempty"`
	// Redirects is how many are followed; 0: none is, and what answers is looked at itself.
	Redirects int `json:"redirects,omitempty" doc:"how many are followed, up to 10; 0: what answers is looked at itself"`

	Statuses        []string    `json:"statuses,omitempty" nullable:"false" doc:"such as 200, 2xx or 200-299; none: 2xx"`
	DegradedAfterMS int         `json:"degraded_after_ms,omitempty" doc:"degraded when it takes longer; 0: never"`
	DownAfterMS     int         `json:"down_after_ms,omitempty" doc:"down when it takes longer; 0: only after the timeout"`
	BodyText        []Condition `json:"body_conditions,omitempty" nullable:"false" doc:"of the text of the body, without names"`
	JSON            []Condition `json:"json_conditions,omitempty" nullable:"false" doc:"of values in the body; name is a path (RFC 9535), such as $.status"`
	Header          []Condition `json:"header_conditions,omitempty" nullable:"false" doc:"of headers of the answer; name is that of the header"`
	ExpiryDays      int         `json:"certificate_days,omitempty" doc:"degraded when the certificate expires within so many days; 0: it is not looked at"`
}

// Condition compares something with a value.
type Condition struct {
	Name  string   `json:"name,omitempty"`
	Op    Operator `json:"op" enum:"equals,not_equals,contains,not_contains,matches,greater,less,exists,missing" doc:"greater and less compare numbers, the others text; matches takes a regular expression (RE2), exists and missing take no value"`
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
	Send            string `json:"send,omitempty" doc:"sent after connecting"`
	Expect          string `json:"expect,omitempty" doc:"what the first answer must contain"`
	DegradedAfterMS int    `json:"degraded_after_ms,omitempty" doc:"degraded when it takes longer; 0: never"`
}

// DNSConfig is a name and what it resolves to.
type DNSConfig struct {
	Name   string   `json:"name"`
	Type   string   `json:"type" enum:"A,AAAA,CNAME,MX,NS,TXT"`
	Values []string `json:"values,omitempty" nullable:"false" doc:"all of them must be among the records; none: there must be a record"`
	Server string   `json:"server,omitempty" doc:"host:port of the name server to ask; missing: the system's"`
}

// TLSConfig is an address whose certificate must be valid for its host.
type TLSConfig struct {
	Host         string `json:"host"`
	Port         int    `json:"port"`
	ServerName   string `json:"server_name,omitempty" doc:"whose certificate is asked for; missing: that of the host"`
	DegradedDays int    `json:"degraded_days,omitempty" doc:"degraded when it expires within so many days; 14 when it is missing"`
}

// PostgresConfig is a database that answers a query. The URL, which holds a password, is in Secrets.
type PostgresConfig struct {
	Address         string `json:"address,omitempty" doc:"host:port/database of secrets.url, from which it follows"`
	Query           string `json:"query,omitempty" doc:"run in a read-only transaction; missing: select 1"`
	Expect          string `json:"expect,omitempty" doc:"what the first column of the first row must be"`
	DegradedAfterMS int    `json:"degraded_after_ms,omitempty" doc:"degraded when it takes longer; 0: never"`
}

// HeartbeatConfig is when a job must say that it ran. Either Cron or the monitor's interval is its schedule.
type HeartbeatConfig struct {
	Cron        string `json:"cron,omitempty" doc:"when the job runs: minute, hour, day of month, month, day of week; missing: each interval_s" example:"0 3 * * *"`
	Timezone    string `json:"timezone,omitempty" doc:"of cron; missing: UTC" example:"Europe/Berlin"`
	GraceS      int    `json:"grace_s,omitempty" doc:"how many seconds it may be late; 60 when it is missing"`
	MaxRuntimeS int    `json:"max_runtime_s,omitempty" doc:"how many seconds a run may take that said that it began; 0: any time"`
	FromSDK     bool   `json:"from_sdk,omitempty" doc:"a check-in of an SDK made it, and check-ins change it; it cannot be set"`
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
	Part Part `json:"part" enum:"database,queue,dead_letters,partitions,scheduler"`
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
