package sentry

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
)

func TestReadCheckIn(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("83a7c03ed0a04e1b97e2e3b18d38f244")
	config := func(text string) string {
		return `{"monitor_slug":"a","status":"ok","monitor_config":` + text + `}`
	}
	with := func(c *MonitorConfig) CheckIn {
		return CheckIn{Slug: "a", Status: "ok", Environment: "production", Config: c}
	}
	for in, want := range map[string]CheckIn{
		// As the SDKs send it.
		`{"check_in_id":"83a7c03ed0a04e1b97e2e3b18d38f244","monitor_slug":"my-job","status":"in_progress","release":"1.0","environment":"staging",
		  "contexts":{"trace":{"trace_id":"8f431b7aa08441bbbd5a0100fd91f9fe"}},"monitor_config":{"schedule":{"type":"crontab","value":"0 * * * *"},
		  "checkin_margin":5,"max_runtime":30,"timezone":"America/Los_Angeles","failure_issue_threshold":2,"recovery_threshold":1,"owner":"user:1"}}`: {
			ID: id, Slug: "my-job", Status: "in_progress", Environment: "staging", Config: &MonitorConfig{
				Cron: "0 * * * *", Timezone: "America/Los_Angeles", Margin: 5 * time.Minute, MaxRuntime: 30 * time.Minute, Failures: 2, Recoveries: 1,
			},
		},
		`{"check_in_id":"83a7c03e-d0a0-4e1b-97e2-e3b18d38f244","monitor_slug":"my-job","status":"ok","duration":0.25}`: {
			ID: id, Slug: "my-job", Status: "ok", Environment: "production", Duration: 250 * time.Millisecond,
		},
		`{"check_in_id":"00000000000000000000000000000000","monitor_slug":" a ","status":"error","duration":null,"environment":""}`: {Slug: "a", Status: "error", Environment: "production"},
		config(`{"schedule":{"type":"interval","value":2,"unit":"hour"},"timezone":"UTC"}`):                                         with(&MonitorConfig{Interval: 2 * time.Hour}),
		config(`{"schedule":{"type":"interval","value":1,"unit":"month"}}`):                                                         with(&MonitorConfig{Interval: 30 * 24 * time.Hour}),
		config(`{"schedule":{"type":"interval","value":10,"unit":"minute"},"checkin_margin":null,"max_runtime":null}`):              with(&MonitorConfig{Interval: 10 * time.Minute}),
		// What is odd is left out.
		config(`{"schedule":{"type":"interval","value":1e300,"unit":"hour"}}`):                                     with(nil),
		config(`{"schedule":{"type":"interval","value":-1,"unit":"hour"}}`):                                        with(nil),
		config(`{"schedule":{"type":"interval","value":1,"unit":"fortnight"}}`):                                    with(nil),
		config(`{"schedule":{"type":"other","value":1}}`):                                                          with(nil),
		config(`{"schedule":"0 * * * *"}`):                                                                         with(nil),
		config(`{"checkin_margin":1}`):                                                                             with(nil),
		config(`{"schedule":{"type":"crontab","value":"` + strings.Repeat("0,", 128) + `0 * * * *"}}`):             with(nil),
		config(`{"schedule":{"type":"crontab","value":"0 * * * *"},"timezone":"` + strings.Repeat("a", 65) + `"}`): with(nil),
		config(`[1]`): with(nil),
		config(`{"schedule":{"type":"crontab","value":"0 * * * *"},"max_runtime":"long","failure_issue_threshold":"two"}`): with(&MonitorConfig{Cron: "0 * * * *"}),
		`{"check_in_id":7,"monitor_slug":"a","status":"ok","duration":"1","environment":["x"],"monitor_config":null}`:      with(nil),
		`{"monitor_slug":"a","status":"ok","environment":"` + strings.Repeat("é", 70) + `"}`:                               {Slug: "a", Status: "ok", Environment: strings.Repeat("é", 64)},
	} {
		got, err := ReadCheckIn([]byte(in))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", in, err, diff)
		}
	}
	for _, in := range []string{
		``, `null`, `[]`, `"a"`, `{`, `{"status":"ok"}`, `{"monitor_slug":"","status":"ok"}`, `{"monitor_slug":7,"status":"ok"}`, `{"monitor_slug":"a"}`,
		`{"monitor_slug":"a","status":"missed"}`, `{"monitor_slug":"a","status":1}`, `{"monitor_slug":"` + strings.Repeat("a", 33<<10) + `","status":"ok"}`,
		strings.Repeat(`{"a":`, 30) + "1" + strings.Repeat("}", 30),
	} {
		if _, err := ReadCheckIn([]byte(in)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.60s: %v", in, err)
		}
	}
}

func FuzzReadCheckIn(f *testing.F) {
	f.Add([]byte(`{"check_in_id":"83a7c03ed0a04e1b97e2e3b18d38f244","monitor_slug":"a","status":"ok","duration":1.5,"monitor_config":{"schedule":{"type":"interval","value":2,"unit":"hour"},"checkin_margin":5}}`))
	f.Add([]byte(`{"monitor_slug":"\u0000","status":"error","environment":"\ud800"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := ReadCheckIn(in)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		if c.Slug == "" || c.Environment == "" || c.Duration < 0 || strings.ContainsRune(c.Slug+c.Environment, 0) {
			t.Errorf("%+v", c)
		}
		if m := c.Config; m != nil && ((m.Cron == "") == (m.Interval == 0) || m.Margin < 0 || m.MaxRuntime < 0 || m.Failures < 0) {
			t.Errorf("%+v", m)
		}
	})
}
