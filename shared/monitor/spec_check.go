package monitor

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/label"
	"github.com/mesherhq/mesher/shared/outbound"
)

// Guard is what says which hosts must not be looked at, such as those of the network that Probe itself is in; nil: all may.
type Guard = *outbound.Policy

// check refuses a monitor that is not right, or that could never be healthy. It is complete: defaults are filled in, and
// secrets are beside it.
func (m *Monitor) check(secrets Secrets, guard Guard) error {
	return first(
		label.Check("name", m.Name, 1, nameMost),
		m.checkKind(),
		m.checkTimes(),
		m.checkCounts(),
		checkMute(m.Mute),
		m.checkNames(),
		at(m.checkConfig(secrets, guard), "config.%s", m.Kind),
		m.checkSize(),
	)
}

// checkKind sees to it that exactly the part of the configuration is set that the kind has.
func (m *Monitor) checkKind() error {
	var set []string
	v := reflect.ValueOf(m.Config)
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if !v.Field(i).IsNil() {
			set = append(set, name)
		}
	}
	switch m.Kind {
	case HTTP, TCP, DNS, TLS, Postgres, Heartbeat, Platform:
	default:
		return invalid("kind", "there is no kind %q; it is one of http, tcp, dns, tls, postgres, heartbeat and platform", clip(string(m.Kind)))
	}
	switch {
	case len(set) == 0:
		return invalid("config", "config.%s is missing, which says what is looked at", m.Kind)
	case len(set) > 1 || set[0] != string(m.Kind):
		return invalid("config", "a monitor of kind %s has config.%s and nothing else; found %s", m.Kind, m.Kind, strings.Join(set, ", "))
	}
	return nil
}

func (m *Monitor) checkTimes() error {
	most := intervalMost
	if m.Kind == Heartbeat {
		most = intervalMostHeartbeat
	}
	switch {
	case m.cron() && m.IntervalS != 0:
		return invalid("interval_s", "the cron expression is the schedule; leave interval_s out, or config.heartbeat.cron")
	case !m.cron() && (m.IntervalS < intervalLeast || m.IntervalS > most):
		return invalid("interval_s", "%d is not from %d to %d seconds", m.IntervalS, intervalLeast, most)
	case m.TimeoutMS < timeoutLeast || m.TimeoutMS > timeoutMost:
		return invalid("timeout_ms", "%d is not from %d to %d milliseconds, which is always below the interval", m.TimeoutMS, timeoutLeast, timeoutMost)
	}
	return nil
}

func (m *Monitor) checkCounts() error {
	switch {
	case m.FailuresOf < 1 || m.FailuresOf > countMost:
		return invalid("failures_of", "%d is not from 1 to %d", m.FailuresOf, countMost)
	case m.Failures < 1 || m.Failures > m.FailuresOf:
		return invalid("failures", "%d is not from 1 to failures_of, which is %d", m.Failures, m.FailuresOf)
	case m.Recoveries < 1 || m.Recoveries > countMost:
		return invalid("recoveries", "%d is not from 1 to %d", m.Recoveries, countMost)
	}
	return nil
}

// checkNames checks what check-ins call the monitor.
func (m *Monitor) checkNames() error {
	hasProject := m.ProjectID != [16]byte{}
	switch {
	case m.Slug == "":
	case m.Kind != Heartbeat:
		return invalid("slug", "only a heartbeat takes check-ins; leave the slug out")
	case !hasProject:
		return invalid("slug", "check-ins come to a project; give the project_id as well")
	case Slug(m.Slug) != m.Slug:
		return invalid("slug", "is not lower-case letters, digits, - and _, at most %d; check-ins would find it as %q", slugMost, Slug(m.Slug))
	}
	if m.Kind == Platform && hasProject {
		return invalid("project_id", "the platform's parts belong to no project; leave it out")
	}
	return nil
}

// checkConfig checks the part of the configuration that the kind has.
func (m *Monitor) checkConfig(secrets Secrets, guard Guard) error {
	c := m.Config
	switch m.Kind {
	case HTTP:
		return c.HTTP.check(m.TimeoutMS, secrets.Headers, guard)
	case TCP:
		return c.TCP.check(m.TimeoutMS, guard)
	case DNS:
		return c.DNS.check(guard)
	case TLS:
		return c.TLS.check(guard)
	case Postgres:
		return c.Postgres.check(m.TimeoutMS)
	case Heartbeat:
		return c.Heartbeat.check(m.IntervalS)
	case Platform:
		return c.Platform.check()
	}
	return nil
}

// checkSize sees to it that the database takes the configuration.
func (m *Monitor) checkSize() error {
	text, err := json.Marshal(m.Config)
	if err != nil {
		return fmt.Errorf("encode a monitor's configuration: %w", err)
	}
	switch {
	case len(text) > configMost:
		return invalid("config", "has %d bytes as JSON; at most %d are allowed", len(text), configMost)
	case strings.Contains(string(text), `\u0000`):
		return invalid("config", "holds a NUL character, which cannot be kept")
	}
	return nil
}

// checkText refuses a text that is too long or that cannot be kept.
func checkText(field, text string, most int) error {
	switch {
	case utf8.RuneCountInString(text) > most:
		return invalid(field, "has %d characters; at most %d are allowed", utf8.RuneCountInString(text), most)
	case !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0:
		return invalid(field, "holds a NUL character or is not UTF-8")
	}
	return nil
}

// checkDegraded checks after how many milliseconds a look is degraded: below its timeout, where it would be down.
func checkDegraded(field string, ms, timeout int) error {
	if ms < 0 || ms >= timeout && ms > 0 {
		return invalid(field, "%d is not from 1 to below the timeout of %d milliseconds; 0: never", ms, timeout)
	}
	return nil
}
