package alert_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
)

// raise raises an alert at a time after noon and returns how many notifications that wrote.
func (b *bundle) raise(t testing.TB, r alert.Rule, subject uuid.UUID, after time.Duration) int {
	t.Helper()
	ids, err := alert.Create(t.Context(), b.app, alert.New{RuleID: r.ID, Subject: subject, Title: "title", At: noon.Add(after)})
	if err != nil {
		t.Fatal(err)
	}
	return len(ids)
}

func (b *bundle) active(t testing.TB, r alert.Rule, subject uuid.UUID) alert.Alert {
	t.Helper()
	a, err := alert.FindActive(t.Context(), b.app, b.org, r.ID, subject)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (b *bundle) acknowledge(t testing.TB, id, by uuid.UUID, after time.Duration) (a alert.Alert, changed bool, err error) {
	t.Helper()
	err = postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) (err error) {
		a, changed, err = alert.Acknowledge(t.Context(), tx, b.org, id, by, noon.Add(after))
		return err
	})
	return a, changed, err
}

func (b *bundle) resolve(t testing.TB, id, by uuid.UUID, after time.Duration) (a alert.Alert, changed bool, told int, err error) {
	t.Helper()
	err = postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
		var ids []uuid.UUID
		a, changed, ids, err = alert.Resolve(t.Context(), tx, b.org, id, by, "done", noon.Add(after))
		told = len(ids)
		return err
	})
	return a, changed, told, err
}

func TestCreate_ValidatesBeforeTheDatabaseDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := alert.New{RuleID: uuid.New(), Subject: uuid.New(), Title: "t", At: noon}
	for name, change := range map[string]func(*alert.New){
		"an alert has a rule":         func(n *alert.New) { n.RuleID = uuid.Nil },
		"an alert has a subject":      func(n *alert.New) { n.Subject = uuid.Nil },
		"an alert has a time":         func(n *alert.New) { n.At = time.Time{} },
		"that can be stored, not 0":   func(n *alert.New) { n.Title = "" },
		"that can be stored, not 501": func(n *alert.New) { n.Title = strings.Repeat("x", 501) },
		"that can be stored, not 2":   func(n *alert.New) { n.Title = "a\x00" },
		"that can be stored, not 1":   func(n *alert.New) { n.Title = "\xff" },
		"is no JSON":                  func(n *alert.New) { n.Snapshot = map[string]any{"a": make(chan int)} },
		"the character U+0000":        func(n *alert.New) { n.Snapshot = map[string]any{"a": "\x00"} },
		"at most 16384 are kept":      func(n *alert.New) { n.Snapshot = map[string]any{"a": strings.Repeat("x", 16384)} },
	} {
		n := good
		change(&n)
		if _, err := alert.Create(t.Context(), b.app, n); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an Invalid fault that says %q", err, name)
		}
	}
	if _, err := alert.Create(t.Context(), b.app, good); err != nil {
		t.Errorf("of a rule that there is not: %v", err)
	}
	if n := b.number(t, "select count(*) from mesher.alert_events"); n != 0 {
		t.Errorf("alerts = %d, want none", n)
	}
}

func TestAlerts_Live(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.Regression, alert.RuleChange{ChannelIDs: &b.channels, Severity: ptr(alert.Critical)})
	subject, ada, bob := uuid.New(), uuid.New(), uuid.New()
	if _, err := alert.FindActive(t.Context(), b.app, b.org, r.ID, subject); !fault.Is(err, fault.NotFound) {
		t.Errorf("before it is raised: %v", err)
	}
	issue, monitor := uuid.New(), uuid.New()
	ids, err := alert.Create(t.Context(), b.app, alert.New{
		RuleID: r.ID, Subject: subject, Title: strings.Repeat("ü", 500), Snapshot: map[string]any{"a": 1}, IssueID: issue, MonitorID: monitor, At: noon,
	})
	if err != nil || len(ids) != 2 {
		t.Fatalf("notifications = %v, %v; want one for each channel", ids, err)
	}
	a := b.active(t, r, subject)
	want := alert.Alert{
		ID: a.ID, OrganizationID: b.org, ProjectID: b.project, RuleID: r.ID, RuleName: "rule", Kind: alert.Regression, Subject: subject,
		Status: alert.Active, Severity: alert.Critical, Title: strings.Repeat("ü", 500), Snapshot: []byte(`{"a": 1}`), IssueID: issue, MonitorID: monitor,
		StartedAt: noon, Told: true,
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if a.ID.Version() != 7 {
		t.Errorf("its id is %s", a.ID)
	}
	if n := b.raise(t, r, subject, time.Minute); n != 0 {
		t.Errorf("raised again, %d are told", n)
	}
	for i, by := range []uuid.UUID{ada, bob} {
		got, changed, err := b.acknowledge(t, a.ID, by, time.Duration(i+1)*time.Minute)
		want.Status, want.AcknowledgedAt, want.AcknowledgedBy = alert.Acknowledged, noon.Add(time.Minute), ada
		if diff := cmp.Diff(want, got); diff != "" || changed != (i == 0) || err != nil {
			t.Errorf("acknowledged by %d: %t, %v (-want +got)\n%s", i, changed, err, diff)
		}
	}
	if n := b.raise(t, r, subject, 3*time.Minute); n != 0 {
		t.Errorf("raised while acknowledged, %d are told", n)
	}
	for i, by := range []uuid.UUID{bob, ada} {
		got, changed, told, err := b.resolve(t, a.ID, by, time.Duration(i+4)*time.Minute)
		want.Status, want.ResolvedAt, want.ResolvedBy, want.ResolvedWhy = alert.Resolved, noon.Add(4*time.Minute), bob, "done"
		if diff := cmp.Diff(want, got); diff != "" || changed != (i == 0) || told != 2*(1-i) || err != nil {
			t.Errorf("resolved by %d: %t, %d told, %v (-want +got)\n%s", i, changed, told, err, diff)
		}
	}
	if _, _, err := b.acknowledge(t, a.ID, ada, time.Hour); !fault.Is(err, fault.Conflict) {
		t.Errorf("acknowledged though resolved: %v", err)
	}
	if n := b.raise(t, r, subject, time.Hour); n != 2 {
		t.Errorf("when it comes back, %d are told, want 2", n)
	}
	again := b.active(t, r, subject)
	history, err := alert.History(t.Context(), b.app, b.org, r.ID, subject, page.Request{Limit: 10})
	if err != nil || len(history.Rows) != 2 || history.Rows[0].ID != again.ID || history.Rows[1].ID != a.ID {
		t.Errorf("history = %+v, %v", history, err)
	}
}

func TestAlerts_AreConcealed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.NewIssue, alert.RuleChange{})
	subject := uuid.New()
	b.raise(t, r, subject, 0)
	a := b.active(t, r, subject)
	b.org, b.other = b.other, b.org
	for what, err := range map[string]error{
		"find":        second(alert.Find(t.Context(), b.app, b.org, a.ID)),
		"find active": second(alert.FindActive(t.Context(), b.app, b.org, r.ID, subject)),
		"acknowledge": func() error { _, _, err := b.acknowledge(t, a.ID, uuid.New(), 0); return err }(),
		"resolve":     func() error { _, _, _, err := b.resolve(t, a.ID, uuid.New(), 0); return err }(),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s as another organization: %v", what, err)
		}
	}
	if p, err := alert.List(t.Context(), b.app, b.org, alert.Narrowing{}, page.Request{Limit: 10}); err != nil || len(p.Rows) > 0 {
		t.Errorf("listed %+v, %v", p, err)
	}
	if owner, err := alert.OwnerOfAlert(t.Context(), b.app, a.ID); err != nil || owner.OrganizationID != b.other || owner.ProjectID != b.project {
		t.Errorf("the owner is %+v, %v", owner, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := b.rule(t, alert.NewIssue, alert.RuleChange{Severity: ptr(alert.Critical)})
	two := b.rule(t, alert.Regression, alert.RuleChange{})
	whole, err := b.create(t, alert.Place{OrganizationID: b.org}, alert.MonitorStatus, alert.RuleChange{})
	if err != nil {
		t.Fatal(err)
	}
	var all []uuid.UUID
	subject := uuid.New()
	for i, r := range []alert.Rule{one, one, two, whole, one} {
		of := uuid.New()
		if i == 0 {
			of = subject
		}
		b.raise(t, r, of, time.Duration(i)*time.Minute)
		all = append([]uuid.UUID{b.active(t, r, of).ID}, all...)
	}
	_, _, _, err = b.resolve(t, all[4], uuid.New(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.acknowledge(t, all[2], uuid.New(), time.Hour); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		f    alert.Narrowing
		want []uuid.UUID
	}{
		"all":          {alert.Narrowing{}, all},
		"project":      {alert.Narrowing{ProjectID: b.project}, []uuid.UUID{all[0], all[2], all[3], all[4]}},
		"rule":         {alert.Narrowing{RuleID: one.ID}, []uuid.UUID{all[0], all[3], all[4]}},
		"kind":         {alert.Narrowing{Kind: alert.Regression}, all[2:3]},
		"severity":     {alert.Narrowing{Severity: alert.Critical}, []uuid.UUID{all[0], all[3], all[4]}},
		"acknowledged": {alert.Narrowing{Statuses: []string{"acknowledged"}}, all[2:3]},
		"open":         {alert.Narrowing{Statuses: []string{"acknowledged", "active"}}, all[:4]},
		"resolved":     {alert.Narrowing{Statuses: []string{"resolved"}}, all[4:]},
		"since":        {alert.Narrowing{Since: noon.Add(2 * time.Minute)}, all[:3]},
		"until":        {alert.Narrowing{Until: noon.Add(2 * time.Minute)}, all[3:]},
		"subject":      {alert.Narrowing{Subject: subject}, all[4:]},
	} {
		var got []uuid.UUID
		for after := (page.Mark{}); ; {
			p, err := alert.List(t.Context(), b.app, b.org, tt.f, page.Request{Limit: 2, After: after})
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range p.Rows {
				got = append(got, a.ID)
			}
			if after = p.Next; after == (page.Mark{}) {
				break
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// However many raise it, acknowledge it and resolve it at once: it happens once.
func TestAlerts_AtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.rule(t, alert.Regression, alert.RuleChange{ChannelIDs: &b.channels})
	subject := uuid.New()
	var mu sync.Mutex
	sum := map[string]int{}
	count := func(what string, n int) {
		mu.Lock()
		defer mu.Unlock()
		sum[what] += n
	}
	together := func(f func()) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(f)
		}
		wg.Wait()
	}
	together(func() { count("told", b.raise(t, r, subject, 0)) })
	a := b.active(t, r, subject)
	together(func() {
		_, changed, err := b.acknowledge(t, a.ID, uuid.New(), time.Minute)
		if err != nil {
			t.Error(err)
		}
		if changed {
			count("acknowledged", 1)
		}
	})
	together(func() {
		_, changed, told, err := b.resolve(t, a.ID, uuid.New(), time.Minute)
		if err != nil {
			t.Error(err)
		}
		if changed {
			count("resolved", 1)
		}
		count("told of the end", told)
	})
	if diff := cmp.Diff(map[string]int{"told": 2, "acknowledged": 1, "resolved": 1, "told of the end": 2}, sum); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := b.number(t, "select count(*) from mesher.alert_events"); n != 1 {
		t.Errorf("alerts = %d, want 1", n)
	}
}

func TestMonitorChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, other := b.monitor(t, b.org, b.project), b.monitor(t, b.org, uuid.Nil)
	theirs := b.monitor(t, b.other, b.foreign)
	rule := func(in alert.Place, c alert.Condition) alert.Rule {
		r, err := b.create(t, in, alert.MonitorStatus, alert.RuleChange{Condition: &c, ChannelIDs: ptr(b.channels[:1])})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	whole := alert.Place{OrganizationID: b.org}
	down, both := rule(b.place(), alert.Condition{}), rule(b.place(), alert.Condition{Statuses: []string{"down", "degraded"}})
	all, named := rule(whole, alert.Condition{}), rule(whole, alert.Condition{Monitors: []uuid.UUID{other}})
	names := map[uuid.UUID]string{down.ID: "down", both.ID: "both", all.ID: "all", named.ID: "named"}
	open := func() map[string]int {
		t.Helper()
		p, err := alert.List(t.Context(), b.app, b.org, alert.Narrowing{Statuses: []string{"active"}}, page.Request{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int{}
		for _, a := range p.Rows {
			out[names[a.RuleID]]++
		}
		return out
	}
	at := noon
	for _, step := range []struct {
		monitor uuid.UUID
		status  string
		told    int
		open    map[string]int
	}{
		{m, "degraded", 1, map[string]int{"both": 1}},
		{m, "down", 2, map[string]int{"down": 1, "both": 1, "all": 1}},
		{m, "down", 0, map[string]int{"down": 1, "both": 1, "all": 1}},
		{other, "down", 2, map[string]int{"down": 1, "both": 1, "all": 2, "named": 1}},
		{theirs, "down", 0, map[string]int{"down": 1, "both": 1, "all": 2, "named": 1}},
		{m, "degraded", 2, map[string]int{"both": 1, "all": 1, "named": 1}},
		{m, "healthy", 1, map[string]int{"all": 1, "named": 1}},
		{other, "healthy", 2, map[string]int{}},
	} {
		at = at.Add(time.Minute)
		ids, err := alert.MonitorChanged(t.Context(), b.app, step.monitor, step.status, map[string]any{"code": "timeout"}, at)
		if err != nil || len(ids) != step.told {
			t.Errorf("%s: %d are told, %v; want %d", step.status, len(ids), err, step.told)
		}
		if diff := cmp.Diff(step.open, open()); diff != "" {
			t.Errorf("%s: open alerts (-want +got)\n%s", step.status, diff)
		}
	}
}
