package notify

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/postgres"
)

// receiver is what a channel leads to.
type receiver struct {
	url string
	// answer answers a request; nil: 200.
	answer func(w http.ResponseWriter, r *http.Request)

	mu    sync.Mutex
	calls []request
}

// request is a request that a receiver got.
type request struct {
	header http.Header
	path   string
	body   []byte
}

func receive(t testing.TB, answer func(w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rc := &receiver{answer: answer}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rc.mu.Lock()
		rc.calls = append(rc.calls, request{r.Header.Clone(), r.URL.RequestURI(), body})
		rc.mu.Unlock()
		if rc.answer != nil {
			rc.answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	rc.url = s.URL + "/hook/T0pSecretPath"
	return rc
}

func (rc *receiver) got() []request {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]request(nil), rc.calls...)
}

// one returns the one request that there must be.
func (rc *receiver) one(t testing.TB) request {
	t.Helper()
	got := rc.got()
	if len(got) != 1 {
		t.Fatalf("%d requests, want 1", len(got))
	}
	return got[0]
}

// decoded returns the body of the one request.
func decodedBody[T any](t testing.TB, c request) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(c.body, &v); err != nil {
		t.Fatalf("%v in %s", err, c.body)
	}
	return v
}

// status answers a status and nothing else.
func status(code int, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// raw answers with what write writes to the connection, which is closed then.
func raw(write func(conn net.Conn)) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		write(conn)
	}
}

// tenantBundle is a bundle with an organization that has a project and a rule.
type tenantBundle struct {
	*bundle
	organization, project, rule uuid.UUID
	keeper                      *alert.Channels
}

func (b *bundle) tenant(t testing.TB) *tenantBundle {
	t.Helper()
	out := &tenantBundle{bundle: b, organization: uuid.New(), project: uuid.New(), rule: uuid.New()}
	var err error
	if out.keeper, err = alert.NewChannels(b.config("/").Channels); err != nil {
		t.Fatal(err)
	}
	b.db.Exec(t,
		`insert into mesher.organizations (id, name, slug) values ('`+out.organization.String()+`', 'Acme', 'acme')`,
		`insert into mesher.projects (id, organization_id, name, slug) values ('`+out.project.String()+`', '`+out.organization.String()+`', 'Shop', 'shop')`)
	out.newRule(t, out.rule)
	return out
}

func (b *tenantBundle) newRule(t testing.TB, id uuid.UUID) {
	t.Helper()
	b.db.Exec(t, `insert into mesher.alert_rules (id, organization_id, project_id, name, kind, severity)
		values ('`+id.String()+`', '`+b.organization.String()+`', '`+b.project.String()+`', 'New issues', 'new_issue', 'critical')`)
}

// member makes a member who has confirmed the address.
func (b *tenantBundle) member(t testing.TB, email string) {
	t.Helper()
	u := b.user(t, email, true)
	b.db.Exec(t, `insert into mesher.memberships (organization_id, user_id, role) values ('`+b.organization.String()+`', '`+u.ID.String()+`', 'member')`)
}

// channel makes a channel of a kind that leads to url and is used by the rule, and returns its signing secret.
func (b *tenantBundle) channel(t testing.TB, kind alert.ChannelKind, url string, change ...func(*alert.ChannelChange)) (alert.Channel, string) {
	t.Helper()
	name := "On call"
	c := alert.ChannelChange{Name: &name}
	switch kind {
	case alert.ChannelWebhook:
		c.Webhook = &alert.WebhookTarget{URL: &url}
	case alert.ChannelSlack:
		c.Slack = &alert.URLTarget{URL: url}
	case alert.ChannelDiscord:
		c.Discord = &alert.URLTarget{URL: url}
	case alert.ChannelPagerDuty:
		c.PagerDuty = &alert.PagerDutyTarget{RoutingKey: routingKey, URL: url}
	}
	for _, f := range change {
		f(&c)
	}
	var made alert.Channel
	var signing string
	err := postgres.InTx(t.Context(), b.pool, func(tx postgres.Tx) (err error) {
		made, signing, err = b.keeper.Create(t.Context(), tx, b.organization, c)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.db.Exec(t, `insert into mesher.alert_rule_channels (rule_id, channel_id) values ('`+b.rule.String()+`', '`+made.ID.String()+`')`)
	return made, signing
}

var routingKey = strings.Repeat("R0utingK", 4)

// raise raises an alert of a title and returns its one notification.
func (b *tenantBundle) raise(t testing.TB, subject uuid.UUID, title string) uuid.UUID {
	t.Helper()
	return b.told(t, `select * from mesher.raise_alert($1::uuid, $2::uuid, $3::text, $4::text::jsonb, $2::uuid, null, $5::timestamptz)`,
		b.rule, subject, title, `{"count": 7, "message": "it <b>broke</b>", "tags": {"a": "b"}}`, time.Now())
}

func (b *tenantBundle) resolve(t testing.TB, subject uuid.UUID) uuid.UUID {
	t.Helper()
	return b.told(t, `select * from mesher.resolve_alert($1::uuid, $2::uuid, 'it is over', $3::timestamptz)`, b.rule, subject, time.Now())
}

func (b *tenantBundle) told(t testing.TB, sql string, args ...any) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	if err := b.pool.QueryRow(t.Context(), sql, args...).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

// due lets what was put off be delivered now.
func (b *tenantBundle) due(t testing.TB) {
	t.Helper()
	b.db.Exec(t, "update mesher.notifications set not_before = now() where status = 'pending'")
}
