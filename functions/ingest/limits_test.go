package ingest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/tenant"
)

// instance is the part of an instance of Ingest that counts and limits.
type instance struct {
	*usage
	*limits
}

func newInstance(db tenant.DB) instance {
	l := newLimits()
	return instance{newUsage(db, slog.New(slog.DiscardHandler), l), l}
}

// send is a request of n events at a time. It returns how many are accepted.
func (i instance) send(ctx context.Context, a *tenant.Access, n int, at time.Time) (int, *refusal) {
	wait, unread := i.start(ctx, a, at)
	if unread {
		wait()
	}
	admitted, why := i.admit(a, n, n, at)
	sum := tenant.Usage{Accepted: int64(admitted)}
	if why != nil {
		sum.Add(why.usage(int64(n - admitted)))
	}
	i.add(*a, sum, at)
	wait()
	return admitted, why
}

// midnight is when tests begin: in a minute, the next month.
func midnight() time.Time { return time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC) }

func TestLimits(t *testing.T) {
	t.Parallel()
	at := midnight().Add(-10 * time.Second)
	project := func() *tenant.Access {
		return &tenant.Access{OrganizationID: uuid.New(), ProjectID: uuid.New(), KeyID: uuid.New(), SampleRate: 1}
	}
	admit := func(t *testing.T, l *limits, a *tenant.Access, n int, at time.Time, want int, why reason, of scope, after time.Duration) {
		t.Helper()
		got, refused := l.admit(a, n, n, at)
		if got != want || (refused == nil) != (why == "") {
			t.Fatalf("%d of %d admitted, %+v; want %d", got, n, refused, want)
		}
		if refused != nil && (refused.reason != why || refused.bound.scope != of || refused.after != after) {
			t.Errorf("refused for %s of %s, %s; want %s of %s, %s", refused.reason, refused.bound.scope, refused.after, why, of, after)
		}
	}
	t.Run("that are not set hold nothing up, and nothing is remembered", func(t *testing.T) {
		t.Parallel()
		l := newLimits()
		admit(t, l, project(), 1e6, at, 1e6, "", "", 0)
		if len(l.subjects) != 0 {
			t.Errorf("%d are remembered", len(l.subjects))
		}
	})
	t.Run("of a minute end with it", func(t *testing.T) {
		t.Parallel()
		l, a := newLimits(), project()
		a.RateLimit = 5
		admit(t, l, a, 3, at, 3, "", "", 0)
		admit(t, l, a, 3, at, 2, rateLimited, ofProject, 10*time.Second)
		admit(t, l, a, 3, midnight().Add(-100*time.Millisecond), 0, rateLimited, ofProject, time.Second)
		admit(t, l, a, 3, midnight(), 3, "", "", 0)
		admit(t, l, a, 3, at, 2, rateLimited, ofProject, 10*time.Second) // a straggler counts now
		admit(t, l, a, 3, at.Add(-10*time.Minute), 0, rateLimited, ofProject, 10*time.Second)
		admit(t, l, a, 3, at.Add(-2*time.Hour), 3, "", "", 0) // the clock was set back
	})
	t.Run("of a key leave the others of its project alone", func(t *testing.T) {
		t.Parallel()
		l, a := newLimits(), project()
		a.RateLimit, a.KeyRateLimit = 5, 2
		admit(t, l, a, 3, at, 2, rateLimited, ofKey, 10*time.Second)
		b := *a
		b.KeyID, b.KeyRateLimit = uuid.New(), 0
		admit(t, l, &b, 5, at, 3, rateLimited, ofProject, 10*time.Second)
	})
	t.Run("of a month end with it, and nobody waits for more than an hour", func(t *testing.T) {
		t.Parallel()
		l, a := newLimits(), project()
		a.MonthlyBudget, a.RateLimit = 5, 5
		admit(t, l, a, 6, at.Add(-time.Hour*30), 5, overQuota, ofProject, time.Hour)
		admit(t, l, a, 1, at, 0, overQuota, ofProject, 10*time.Second)
		admit(t, l, a, 6, midnight(), 5, overQuota, ofProject, time.Hour)
	})
	t.Run("of an organization are of all of its projects", func(t *testing.T) {
		t.Parallel()
		l, a := newLimits(), project()
		a.OrganizationBudget = 5
		b := *a
		b.ProjectID = uuid.New()
		admit(t, l, a, 3, at, 3, "", "", 0)
		admit(t, l, &b, 3, at, 2, overQuota, ofOrganization, 10*time.Second)
	})
	t.Run("begin with what was used when the key was looked up", func(t *testing.T) {
		t.Parallel()
		l, a := newLimits(), project()
		a.MonthlyBudget, a.Used = 5, tenant.MonthUsage{Month: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Project: 4}
		admit(t, l, a, 3, at, 1, overQuota, ofProject, 10*time.Second)
		admit(t, l, a, 3, midnight(), 3, "", "", 0)
	})
	t.Run("count what is given back", func(t *testing.T) {
		t.Parallel()
		l, a := newLimits(), project()
		a.RateLimit, a.MonthlyBudget = 5, 8
		admit(t, l, a, 5, at, 5, "", "", 0)
		l.release(a, 4, at)
		admit(t, l, a, 5, at, 4, rateLimited, ofProject, 10*time.Second)
		l.release(a, 5, at)
		l.release(a, 5, at.Add(-time.Minute)) // of a minute that is over
		admit(t, l, a, 6, at, 5, rateLimited, ofProject, 10*time.Second)
	})
	t.Run("change when the settings do", func(t *testing.T) {
		t.Parallel()
		l, a := newLimits(), project()
		a.RateLimit = 5
		admit(t, l, a, 3, at, 3, "", "", 0)
		a.RateLimit = 2
		admit(t, l, a, 1, at, 0, rateLimited, ofProject, 10*time.Second)
		a.RateLimit = 0
		admit(t, l, a, 9, at, 9, "", "", 0)
		a.RateLimit = 20
		admit(t, l, a, 30, at, 20-3, rateLimited, ofProject, 10*time.Second)
	})
	t.Run("are refused at once when nothing is left", func(t *testing.T) {
		t.Parallel()
		l, a := newLimits(), project()
		a.RateLimit = 1
		if why := l.check(a, at); why != nil {
			t.Errorf("refused for %+v", why)
		}
		admit(t, l, a, 1, at, 1, "", "", 0)
		if why := l.check(a, at); why == nil || why.reason != rateLimited {
			t.Errorf("refused for %+v", why)
		}
	})
	t.Run("are remembered for so many only", func(t *testing.T) {
		t.Parallel()
		l := newLimits()
		for range subjectsMost + 10 {
			a := project()
			a.RateLimit = 1
			admit(t, l, a, 1, at, 1, "", "", 0)
		}
		if len(l.subjects) != subjectsMost {
			t.Errorf("%d are remembered", len(l.subjects))
		}
	})
	t.Run("are forgotten when nothing comes for long", func(t *testing.T) {
		t.Parallel()
		l, a := newLimits(), project()
		a.RateLimit = 1
		l.watch(a, at)
		for _, after := range []time.Duration{0, time.Minute, idleFor + time.Minute, idleFor + 2*time.Minute} {
			var r tenant.UsageReport
			r.At = at.Add(after)
			l.ask(&r)
			if wanted := after == 0; len(r.Claims) == 1 != wanted {
				t.Errorf("after %s %d are asked for", after, len(r.Claims))
			}
		}
		if len(l.subjects) != 0 {
			t.Errorf("%d are remembered", len(l.subjects))
		}
	})
}

// BenchmarkAdmit measures what a request costs that has every kind of limit.
func BenchmarkAdmit(b *testing.B) {
	for name, a := range map[string]*tenant.Access{
		"no limit":   {ProjectID: uuid.New()},
		"rate limit": {ProjectID: uuid.New(), KeyID: uuid.New(), RateLimit: 1 << 40},
		"all limits": {
			OrganizationID: uuid.New(), ProjectID: uuid.New(), KeyID: uuid.New(),
			RateLimit: 1 << 40, KeyRateLimit: 1 << 40, MonthlyBudget: 1 << 40, OrganizationBudget: 1 << 40,
		},
		"refused": {ProjectID: uuid.New(), KeyID: uuid.New(), RateLimit: 1},
	} {
		b.Run(name, func(b *testing.B) {
			l := newLimits()
			b.ReportAllocs()
			for b.Loop() {
				l.admit(a, 1, 1, midnight())
			}
		})
	}
}
