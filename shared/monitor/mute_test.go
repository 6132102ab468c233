package monitor

import (
	"testing"
	"time"
)

func TestMuted(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		v, err := time.Parse(time.RFC3339, text)
		must(t, err)
		return v
	}
	night := Mute{Days: []string{"fri", "sat"}, From: "22:00", To: "06:00", Timezone: "Europe/Berlin"}
	lunch := Mute{Days: []string{"mon"}, From: "12:00", To: "13:30"}
	whole := Mute{Days: []string{"sun"}, From: "00:00", To: "00:00", Timezone: "America/New_York"}
	once := Mute{Since: at("2026-05-04T10:00:00Z"), Until: at("2026-05-04T11:00:00Z")}
	for _, tt := range []struct {
		window Mute
		at     string
		want   bool
	}{
		{once, "2026-05-04T09:59:59Z", false},
		{once, "2026-05-04T10:00:00Z", true},
		{once, "2026-05-04T10:59:59Z", true},
		{once, "2026-05-04T11:00:00Z", false},
		{Mute{Until: once.Until}, "2020-01-01T00:00:00Z", true},
		{lunch, "2026-05-04T11:59:59Z", false}, // a Monday
		{lunch, "2026-05-04T12:00:00Z", true},
		{lunch, "2026-05-04T13:29:59Z", true},
		{lunch, "2026-05-04T13:30:00Z", false},
		{lunch, "2026-05-05T12:30:00Z", false},
		{night, "2026-05-08T19:59:59Z", false}, // Friday, 21:59:59 in Berlin
		{night, "2026-05-08T20:00:00Z", true},
		{night, "2026-05-09T03:59:59Z", true},
		{night, "2026-05-09T04:00:00Z", false},
		{night, "2026-05-09T20:00:00Z", true},
		{night, "2026-05-10T03:00:00Z", true}, // Sunday morning, begun on Saturday
		{night, "2026-05-10T20:00:00Z", false},
		{night, "2026-10-24T23:30:00Z", true},  // the night in which the clock is put back
		{night, "2026-10-25T04:59:59Z", true},  // 05:59:59 by the clock that was
		{night, "2026-10-25T05:00:00Z", false}, // 06:00
		{night, "2026-03-28T21:00:00Z", true},  // the night in which it is put forward
		{night, "2026-03-29T03:59:59Z", true},
		{night, "2026-03-29T04:00:00Z", false},
		{whole, "2026-05-10T03:59:59Z", false},
		{whole, "2026-05-10T04:00:00Z", true},
		{whole, "2026-05-11T03:59:59Z", true},
		{whole, "2026-05-11T04:00:00Z", false},
	} {
		must(t, tt.window.check())
		if got := Muted([]Mute{{Until: at("2001-01-01T00:00:00Z")}, tt.window}, at(tt.at)); got != tt.want {
			t.Errorf("%+v at %s: %t", tt.window, tt.at, got)
		}
	}
	if Muted(nil, noon) {
		t.Error("muted without a window")
	}
}
