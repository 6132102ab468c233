package probe

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/logging"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/secret"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// bundle is a database with an organization, and Probes on it.
type bundle struct {
	*pgtest.Database
	app          *postgres.Pool
	organization tenant.Organization
	keeper       monitor.Keeper
	hand         *hand
	log          *lockedWriter
}

// hand is a clock that a test moves.
type hand struct {
	mu sync.Mutex
	at time.Time
}

func (h *hand) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hand) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

type lockedWriter struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedWriter) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var sealKey = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))

func setup(t testing.TB) *bundle {
	t.Helper()
	db := pgtest.New(t)
	b := &bundle{Database: db, app: db.Pool(t, pgtest.App), hand: &hand{at: time.Now().UTC().Truncate(time.Minute)}, log: new(lockedWriter)}
	o, err := tenant.EnsureOrganization(t.Context(), db.Pool(t, pgtest.Admin), "Acme", "acme")
	must(t, err)
	sealer, err := secret.NewSealer(secret.SealConfig{Keys: sealKey})
	must(t, err)
	b.organization, b.keeper = o, monitor.Keeper{Sealer: sealer}
	return b
}

// probe starts a Probe with settings that differ from the usual ones; nil: it looks for real.
func (b *bundle) probe(t testing.TB, looker Looker, settings ...string) *Function {
	t.Helper()
	all := map[string]string{
		"DATABASE_URL": b.URL(pgtest.App), "DATABASE_INSECURE": "true", "DATABASE_CONNECT_TIMEOUT": "30s", "SEAL_KEY": sealKey,
		"GOOGLE_CLOUD_PROJECT": "test", "PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "OUTBOUND_ALLOW": "127.0.0.0/8",
	}
	for i := 0; i < len(settings); i += 2 {
		all[settings[i]] = settings[i+1]
	}
	var cfg Config
	must(t, env.Read(env.Map(all), &cfg))
	log := logging.New(b.log, slog.LevelInfo, "")
	if looker == nil {
		var err error
		looker, err = newLooker(cfg, log)
		must(t, err)
	}
	f, err := New(clock.With(t.Context(), b.hand.now), cfg, looker, log)
	must(t, err)
	t.Cleanup(func() { f.Close(context.Background()) })
	return f
}

// run calls a Probe as the scheduler does.
func run(t testing.TB, f *Function) job.Summary {
	t.Helper()
	s, status := call(t, f)
	if status != http.StatusOK {
		t.Fatalf("a run answered %d: %+v", status, s)
	}
	return s
}

func call(t testing.TB, f *Function) (job.Summary, int) {
	t.Helper()
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
	var s job.Summary
	if w.Code == http.StatusOK {
		must(t, json.Unmarshal(w.Body.Bytes(), &s))
	}
	return s, w.Code
}

// add makes a monitor that is due now.
func (b *bundle) add(t testing.TB, s monitor.Spec) monitor.Monitor {
	t.Helper()
	var m monitor.Monitor
	must(t, postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) (err error) {
		m, _, err = b.keeper.Create(t.Context(), tx, b.organization.ID, s, b.hand.now())
		return err
	}))
	return m
}

// many makes monitors of an address quickly, each with a change of its own.
func (b *bundle) many(t testing.TB, n int, change func(i int, s *monitor.Spec)) []monitor.Monitor {
	t.Helper()
	var out []monitor.Monitor
	must(t, postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
		for i := range n {
			s := tcp("127.0.0.1:80")
			change(i, &s)
			m, _, err := b.keeper.Create(t.Context(), tx, b.organization.ID, s, b.hand.now())
			if err != nil {
				return err
			}
			out = append(out, m)
		}
		return nil
	}))
	return out
}

func tcp(address string) monitor.Spec {
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return monitor.Spec{
		Name: "service", Kind: monitor.TCP, Failures: 1, FailuresOf: 1, Recoveries: 1, TimeoutMS: 1000,
		Config: monitor.Config{TCP: &monitor.TCPConfig{Host: host, Port: n}},
	}
}

// rule has the organization alerted when a monitor is down.
func (b *bundle) rule(t testing.TB) {
	t.Helper()
	b.Exec(t, fmt.Sprintf(`insert into mesher.alert_rules (id, organization_id, name, kind, severity) values (gen_random_uuid(), '%[1]s', 'down', 'monitor', 'critical');
		insert into mesher.alert_channels (id, organization_id, name, kind) values (gen_random_uuid(), '%[1]s', 'mail', 'email');
		insert into mesher.alert_rule_channels (rule_id, channel_id) select r.id, c.id from mesher.alert_rules r, mesher.alert_channels c`, b.organization.ID))
}

func (b *bundle) count(t testing.TB, sql string, args ...any) int {
	t.Helper()
	var n int
	must(t, b.app.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

func (b *bundle) find(t testing.TB, id uuid.UUID) monitor.Monitor {
	t.Helper()
	m, err := monitor.Find(t.Context(), b.app, b.organization.ID, id)
	must(t, err)
	return m
}

// looks is a Looker that a test writes.
type looks func(ctx context.Context, m monitor.Monitor, s monitor.Secrets) monitor.Look

func (f looks) Look(ctx context.Context, m monitor.Monitor, s monitor.Secrets) monitor.Look {
	return f(ctx, m, s)
}

func look(s monitor.Status) monitor.Look {
	return monitor.Look{Status: s, Latency: time.Millisecond, Details: monitor.Details{Code: "test"}}
}

// always is a Looker that finds everything to be as status tells.
func always(status func() monitor.Status) looks {
	return func(context.Context, monitor.Monitor, monitor.Secrets) monitor.Look { return look(status()) }
}

func TestProbe(t *testing.T) {
	t.Parallel()
	t.Run("looks each minute at what is due", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		minute, five := b.add(t, tcp("127.0.0.1:80")), tcp("127.0.0.1:80")
		five.IntervalS = 300
		slow := b.add(t, five)
		odd := tcp("127.0.0.1:80")
		odd.IntervalS = 90
		ninety := b.add(t, odd)
		f := b.probe(t, always(func() monitor.Status { return monitor.Healthy }))
		// Runs begin a few seconds early and late.
		jitter := []time.Duration{0, 4, -3, 1, -4, 5, 3, -2, 0, 4}
		for i := range 60 {
			b.hand.move(jitter[i%10] * time.Second)
			run(t, f)
			b.hand.move(time.Minute - jitter[i%10]*time.Second)
		}
		for _, tt := range []struct {
			m    monitor.Monitor
			want [2]int
		}{{minute, [2]int{60, 60}}, {slow, [2]int{12, 13}}, {ninety, [2]int{39, 41}}} {
			n := b.count(t, `select count(*) from mesher.service_health_checks where monitor_id = $1::uuid`, tt.m.ID)
			if n < tt.want[0] || n > tt.want[1] {
				t.Errorf("every %d s: %d looks in an hour, want %v", tt.m.IntervalS, n, tt.want)
			}
		}
		if m := b.find(t, minute.ID); m.Status != monitor.Healthy || m.CheckedAt.IsZero() {
			t.Errorf("%+v", m)
		}
	})
	t.Run("alerts when a service is down, once, and when it is well again", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.rule(t)
		s := tcp("127.0.0.1:80")
		s.Failures, s.FailuresOf, s.Recoveries = 2, 3, 2
		m := b.add(t, s)
		var now atomic.Value
		f := b.probe(t, always(func() monitor.Status { return now.Load().(monitor.Status) }))
		for i, tt := range []struct {
			found, want monitor.Status
			alerts      string // open and resolved
			told        int
		}{
			{monitor.Healthy, monitor.Healthy, "0 0", 0},
			{monitor.Down, monitor.Healthy, "0 0", 0},
			{monitor.Down, monitor.Down, "1 0", 1},
			{monitor.Down, monitor.Down, "1 0", 1},
			{monitor.Healthy, monitor.Down, "1 0", 1},
			{monitor.Healthy, monitor.Healthy, "0 1", 2},
			{monitor.Down, monitor.Healthy, "0 1", 2},
		} {
			now.Store(tt.found)
			run(t, f)
			b.hand.move(time.Minute)
			alerts := fmt.Sprint(b.count(t, `select count(*) from mesher.alert_events where status = 'active'`), b.count(t, `select count(*) from mesher.alert_events where status = 'resolved'`))
			if got := b.find(t, m.ID); got.Status != tt.want || alerts != tt.alerts || b.count(t, `select count(*) from mesher.notifications`) != tt.told {
				t.Errorf("look %d: %s, alerts %s", i, got.Status, alerts)
			}
		}
	})
	t.Run("raises the alert of a muted monitor when it is no longer muted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.rule(t)
		s := tcp("127.0.0.1:80")
		s.IntervalS, s.Mute = 3600, []monitor.Mute{{Until: b.hand.now().Add(10 * time.Minute)}}
		m := b.add(t, s)
		f := b.probe(t, always(func() monitor.Status { return monitor.Down }))
		for i := range 12 {
			run(t, f)
			want := 0
			if i >= 10 {
				want = 1
			}
			if n := b.count(t, `select count(*) from mesher.alert_events`); n != want {
				t.Errorf("after %d minutes: %d alerts, want %d", i, n, want)
			}
			b.hand.move(time.Minute)
		}
		if got := b.find(t, m.ID); got.Status != monitor.Down {
			t.Errorf("it is %s", got.Status)
		}
	})
	t.Run("leaves out what is disabled, deleted, or of an organization that is", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		s := tcp("127.0.0.1:80")
		s.Disabled = true
		b.add(t, s)
		f := b.probe(t, always(func() monitor.Status { return monitor.Healthy }))
		if s := run(t, f); s.Done["look"] != 0 {
			t.Errorf("disabled: %+v", s)
		}
		b.add(t, tcp("127.0.0.1:80"))
		b.Exec(t, `update mesher.organizations set deleted_at = now()`)
		if s := run(t, f); s.Done["look"] != 0 || s.Remaining["look"] != 0 {
			t.Errorf("of a deleted organization: %+v", s)
		}
	})
	t.Run("survives a look that panics and secrets that do not open", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		bad := b.add(t, tcp("127.0.0.1:80"))
		sealed := b.add(t, monitor.Spec{
			Name: "web", Kind: monitor.HTTP, Failures: 1, Secrets: monitor.Confidential{Headers: map[string]string{"X-Key": "very-secret"}},
			Config: monitor.Config{HTTP: &monitor.HTTPConfig{URL: "http://127.0.0.1/"}},
		})
		b.Exec(t, `update mesher.monitors set secret = '\x01020304' where secret is not null`)
		good := b.add(t, tcp("127.0.0.1:80"))
		f := b.probe(t, looks(func(_ context.Context, m monitor.Monitor, _ monitor.Secrets) monitor.Look {
			if m.ID == bad.ID {
				panic("oh")
			}
			return look(monitor.Healthy)
		}))
		if s := run(t, f); s.Done["look"] != 3 {
			t.Errorf("%+v", s)
		}
		for id, want := range map[uuid.UUID]string{bad.ID: "internal", sealed.ID: "secrets", good.ID: "test"} {
			c, err := monitor.LatestCheck(t.Context(), b.app, b.organization.ID, id)
			if err != nil || c.Details.Code != want {
				t.Errorf("%+v, %v; want %s", c.Details, err, want)
			}
		}
	})
	t.Run("looks at the parts of the platform", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		must(t, postgres.InTx(t.Context(), b.app, func(tx postgres.Tx) error {
			_, err := monitor.EnsurePlatform(t.Context(), tx, b.organization.ID, b.hand.now())
			return err
		}))
		run(t, b.probe(t, nil))
		if n := b.count(t, `select count(distinct monitor_id) from mesher.service_health_checks where probe_details ? 'facts'`); n != 5 {
			t.Errorf("%d parts have facts", n)
		}
	})
	t.Run("only counts in a dry run", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add(t, tcp("127.0.0.1:80"))
		f := b.probe(t, always(func() monitor.Status { return monitor.Healthy }))
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?dry_run=true", nil))
		var s job.Summary
		must(t, json.Unmarshal(w.Body.Bytes(), &s))
		if s.Remaining["look"] != 1 || s.Done["look"] != 0 || b.count(t, `select count(*) from mesher.service_health_checks`) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestProbe_Together has four Probes look at 200 monitors at once, each of which is down: each is looked at once and alerts
// once.
func TestProbe_Together(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rule(t)
	b.many(t, 200, func(int, *monitor.Spec) {})
	var wg sync.WaitGroup
	var looked atomic.Int64
	for range 4 {
		f := b.probe(t, always(func() monitor.Status { looked.Add(1); return monitor.Down }), "PROBE_CONCURRENCY", "20")
		wg.Go(func() {
			run(t, f)
			run(t, f) // a call that comes twice
		})
	}
	wg.Wait()
	for what, sql := range map[string]string{
		"looks":         `select count(*) from mesher.service_health_checks`,
		"monitors":      `select count(distinct monitor_id) from mesher.service_health_checks`,
		"alerts":        `select count(*) from mesher.alert_events`,
		"notifications": `select count(*) from mesher.notifications where template = 'alert'`,
		"down":          `select count(*) from mesher.monitors where status = 'down' and claim is null`,
	} {
		if n := b.count(t, sql); n != 200 {
			t.Errorf("%s: %d, want 200", what, n)
		}
	}
	if n := looked.Load(); n != 200 {
		t.Errorf("looked %d times", n)
	}
}

// TestProbe_Ended ends a Probe in the middle of its work: another one makes up for it, no change of status is lost, and
// nobody is alerted twice.
func TestProbe_Ended(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rule(t)
	b.many(t, 200, func(int, *monitor.Spec) {})
	var looked atomic.Int64
	half, dead := make(chan struct{}), make(chan struct{})
	dying := b.probe(t, looks(func(context.Context, monitor.Monitor, monitor.Secrets) monitor.Look {
		switch n := looked.Add(1); {
		case n == 80:
			close(half)
		case n > 80:
			<-dead // those that the end interrupts
		}
		return look(monitor.Down)
	}), "PROBE_CONCURRENCY", "30")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = call(t, dying)
	}()
	<-half
	// Some of what was found is written by now, some waits to be, some is claimed and not looked at.
	eventually(t, func() bool { return b.count(t, `select count(*) from mesher.service_health_checks`) > 0 })
	dying.pool.Close()
	close(dead)
	<-done
	if n := b.count(t, `select count(*) from mesher.monitors where claim is not null`); n == 0 {
		t.Fatal("nothing was interrupted")
	}
	written := b.count(t, `select count(*) from mesher.service_health_checks`)
	next := b.probe(t, always(func() monitor.Status { return monitor.Down }))
	run(t, next)
	if n := b.count(t, `select count(*) from mesher.monitors where status = 'down'`); n >= 200 {
		t.Errorf("claims that held were taken: %d are down, %d were written", n, written)
	}
	b.hand.move(2 * time.Minute) // the claims have ended
	run(t, next)
	for what, sql := range map[string]string{
		"down":          `select count(*) from mesher.monitors where status = 'down' and claim is null`,
		"alerts":        `select count(*) from mesher.alert_events`,
		"notifications": `select count(*) from mesher.notifications where template = 'alert'`,
	} {
		if n := b.count(t, sql); n != 200 {
			t.Errorf("%s: %d, want 200", what, n)
		}
	}
}

// TestProbe_Late has a look end after its claim has, and another one been made: it is not written.
func TestProbe_Late(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.add(t, tcp("127.0.0.1:80"))
	began, let := make(chan struct{}), make(chan struct{})
	slow := b.probe(t, looks(func(context.Context, monitor.Monitor, monitor.Secrets) monitor.Look {
		close(began)
		<-let
		return look(monitor.Down)
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(t, slow)
	}()
	<-began
	b.hand.move(2 * time.Minute)
	run(t, b.probe(t, always(func() monitor.Status { return monitor.Healthy })))
	close(let)
	<-done
	if got := b.find(t, m.ID); got.Status != monitor.Healthy || b.count(t, `select count(*) from mesher.service_health_checks`) != 1 {
		t.Errorf("it is %s", got.Status)
	}
	if !strings.Contains(b.log.String(), "looks came too late") {
		t.Error("nobody is told")
	}
}

// eventually waits until ok holds.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("never happened")
		}
	}
}

// TestProbe_Hanging looks at 500 services over real connections, of which a third takes a connection and never answers.
func TestProbe_Hanging(t *testing.T) {
	t.Parallel()
	b := setup(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	var held sync.Map
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			held.Store(c, nil) // and nothing else
		}
	}()
	t.Cleanup(func() { held.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true }) })
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"up"}`)) }))
	t.Cleanup(good.Close)
	target, err := url.Parse(good.URL)
	must(t, err)
	const most = 5_000 // milliseconds that a hanging one takes
	b.many(t, 500, func(i int, s *monitor.Spec) {
		s.TimeoutMS, s.Kind = most, monitor.HTTP
		c := &monitor.HTTPConfig{URL: "http://" + target.Host + "/health", JSON: []monitor.Condition{{Name: "$.status", Op: monitor.Equals, Value: "up"}}}
		if i%3 == 0 {
			c.URL = "http://" + silent.Addr().String() + "/"
		}
		s.Config = monitor.Config{HTTP: c}
	})
	s := run(t, b.probe(t, nil))
	if s.Done["look"] != 500 || s.Remaining["look"] != 0 || len(s.Failed) != 0 {
		t.Errorf("%+v", s)
	}
	// One after the other the hanging ones would take a quarter of an hour.
	if s.TookMS > runMost.Milliseconds() {
		t.Errorf("it took %d ms", s.TookMS)
	}
	t.Logf("500 services, 167 of them hanging for %d ms, took %d ms", most, s.TookMS)
	for what, want := range map[string]int{"status = 'down' and probe_details ->> 'code' = 'timeout'": 167, "status = 'healthy'": 333} {
		if n := b.count(t, `select count(distinct monitor_id) from mesher.service_health_checks where `+what); n != want {
			t.Errorf("%s: %d, want %d", what, n, want)
		}
	}
}

// TestProbe_OutOfTime leaves what there is no time for to the next run.
func TestProbe_OutOfTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.many(t, 300, func(int, *monitor.Spec) {})
	f := b.probe(t, always(func() monitor.Status { return monitor.Healthy }))
	r := job.Runner{Name: "probe", Pool: f.pool, Log: f.log, Now: f.now, Most: runMost, Shared: true}
	s, err := r.Run(t.Context(), false, func(ctx context.Context, run *job.Run) error {
		// Less time than any of the looks may take.
		run.Step(ctx, "look", writeReserve+500*time.Millisecond, func(ctx context.Context) (int64, int64, error) { return f.look(ctx, run) })
		return nil
	})
	must(t, err)
	if s.Done["look"] != 0 || s.Remaining["look"] != 300 {
		t.Errorf("without time: %+v", s)
	}
	if s := run(t, f); s.Done["look"] != 300 || s.Remaining["look"] != 0 {
		t.Errorf("with time: %+v", s)
	}
}

// TestProbe_Refused has the database refuse what was found of one monitor: that of the others is kept.
func TestProbe_Refused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.many(t, 20, func(int, *monitor.Spec) {})
	b.Exec(t, fmt.Sprintf(`create function public.refuse() returns trigger language plpgsql as $$ begin
			if new.monitor_id = '%s' then raise exception 'no' using errcode = '22000'; end if; return new; end $$;
		create trigger refuse before insert on mesher.service_health_checks for each row execute function public.refuse()`, made[7].ID))
	s, status := call(t, b.probe(t, always(func() monitor.Status { return monitor.Healthy })))
	if status != http.StatusOK || s.Done["look"] != 19 || s.Remaining["look"] == 0 || s.Failed["look"] == "" {
		t.Errorf("%d: %+v", status, s)
	}
	if n := b.count(t, `select count(*) from mesher.monitors where status = 'healthy'`); n != 19 {
		t.Errorf("%d are healthy", n)
	}
}
