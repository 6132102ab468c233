package monitor

import "time"

// What there may be at most of a monitor, so that it can be kept, read and looked at within bounds.
const (
	Most           = 500 // monitors of an organization
	SDKMost        = 100 // monitors of a project that check-ins of SDKs made
	CheckInsMinute = 600 // check-ins of a project within a minute; what comes beyond is not kept

	nameMost        = 200       // characters
	slugMost        = 50        // characters
	environmentMost = 64        // characters
	configMost      = 32 << 10  // bytes of JSON
	cronMost        = 256       // bytes of a cron expression
	urlMost         = 2_000     // characters
	bodyMost        = 16 << 10  // bytes that are sent
	sendMost        = 4 << 10   // bytes that are sent to a TCP service
	textMost        = 1_000     // characters that are looked for
	headersMost     = 30        // headers that are sent
	headerMost      = 4 << 10   // bytes of a header's value
	conditionsMost  = 20        // of each kind
	valuesMost      = 20        // DNS records that are expected
	queryMost       = 2_000     // characters
	redirectsMost   = 10        // that are followed
	mutesMost       = 20        // windows
	certificateMost = 397       // days; no public certificate is valid for longer
	graceMost       = 7 * 86400 // seconds
	runtimeMost     = 30 * 86400
)

// Bounds of when a monitor is looked at and how its looks are judged.
const (
	intervalLeast         = 60 // seconds: Probe runs each minute
	intervalMost          = 86_400
	intervalMostHeartbeat = 31_622_400 // 366 days
	timeoutLeast          = 100        // milliseconds
	timeoutMost           = 30_000
	countMost             = 20 // failures, of how many looks, and recoveries
)

// What a new monitor has that does not say.
const (
	usualInterval        = 60
	usualIntervalTLS     = 3600
	usualTimeout         = 10_000
	usualFailures        = 2
	usualFailuresOf      = 3
	usualRecoveries      = 2
	usualDegradedDays    = 14
	usualGrace           = 60
	usualHeartbeatCounts = 1 // a job that runs once a day is not waited for until it was missed twice
)

// TimeoutMost is the longest that a look may take.
const TimeoutMost = timeoutMost * time.Millisecond
