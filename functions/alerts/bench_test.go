package alerts_test

import (
	"testing"
	"time"

	"github.com/mesherhq/mesher/shared/alert"
)

// benchRules is how many rules there are, all of them with events in each minute of their windows.
const benchRules = 10_000

// BenchmarkWindows runs the function over many rules. Its answer is what a minute may not be too short for.
func BenchmarkWindows(b *testing.B) {
	for name, kind := range map[string]alert.Kind{"event_count": alert.EventCount, "release_error_rate": alert.ReleaseErrorRate, "spike": alert.Spike} {
		b.Run(name, func(b *testing.B) {
			x := setup(b)
			const window = 30
			for range 10 { // projects
				x.project = x.newProject(b)
				x.exec(b, `
					insert into mesher.alert_rules (id, organization_id, project_id, name, kind, condition, severity, counts_from, updated_at)
					select gen_random_uuid(), $1::uuid, $2::uuid, 'rule', $4::text, format('{"window_minutes": %s, "scope": "project", "threshold": 1000000,
						"factor": 2, "minimum": 10, "percent": 90, "releases": "each"}', $5::int)::jsonb, 'info', $3::timestamptz - interval '9 days', $3::timestamptz - interval '9 days'
					from generate_series(1, $6::int) n`, x.org, x.project, noon, string(kind), window, benchRules/10)
				x.exec(b, `insert into mesher.project_minute_counts (project_id, minute, level, environment, events)
					select $1::uuid, $2::timestamptz - n * interval '1 minute', l, 'production', 10 from generate_series(0, 8 * 1440) n, unnest('{error,info}'::text[]) l`, x.project, noon)
			}
			if kind != alert.Spike {
				x.exec(b, `insert into mesher.alert_counts (rule_id, subject, minute, events, errors)
					select r.id, r.id, $1::timestamptz - n * interval '1 minute', 10, 1 from mesher.alert_rules r, generate_series(0, $2::int + 2) n`, noon, window)
			}
			x.exec(b, "analyze mesher.alert_rules, mesher.alert_counts, mesher.project_minute_counts")
			for b.Loop() {
				if s := x.run(b, time.Second); s.Done["windows"] != benchRules {
					b.Fatalf("%d rules were looked at", s.Done["windows"])
				}
			}
		})
	}
}
