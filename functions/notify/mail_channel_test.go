package notify

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/outbox"
)

// mails returns the notifications that are the mails of another, by address.
func (b *tenantBundle) mails(t testing.TB, parent uuid.UUID) map[string]uuid.UUID {
	t.Helper()
	rows, err := b.pool.Query(t.Context(), `select recipient, id from mesher.notifications where parent_id = $1::uuid`, parent)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]uuid.UUID{}
	for rows.Next() {
		var address string
		var id uuid.UUID
		if err := rows.Scan(&address, &id); err != nil {
			t.Fatal(err)
		}
		out[address] = id
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMailChannel(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	full := ""
	s := serveMail(t, "", func(s *mailServer) {
		s.answer = func(command string) string {
			if command == "RCPT" {
				return full
			}
			return ""
		}
	})
	for _, who := range []string{"ada@example.com", "bob@example.com", "eve@example.com"} {
		b.member(t, who)
	}
	c, _ := b.channel(t, alert.ChannelEmail, "", func(c *alert.ChannelChange) {
		c.Email = &alert.EmailTarget{Addresses: []string{"ada@example.com", "bob@example.com", "eve@example.com"}}
	})
	url := b.mailing(t, s)
	subject := uuid.New()
	fired := b.raise(t, subject, "Timeout at https://evil.example in <b>pay</b>")
	for range 3 { // however often the message comes
		if code := push(t, url, fired); code != http.StatusNoContent {
			t.Errorf("status %d", code)
		}
	}
	b.want(t, fired, "sent after 1")
	mails := b.mails(t, fired)
	if len(mails) != 3 {
		t.Fatalf("%d mails, want one to each member", len(mails))
	}
	b.db.Exec(t, `delete from mesher.memberships where user_id = (select id from mesher.users where email = 'eve@example.com')`)
	for range 2 {
		push(t, url, mails["ada@example.com"])
		push(t, url, mails["eve@example.com"])
	}
	b.want(t, mails["eve@example.com"], "skipped after 1")
	m := s.one(t)
	if got := s.got()[0].to; got != "ada@example.com" {
		t.Errorf("to %s", got)
	}
	if id := m.header.Get("Message-Id"); !strings.HasPrefix(id, "<"+mails["ada@example.com"].String()) {
		t.Errorf("the mail is called %s", id)
	}
	if m.subject != "[critical] Timeout at https: //evil. example in <b>pay</b>" {
		t.Errorf("subject %q", m.subject)
	}
	for _, says := range []string{"Rule: New issues", "Severity: critical", "Project: Shop, Acme", "count: 7", "https://mesher.example.com/" + b.organization.String()} {
		if !strings.Contains(m.text, says) {
			t.Errorf("the text does not say %q:\n%s", says, m.text)
		}
	}
	if strings.Contains(m.html, "<b>pay") || strings.Contains(m.text+m.html, "//evil.example") || strings.Count(m.html, "<a href=") != 1 {
		t.Errorf("html:\n%s", m.html)
	}

	t.Run("of a mailbox in trouble says in the end that it is resolved, once", func(t *testing.T) {
		full = "452 4.2.2 later"
		push(t, url, mails["bob@example.com"])
		b.want(t, mails["bob@example.com"], "pending after 1")
		full = ""
		resolved := b.resolve(t, subject)
		push(t, url, resolved)
		over := b.mails(t, resolved)
		push(t, url, over["bob@example.com"])
		if state, _ := b.state(t, over["bob@example.com"]); state != "pending after 1" {
			t.Errorf("that it is resolved overtakes that it fired: it is %s", state)
		}
		push(t, url, over["ada@example.com"])
		b.due(t)
		push(t, url, mails["bob@example.com"])
		b.due(t)
		push(t, url, over["bob@example.com"])
		b.want(t, over["bob@example.com"], "skipped after 2")
		var got []string
		for _, mail := range s.got()[1:] {
			got = append(got, mail.to+" "+parseMail(t, mail.data).subject[:10])
		}
		slices.Sort(got)
		if diff := cmp.Diff([]string{"ada@example.com [resolved]", "bob@example.com [resolved]"}, got); diff != "" {
			t.Errorf("mails (-want +got):\n%s", diff)
		}
	})
	t.Run("of nobody tells nobody", func(t *testing.T) {
		b.db.Exec(t, `delete from mesher.memberships`)
		id := b.raise(t, uuid.New(), "Timeout")
		push(t, url, id)
		if reason := b.want(t, id, "skipped after 1"); !strings.Contains(reason, "member") {
			t.Errorf("the reason is %q", reason)
		}
		if got, err := alert.FindChannel(t.Context(), b.pool, c.ID); err != nil || len(got.Addresses) != 0 {
			t.Errorf("it shows %v, %v", got.Addresses, err)
		}
	})
}

// A burst over the whole path: five by themselves, all others in one digest, which says how many and names the first.
func TestChannel_FoldsABurst(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	rc := receive(t, nil)
	b.channel(t, alert.ChannelWebhook, rc.url)
	url := serve(t, b.function(t, b.config("/tmp")))
	// In one transaction, as Store raises them.
	rows, err := b.pool.Query(t.Context(), `
		select r from generate_series(0, 847) i,
			lateral mesher.raise_alert($1::uuid, gen_random_uuid(), 'Timeout ' || i, '{}', null, null, now()) r`, b.rule)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(ids) != 5 {
		t.Fatalf("%d notifications are to be published, %v; want 5", len(ids), err)
	}
	for _, id := range ids {
		push(t, url, id)
	}
	if n := len(rc.got()); n != 5 {
		t.Errorf("%d requests before the window ends, want 5", n)
	}
	digest := b.told(t, `select id from mesher.notifications where template = 'digest'`)
	if code := push(t, url, digest); code != http.StatusNoContent {
		t.Errorf("before its time: status %d", code)
	}
	b.due(t)
	push(t, url, digest)
	got := rc.got()
	if len(got) != 6 {
		t.Fatalf("%d requests, want 6", len(got))
	}
	p := decodedBody[webhookPayload](t, got[5])
	if p.Event != "digest" || p.ID != digest || p.Digest.Fired != 843 || len(p.Digest.Alerts) != 5 || !strings.HasPrefix(p.Digest.Alerts[0].Title, "Timeout ") || p.Rule.Name != "New issues" {
		t.Errorf("%s", got[5].body)
	}
}

func TestChannel_IsTested(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	for _, kind := range []alert.ChannelKind{alert.ChannelSlack, alert.ChannelDiscord, alert.ChannelPagerDuty, alert.ChannelWebhook} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			rc := receive(t, status(http.StatusAccepted))
			c, _ := b.channel(t, kind, rc.url, func(c *alert.ChannelChange) { c.Enabled = new(bool) })
			tx, err := b.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d, err := alert.TestChannel(t.Context(), tx, b.organization, c.ID)
			if err == nil {
				err = tx.Commit(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			push(t, serve(t, b.function(t, b.config("/tmp"))), d.ID)
			b.want(t, d.ID, "sent after 1")
			r := rc.one(t)
			if r.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(r.header.Get("User-Agent"), "Mesher/") || !strings.Contains(string(r.body), "test") {
				t.Errorf("%v %s", r.header, r.body)
			}
			if kind == alert.ChannelPagerDuty && !strings.Contains(string(r.body), routingKey) {
				t.Errorf("there is no routing key in %s", r.body)
			}
			got, err := alert.FindDelivery(t.Context(), b.pool, c.ID, d.ID)
			if err != nil || got.Status != outbox.Sent || len(got.Log) != 1 || got.Log[0].HTTPStatus != http.StatusAccepted {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// Requests carry the user's headers, and while a signing secret is replaced a signature by each.
func TestChannel_Signs(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	rc := receive(t, nil)
	c, former := b.channel(t, alert.ChannelWebhook, rc.url, func(c *alert.ChannelChange) {
		c.Webhook.Headers = &[]alert.ChannelHeader{{Name: "Authorization", Value: "Bearer x"}}
	})
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, fresh, err := b.keeper.RotateSecret(t.Context(), tx, b.organization, c.ID)
	if err == nil {
		err = tx.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	push(t, serve(t, b.function(t, b.config("/tmp"))), b.raise(t, uuid.New(), "Timeout"))
	r := rc.one(t)
	if r.header.Get("Authorization") != "Bearer x" {
		t.Errorf("headers %v", r.header)
	}
	header := r.header.Get("Mesher-Signature")
	for name, secret := range map[string]string{"former": former, "new": fresh} {
		if err := verify(header, secret, r.body, time.Now()); err != nil {
			t.Errorf("by the %s secret: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"of another secret": verify(header, "mshw_other", r.body, time.Now()),
		"of another body":   verify(header, fresh, append(slices.Clone(r.body), ' '), time.Now()),
		"of another time":   verify(header, fresh, r.body, time.Now().Add(time.Hour)),
	} {
		if err == nil {
			t.Errorf("a signature %s is taken", name)
		}
	}
}
