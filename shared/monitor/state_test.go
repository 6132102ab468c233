package monitor

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// outcomes turns letters into outcomes.
func outcomes(letters string) []Status {
	var out []Status
	for _, l := range letters {
		out = append(out, map[rune]Status{'h': Healthy, 'd': Degraded, 'x': Down}[l])
	}
	return out
}

func TestState(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rules    Rules
		from     Status
		outcomes string
		want     string // the status after each outcome: u, h, d and x
	}{
		{Rules{1, 1, 1}, Unknown, "hxhdx", "hxhdx"},
		{Rules{2, 3, 2}, Unknown, "xxhh", "uxxh"},
		{Rules{2, 3, 2}, Unknown, "xhxh", "uhxx"},
		{Rules{2, 3, 2}, Unknown, "ddhh", "uddh"},
		{Rules{2, 3, 2}, Healthy, "xhhxhhx", "hhhhhhh"},
		{Rules{2, 3, 2}, Healthy, "xhx", "hhx"},
		{Rules{2, 3, 2}, Healthy, "dxhh", "hddh"},
		{Rules{2, 3, 2}, Healthy, "ddxx", "hddx"},
		{Rules{2, 3, 2}, Healthy, "xxdhdh", "hxxddd"},
		{Rules{2, 3, 2}, Healthy, "xxddhh", "hxxddh"},
		{Rules{2, 3, 2}, Healthy, "xxhxhh", "hxxxxh"},
		// What was before it got better does not count again.
		{Rules{3, 10, 2}, Healthy, "xxxhhxx", "hhxxhhh"},
		{Rules{3, 10, 2}, Healthy, "xxxhhxxx", "hhxxhhhx"},
		{Rules{3, 10, 2}, Healthy, "dddhhdd", "hhddhhh"},
		{Rules{20, 20, 20}, Healthy, strings.Repeat("x", 20) + strings.Repeat("h", 20), strings.Repeat("h", 19) + strings.Repeat("x", 20) + "h"},
	} {
		s := State{Status: tt.from}
		var got strings.Builder
		for i, o := range outcomes(tt.outcomes) {
			was := s
			s = s.After(tt.rules, o, noon.AddDate(0, 0, i))
			if (s.Status != was.Status) != (s.Since != was.Since) {
				t.Errorf("%s: at outcome %d the status became %s, and since %s", tt.outcomes, i, s.Status, s.Since)
			}
			got.WriteByte(map[Status]byte{Unknown: 'u', Healthy: 'h', Degraded: 'd', Down: 'x'}[s.Status])
		}
		if got.String() != tt.want {
			t.Errorf("%d of %d, %d: %s becomes %s, want %s", tt.rules.Failures, tt.rules.Of, tt.rules.Recoveries, tt.outcomes, got.String(), tt.want)
		}
	}
}

// TestState_Properties holds what must be true of any outcomes by whatever rules.
func TestState_Properties(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 2_000 {
		of := 1 + r.IntN(countMost)
		rules := Rules{Failures: 1 + r.IntN(of), Of: of, Recoveries: 1 + r.IntN(countMost)}
		s := State{Status: Unknown}
		var since []Status // outcomes since it got better, or began
		bias := r.IntN(3)
		for range 120 {
			outcome := []Status{Healthy, Degraded, Down}[r.IntN(3)]
			if r.IntN(2) == 0 {
				outcome = []Status{Healthy, Degraded, Down}[bias]
			}
			since = append(since, outcome)
			was := s
			s = s.After(rules, outcome, noon)
			holds(t, rules, was, s, since)
			if severity(s.Status) < severity(was.Status) {
				since = since[len(since)-rules.Recoveries:]
			}
			if t.Failed() {
				return
			}
		}
	}
}

func holds(t *testing.T, rules Rules, was, is State, since []Status) {
	t.Helper()
	outcome := since[len(since)-1]
	window := since[max(0, len(since)-rules.Of):]
	failed, bad := 0, 0
	for _, o := range window {
		if o == Down {
			failed++
		}
		if o != Healthy {
			bad++
		}
	}
	good := 0
	for _, o := range slices.Backward(since) {
		if o == Down {
			break
		}
		good++
	}
	say := func(what string) {
		t.Errorf("%s: %+v, from %s (%q) with %s to %s (%q), since %v", what, rules, was.Status, was.Recent, outcome, is.Status, is.Recent, since)
	}
	switch {
	case is.Status == Unknown && was.Status != Unknown:
		say("a status is forgotten")
	case is.Status == Down && was.Status != Down && (outcome != Down || failed < rules.Failures):
		say("it is down too early")
	case is.Status != Down && was.Status != Down && outcome == Down && failed >= rules.Failures:
		say("it is not down")
	case was.Status == Down && is.Status != Down && good < rules.Recoveries:
		say("it is well too early")
	case was.Status == Down && is.Status == Down && good >= rules.Recoveries:
		say("it stays down")
	case is.Status == Degraded && severity(was.Status) == 0 && bad < rules.Failures:
		say("it is degraded too early")
	case severity(is.Status) < severity(was.Status) && outcome == Down:
		say("a failure makes it better")
	case severity(is.Status) > severity(was.Status) && outcome == Healthy:
		say("a good look makes it worse")
	case len(is.Recent) > countMost:
		say("too much is kept")
	}
	// A worse outcome never leads to a better status.
	better := was.After(rules, Healthy, noon)
	middle := was.After(rules, Degraded, noon)
	worse := was.After(rules, Down, noon)
	if severity(better.Status) > severity(middle.Status) || severity(middle.Status) > severity(worse.Status) {
		say("a worse outcome is better")
	}
}

func TestState_Tell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		alerted, status Status
		muted, tell     bool
		want            Status
	}{
		{Unknown, Healthy, false, false, Healthy},
		{Unknown, Down, false, true, Down},
		{Healthy, Down, false, true, Down},
		{Healthy, Degraded, false, true, Degraded},
		{Degraded, Down, false, true, Down},
		{Down, Down, false, false, Down},
		{Down, Healthy, false, true, Healthy},
		{Healthy, Down, true, false, Healthy},
		{Degraded, Down, true, false, Degraded},
		{Down, Degraded, true, false, Down},
		{Down, Healthy, true, true, Healthy},
		{Unknown, Healthy, true, false, Healthy},
	} {
		s := State{Status: tt.status, Alerted: tt.alerted}
		if got := s.Tell(tt.muted); got != tt.tell || s.Alerted != tt.want {
			t.Errorf("%s after %s, muted %t: told %t, and %s is known; want %t and %s", tt.status, tt.alerted, tt.muted, got, s.Alerted, tt.tell, tt.want)
		}
	}
}
