package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// TestLimits_Together has several instances share a limit through one database, minute by minute, and looks at what all of
// them accept: never more than the limit and one event for each instance, and most of it.
func TestLimits_Together(t *testing.T) {
	t.Parallel()
	const limit = 600
	for _, tt := range []struct {
		name    string
		rates   []float64 // events a second, by instance
		atLeast int       // accepted in a minute
		churn   bool      // each minute one instance is replaced
	}{
		{"one alone", []float64{20}, limit, false},
		{"two that are sent twice as much as allowed", []float64{10, 10}, limit * 95 / 100, false},
		{"five in a flood", []float64{100, 100, 100, 100, 100}, limit * 95 / 100, false},
		{"a busy one among idle ones", []float64{20, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2}, limit * 80 / 100, false},
		{"ten that are sent just what is allowed", []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, limit * 80 / 100, false},
		{"four that are sent less", []float64{2, 2, 2, 2}, 8 * 60 * 97 / 100, false},
		{"four of which one is replaced each minute", []float64{5, 5, 5, 5}, limit * 80 / 100, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t).Pool(t, pgtest.Ingest)
			a := &tenant.Access{ProjectID: uuid.New(), KeyID: uuid.New(), RateLimit: limit, SampleRate: 1}
			random := rand.New(rand.NewPCG(1, 2))
			all := make([]instance, len(tt.rates))
			for i := range all {
				all[i] = newInstance(pool)
			}
			const tick = 200 * time.Millisecond
			due := make([]float64, len(all))
			for minute := range 4 {
				accepted := 0
				if tt.churn {
					all[minute%len(all)] = newInstance(pool)
				}
				for second := time.Duration(0); second < time.Minute; second += tick {
					at := midnight().Add(time.Duration(minute)*time.Minute + second)
					for _, i := range random.Perm(len(all)) {
						due[i] += tt.rates[i] * tick.Seconds() * 2 * random.Float64()
						if n := int(due[i]); n > 0 {
							due[i] -= float64(n)
							got, _ := all[i].send(t.Context(), a, n, at)
							accepted += got
						}
					}
				}
				t.Logf("minute %d: %d of %d", minute, accepted, limit)
				// In the first minute the instances get to know each other.
				if most := limit + len(all); accepted > most || accepted < tt.atLeast && minute > 0 {
					t.Errorf("in minute %d %d events were accepted, want %d to %d", minute, accepted, tt.atLeast, most)
				}
			}
		})
	}
}

// TestLimits_Budget has several instances use up a month's budget and goes on into the next month.
func TestLimits_Budget(t *testing.T) {
	t.Parallel()
	for _, instances := range []int{1, 4} {
		for _, of := range []scope{ofProject, ofOrganization} {
			t.Run(fmt.Sprint(instances, " instances, budget of the ", of), func(t *testing.T) {
				t.Parallel()
				db := pgtest.New(t)
				o, p, other := uuid.New(), uuid.New(), uuid.New()
				admin := db.Pool(t, pgtest.Admin)
				if _, err := admin.Exec(t.Context(), "insert into mesher.organizations (id, name, slug, monthly_budget) values ($1, 'a', 'a', 1000)", o); err != nil {
					t.Fatal(err)
				}
				for _, id := range []uuid.UUID{p, other} {
					if _, err := admin.Exec(t.Context(), "insert into mesher.projects (id, organization_id, name, slug) values ($1, $2, 'p', $3)",
						id, o, "p"+id.String()[:8]); err != nil {
						t.Fatal(err)
					}
				}
				accesses := []*tenant.Access{
					{OrganizationID: o, ProjectID: p, KeyID: uuid.New(), SampleRate: 1},
					{OrganizationID: o, ProjectID: other, KeyID: uuid.New(), SampleRate: 1},
				}
				for _, a := range accesses {
					if of == ofOrganization {
						a.OrganizationBudget = 1000
					} else {
						a.MonthlyBudget = 500
					}
				}
				pool := db.Pool(t, pgtest.Ingest)
				all := make([]instance, instances)
				for i := range all {
					all[i] = newInstance(pool)
				}
				use := func(from time.Time) (sum int, last *refusal) {
					for second := range 120 {
						for i := range all {
							for _, a := range accesses {
								got, why := all[i].send(t.Context(), a, 40/instances, from.Add(time.Duration(second)*time.Second))
								sum += got
								last = why
							}
						}
					}
					return sum, last
				}
				for _, from := range []time.Time{midnight().Add(-2 * time.Minute), midnight()} {
					sum, last := use(from)
					// What is sent to the others between two reports is known late.
					if sum < 1000 || sum > 1000+(instances-1)*2*5*40 {
						t.Errorf("%d events were accepted from %s on", sum, from)
					}
					if last == nil || last.reason != overQuota || last.bound.scope != of {
						t.Errorf("the last were refused for %+v", last)
					}
				}
			})
		}
	}
}

// TestLimits_WithoutTheDatabase checks that an instance keeps to its last share when it cannot ask for another.
func TestLimits_WithoutTheDatabase(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t, pgtest.Ingest)
	a := &tenant.Access{ProjectID: uuid.New(), KeyID: uuid.New(), RateLimit: 1000, SampleRate: 1}
	all := []instance{newInstance(pool), newInstance(pool)}
	accepted := map[int64]int{}
	for second := range 240 {
		at := midnight().Add(time.Duration(second) * time.Second)
		if second == 60 {
			for _, i := range all {
				i.report = func(context.Context, tenant.UsageReport) (tenant.UsageState, error) {
					return tenant.UsageState{}, errors.New("away")
				}
			}
		}
		for _, i := range all {
			n, _ := i.send(t.Context(), a, 100, at)
			accepted[minuteOf(at)] += n
		}
	}
	for minute, n := range accepted {
		if n > 1002 || n < 900 {
			t.Errorf("in minute %d %d events were accepted", minute-minuteOf(midnight()), n)
		}
	}
	for _, i := range all {
		if len(i.pending.events) < 2 {
			t.Error("counts are lost")
		}
	}
	// One that was never told anything takes the limit to be its own.
	fresh := newInstance(pool)
	fresh.report = all[0].report
	if n, why := fresh.send(t.Context(), a, 1500, midnight()); n != 1000 || !fault.Is(why.fault(), fault.Limited) {
		t.Errorf("%d accepted, %+v", n, why)
	}
}
