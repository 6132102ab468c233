package monitor

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
)

func TestHealthCheck(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _ := b.make(t, web(), noon)
	ctx := t.Context()
	if _, err := LatestCheck(ctx, b.app, b.organization.ID, m.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("before the first: %v", err)
	}
	ok := Details{Code: CodeOK}
	for name, look := range map[string]Look{
		"status: ":                    {Details: ok},
		`status: "unknown"`:           {Status: Unknown, Details: ok},
		"latency_ms: -1":              {Status: Healthy, Latency: -time.Millisecond, Details: ok},
		"probe_details: the code":     {Status: Healthy},
		"probe_details: holds a NUL":  {Status: Healthy, Details: Details{Code: "a\x00"}},
		"probe_details: 8":            {Status: Healthy, Details: Details{Code: "a", Error: strings.Repeat("a", 8<<10)}},
		"probe_details: cannot be en": {Status: Healthy, Details: Details{Code: "a", Facts: map[string]any{"x": math.NaN()}}},
	} {
		if _, err := CreateCheck(ctx, b.app, b.organization.ID, m.ID, look, noon); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		// What a look may bring is cut to what can be kept.
		if _, err := newCheck(m.ID, fit(look), noon); err != nil {
			t.Errorf("%s is not made to fit: %v", name, err)
		}
	}
	if _, err := CreateCheck(ctx, b.app, b.organization.ID, m.ID, Look{Status: Healthy, Details: ok}, time.Time{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("at no time: %v", err)
	}
	for i := range 100 {
		look := Look{Status: Healthy, Latency: time.Duration(i+1) * time.Millisecond, Details: Details{Code: CodeOK, HTTPStatus: 200, Facts: map[string]any{"n": 1.5}}}
		switch i % 10 {
		case 0:
			look = Look{Status: Down, Latency: 10 * time.Second, Details: Details{Code: CodeTimeout}}
		case 1:
			look.Status = Degraded
		}
		c, err := CreateCheck(ctx, b.app, b.organization.ID, m.ID, look, noon.Add(time.Duration(i)*time.Minute))
		must(t, err)
		if c.ID.Version() != 7 || c.ID.Variant() != uuid.RFC4122 {
			t.Fatalf("id %s", c.ID)
		}
		if sec, nsec := c.ID.Time().UnixTime(); !time.Unix(sec, nsec).Equal(c.CreatedAt) {
			t.Fatalf("the id %s is not of %s", c.ID, c.CreatedAt)
		}
	}
	latest, err := LatestCheck(ctx, b.app, b.organization.ID, m.ID)
	must(t, err)
	if latest.LatencyMS != 100 || latest.Details.HTTPStatus != 200 || latest.Details.Facts["n"] != 1.5 || !latest.CreatedAt.Equal(noon.Add(99*time.Minute)) {
		t.Errorf("the latest: %+v", latest)
	}
	history := func(f CheckFilter) (n int) {
		for r := (page.Request{Limit: 7}); ; {
			p, err := History(ctx, b.app, b.organization.ID, m.ID, f, r)
			must(t, err)
			for i := 1; i < len(p.Rows); i++ {
				if !p.Rows[i].CreatedAt.Before(p.Rows[i-1].CreatedAt) {
					t.Error("the history is not sorted")
				}
			}
			if n += len(p.Rows); p.Next == (page.Mark{}) {
				return n
			}
			r.After = p.Next
		}
	}
	for _, tt := range []struct {
		filter CheckFilter
		want   int
	}{
		{CheckFilter{}, 100},
		{CheckFilter{Status: Down}, 10},
		{CheckFilter{Since: noon.Add(90 * time.Minute)}, 10},
		{CheckFilter{Until: noon.Add(30 * time.Minute), Status: Degraded}, 3},
	} {
		if got := history(tt.filter); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.filter, got, tt.want)
		}
	}
	s, err := Summarize(ctx, b.app, b.organization.ID, m.ID, noon, noon.Add(100*time.Minute))
	must(t, err)
	if got := fmt.Sprint(s.Checks, s.Healthy, s.Degraded, s.Down, *s.Uptime, *s.P50MS, math.Round(*s.P95MS)); got != "100 80 10 10 0.9 51 96" {
		t.Errorf("summary: %s", got)
	}
	s, err = Summarize(ctx, b.app, b.organization.ID, m.ID, noon.AddDate(0, 0, -1), noon)
	must(t, err)
	if s.Checks != 0 || s.Uptime != nil || s.P50MS != nil || s.P95MS != nil {
		t.Errorf("of a time without looks: %+v", s)
	}
	for _, until := range []time.Time{noon, noon.AddDate(0, 0, 32)} {
		if _, err := Summarize(ctx, b.app, b.organization.ID, m.ID, noon, until); !fault.Is(err, fault.Invalid) {
			t.Errorf("until %s: %v", until, err)
		}
	}
}
