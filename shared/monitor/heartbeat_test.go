package monitor

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// job returns a heartbeat whose first run is expected after a time.
func job(t testing.TB, c HeartbeatConfig, interval int, from time.Time) *Monitor {
	t.Helper()
	m := &Monitor{Kind: Heartbeat, Config: Config{Heartbeat: &c}, IntervalS: interval}
	must(t, c.check(interval))
	must(t, m.expect(from))
	return m
}

// said makes signals of texts such as "03:00:05 ok", with an id of one letter and a duration behind.
func said(t testing.TB, on time.Time, texts ...string) []signal {
	t.Helper()
	var out []signal
	for _, text := range texts {
		parts := strings.Fields(text)
		clock, err := time.Parse("15:04:05", parts[0])
		must(t, err)
		s := signal{
			At:     on.Add(time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute + time.Duration(clock.Second())*time.Second),
			Status: map[string]CheckInStatus{"ok": Ok, "error": Error, "start": Began}[parts[1]],
		}
		if len(parts) > 2 {
			s.ID = uuid.UUID{15: parts[2][0]}
		}
		out = append(out, s)
	}
	return out
}

// shownVerdicts returns verdicts as texts such as "03:05:00 missed".
func shownVerdicts(on time.Time, found []verdict) string {
	var out []string
	for _, v := range found {
		at := v.At.UTC().Format("15:04:05")
		if d := v.At.Sub(on); d >= 24*time.Hour {
			at = fmt.Sprintf("+%d ", int(d.Hours())/24) + at
		}
		text := at + " " + v.Look.Details.Code
		if n := v.Look.Details.Facts["missed_before"]; n != nil {
			text += fmt.Sprintf(" (%d before)", n)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	hourly := HeartbeatConfig{Cron: "0 * * * *", GraceS: 300}
	runs := HeartbeatConfig{Cron: "0 * * * *", GraceS: 300, MaxRuntimeS: 1200}
	for _, tt := range []struct {
		name     string
		config   HeartbeatConfig
		interval int
		said     []string
		until    string
		want     string
		expected string
	}{
		{"in time", hourly, 0, []string{"01:00:03 ok", "02:04:59 ok"}, "02:30:00", "01:00:03 ok, 02:04:59 ok", "03:00:00"},
		{"at the last moment", hourly, 0, []string{"01:05:00 ok"}, "01:30:00", "01:05:00 ok", "02:00:00"},
		{"late", hourly, 0, []string{"01:05:01 ok"}, "01:30:00", "01:05:00 missed, 01:05:01 ok", "02:00:00"},
		{"not at all", hourly, 0, nil, "02:05:00", "01:05:00 missed", "02:00:00"},
		{"not at all, twice", hourly, 0, nil, "02:05:01", "01:05:00 missed, 02:05:00 missed", "03:00:00"},
		{"a little early", hourly, 0, []string{"00:59:30 ok"}, "01:30:00", "00:59:30 ok", "02:00:00"},
		{"by hand", hourly, 0, []string{"00:30:00 ok"}, "01:30:00", "00:30:00 ok, 01:05:00 missed", "02:00:00"},
		{"failed", hourly, 0, []string{"01:00:03 error"}, "01:30:00", "01:00:03 error", "02:00:00"},
		{"began in time", hourly, 0, []string{"01:00:03 start a", "01:40:00 ok a"}, "01:50:00", "01:40:00 ok", "02:00:00"},
		{"began and did not end", runs, 0, []string{"01:00:03 start a"}, "01:30:00", "01:20:03 timeout", "02:00:00"},
		{"ended too late", runs, 0, []string{"01:00:03 start a", "01:20:04 ok a"}, "01:30:00", "01:20:03 timeout, 01:20:04 ok", "02:00:00"},
		{"ended at the last moment", runs, 0, []string{"01:00:03 start a", "01:20:03 ok a"}, "01:30:00", "01:20:03 ok", "02:00:00"},
		{"ended after the next was to begin", hourly, 0, []string{"01:00:03 start a", "02:00:30 ok a"}, "02:30:00", "02:00:30 ok, 02:05:00 missed", "03:00:00"},
		{"two runs at once", hourly, 0, []string{"01:00:00 start a", "01:01:00 start b", "01:02:00 ok a", "01:03:00 ok b"}, "01:30:00", "01:02:00 ok, 01:03:00 ok", "02:00:00"},
		{"without ids", runs, 0, []string{"01:00:03 start", "01:10:00 error"}, "01:40:00", "01:10:00 error", "02:00:00"},
		{"each so often", HeartbeatConfig{GraceS: 60}, 600, []string{"00:09:00 ok", "00:19:59 ok"}, "00:30:00", "00:09:00 ok, 00:19:59 ok", "00:29:59"},
		{"each so often, and then not", HeartbeatConfig{GraceS: 60}, 600, []string{"00:09:00 ok"}, "00:30:01", "00:09:00 ok, 00:20:00 missed, 00:30:00 missed", "00:39:00"},
		{"a run of each so often", HeartbeatConfig{GraceS: 60}, 600, []string{"00:10:00 start", "00:18:00 ok"}, "00:20:30", "00:18:00 ok", "00:20:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := job(t, tt.config, tt.interval, day)
			until := said(t, day, tt.until+" ok")[0].At
			signals := said(t, day, tt.said...)
			whole, err := m.judge(signals, until)
			must(t, err)
			if got := shownVerdicts(day, whole); got != tt.want {
				t.Errorf("found %s, want %s", got, tt.want)
			}
			if got := m.ExpectedAt.Format("15:04:05"); got != tt.expected {
				t.Errorf("expects %s, want %s", got, tt.expected)
			}
			// Judged each minute it comes to the same: no outage of Probe changes it.
			m = job(t, tt.config, tt.interval, day)
			var parts []verdict
			for at := day; !at.After(until); at = at.Add(time.Minute) {
				var some []signal
				for len(signals) > 0 && !signals[0].At.After(at) {
					some, signals = append(some, signals[0]), signals[1:]
				}
				found, err := m.judge(some, at)
				must(t, err)
				parts = append(parts, found...)
			}
			found, err := m.judge(signals, until)
			must(t, err)
			if got := shownVerdicts(day, append(parts, found...)); got != tt.want {
				t.Errorf("judged each minute: found %s, want %s", got, tt.want)
			}
		})
	}
}

// A job that ran all the while is not missed because nobody looked, and one that did not is not missed hundreds of times.
func TestHeartbeat_AfterAnOutage(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	m := job(t, HeartbeatConfig{GraceS: 30}, 60, day)
	var signals []signal
	for at := day.Add(time.Minute); at.Before(day.AddDate(0, 0, 1)); at = at.Add(time.Minute) {
		signals = append(signals, signal{At: at, Status: Ok})
	}
	found, err := m.judge(signals, day.AddDate(0, 0, 1))
	must(t, err)
	for _, v := range found {
		if v.Look.Status != Healthy {
			t.Fatalf("%s: %+v", v.At, v.Look)
		}
	}
	if len(found) != len(signals) {
		t.Errorf("%d of %d", len(found), len(signals))
	}
	m = job(t, HeartbeatConfig{GraceS: 30}, 60, day)
	if found, err = m.judge(nil, day.AddDate(1, 0, 0)); err != nil || len(found) != countMost {
		t.Fatalf("missed for a year: %d, %v", len(found), err)
	}
	if n := found[0].Look.Details.Facts["missed_before"]; n != 365*24*60-1-countMost {
		t.Errorf("%v were missed before", n)
	}
	if m.ExpectedAt.Before(day.AddDate(1, 0, 0).Add(-time.Minute)) || !m.DueAt.After(day.AddDate(1, 0, 0)) {
		t.Errorf("expects %s, due %s", m.ExpectedAt, m.DueAt)
	}
}

// TestHeartbeat_OnceEach makes random jobs that run, sometimes, and counts: each expected run was either there or missed.
func TestHeartbeat_OnceEach(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		day := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
		m := job(t, HeartbeatConfig{Cron: "*/10 * * * *", GraceS: 120}, 0, day)
		var signals []signal
		ran := 0
		for at := day.Add(10 * time.Minute); at.Before(day.Add(3 * time.Hour)); at = at.Add(10 * time.Minute) {
			if r.IntN(3) > 0 {
				ran++
				signals = append(signals, signal{At: at.Add(time.Duration(r.IntN(120)-20) * time.Second), Status: Ok})
			}
		}
		missed, well := 0, 0
		for at := day; at.Before(day.Add(3*time.Hour + 5*time.Minute)); at = at.Add(time.Duration(1+r.IntN(40)) * time.Minute) {
			var some []signal
			for len(signals) > 0 && !signals[0].At.After(at) {
				some, signals = append(some, signals[0]), signals[1:]
			}
			found, err := m.judge(some, at)
			must(t, err)
			for _, v := range found {
				if v.Look.Status == Healthy {
					well++
				} else {
					missed++
				}
			}
		}
		found, err := m.judge(signals, day.Add(3*time.Hour-time.Second))
		must(t, err)
		for _, v := range found {
			if v.Look.Status == Healthy {
				well++
			} else {
				missed++
			}
		}
		if well != ran || missed > 18-ran || missed < 17-ran-1 {
			t.Fatalf("of 17 runs %d came: %d were well and %d missed", ran, well, missed)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ cron, zone, from, want string }{
		{"0 3 * * *", "", "2026-05-04T02:00:00Z", "04 03:00, 05 03:00, 06 03:00"},
		{"@daily", "Europe/Berlin", "2026-05-04T12:00:00Z", "04 22:00, 05 22:00, 06 22:00"},
		{"0 0 * * 7", "", "2026-05-04T12:00:00Z", "10 00:00, 17 00:00, 24 00:00"},
		{"0 0 * * sat,7", "", "2026-05-04T12:00:00Z", "09 00:00, 10 00:00, 16 00:00"},
		// The clock is put forward from 2 to 3: half past two is not there.
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "28 01:30, 30 00:30, 31 00:30"},
		{"*/30 * * * *", "Europe/Berlin", "2026-03-29T00:20:00Z", "29 00:30, 29 01:00, 29 01:30"},
		// It is put back from 3 to 2: half past two comes twice, the job once.
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T23:00:00Z", "25 00:30, 26 01:30, 27 01:30"},
		{"30 2 * * *", "Europe/Berlin", "2026-10-25T00:31:00Z", "26 01:30, 27 01:30, 28 01:30"},
		{"30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", "25 00:30, 25 01:30, 25 02:30"},
		{"@hourly", "Europe/Berlin", "2026-10-25T00:30:00Z", "25 01:00, 25 02:00, 25 03:00"},
		// Half an hour, on an island.
		{"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T13:00:00Z", "04 14:45, 05 15:15, 06 15:15"},
	} {
		c := HeartbeatConfig{Cron: tt.cron, Timezone: tt.zone}
		s, err := c.schedule(0)
		must(t, err)
		at, err := time.Parse(time.RFC3339, tt.from)
		must(t, err)
		var got []string
		for range 3 {
			at = s.next(at)
			got = append(got, at.Format("02 15:04"))
		}
		if text := strings.Join(got, ", "); text != tt.want {
			t.Errorf("%s in %q from %s: %s, want %s", tt.cron, tt.zone, tt.from, text, tt.want)
		}
	}
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"nightly-backup": "nightly-backup", "Nightly Backup!": "nightly-backup", " a__b ": "a__b", "--a--": "a", "日本": "", "": "",
		"é1": "1", "a//b..c": "a-b-c", strings.Repeat("a", 60): strings.Repeat("a", 50), strings.Repeat("a", 49) + "-b": strings.Repeat("a", 49),
	} {
		if got := Slug(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if got := Slug(want); got != want {
			t.Errorf("%q is not one that stays: %q", want, got)
		}
	}
}
