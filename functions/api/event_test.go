package api_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// event stores an event of now, of the first fingerprint of the issue with a title and of a user.
func (b *bundle) event(t *testing.T, p tenant.Project, title, user string) uuid.UUID {
	t.Helper()
	return b.eventAt(t, p, title, user, time.Now())
}

func (b *bundle) eventAt(t *testing.T, p tenant.Project, title, user string, at time.Time) uuid.UUID {
	t.Helper()
	at = at.UTC().Truncate(time.Millisecond)
	_, err := postgres.EnsurePartitions(t.Context(), b.Pool(t, pgtest.Store), at, at)
	must(t, err)
	id := event.NewID(at)
	_, err = b.admin.Exec(t.Context(), `
		insert into mesher.events (project_id, received_at, id, event_id, fingerprint, occurred_at, level, message, environment,
			release, user_id, trace_id, tags, extra, exception, user_info)
		values ($1::uuid, $2::timestamptz, $3::uuid, $4::uuid, $5::uuid, $2::timestamptz, 'error', $6::text, 'production', 'r1',
			$7::text, repeat('ab', 16), '{"region": "eu"}', '{"n": 1}', '[{"type": "E", "value": "v", "stacktrace": {"frames": []}}]',
			json_build_object('id', $7::text, 'email', $7::text || '@example.com'))`,
		p.ID, at, id, clientID(id), fingerprint(title, 1), title, user)
	must(t, err)
	return id
}

// clientID returns the id that the client of an event gave it.
func clientID(id uuid.UUID) uuid.UUID { return uuid.NewSHA1(id, nil) }

func idOf(e issue.EventSummary) string { return e.ID.String() }

func TestEvents_AreListedAndShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop := b.project(t, acme, "Shop")
	first, second := b.issue(t, shop, "first"), b.issue(t, shop, "second")
	base := "/projects/" + shop.ID.String()
	var ids []string // the newest first
	for _, title := range []string{"first", "second", "first", "first"} {
		ids = append([]string{b.event(t, shop, title, "u-"+title).String()}, ids...)
		time.Sleep(2 * time.Millisecond) // ids tell milliseconds
	}
	at := func(d time.Duration) string { return url.QueryEscape(time.Now().Add(d).Format(time.RFC3339)) }
	for query, want := range map[string][]string{
		"/events?":                                                     ids,
		"/events?user=u-second":                                        {ids[2]},
		"/events?level=error":                                          ids,
		"/events?level=fatal":                                          {},
		"/events?environment=staging":                                  {},
		"/events?release=r1":                                           ids,
		"/events?since=" + at(time.Hour):                               {},
		"/events?until=" + at(-time.Hour):                              {},
		"/events?trace_id=ABABABABABABABABABABABABABABABAB":            ids,
		"/events?trace_id=00000000000000000000000000000000":            {},
		"/issues/" + first.String() + "/events?":                       {ids[0], ids[1], ids[3]},
		"/issues/" + first.String() + "/events?environment=production": {ids[0], ids[1], ids[3]},
		"/issues/" + first.String() + "/events?release=r2":             {},
		"/issues/" + second.String() + "/events?":                      {ids[2]},
	} {
		got := names(items[issue.EventSummary](t, b, anna, base+query), idOf)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	middle := uuid.MustParse(ids[1])
	for _, path := range []string{"/events/" + ids[1], "/events/" + clientID(middle).String(), "/events/" + clientID(middle).String() + "?at=" + at(0)} {
		e := read[issue.Event](b.get(t, anna, base+path), http.StatusOK)
		if e.ID != middle || e.IssueID != first || e.Previous.String() != ids[3] || e.Next.String() != ids[0] ||
			string(e.Tags) != `{"region":"eu"}` && string(e.Tags) != `{"region": "eu"}` || e.TraceID == "" || e.User == nil || e.Exception == nil {
			t.Errorf("%s: %+v", path, e)
		}
	}
	for end, want := range map[string]string{"latest": ids[0], "oldest": ids[3]} {
		if e := read[issue.Event](b.get(t, anna, base+"/issues/"+first.String()+"/events/"+end), http.StatusOK); e.ID.String() != want {
			t.Errorf("%s: %s, want %s", end, e.ID, want)
		}
	}
	g := read[issue.Grouping](b.get(t, anna, base+"/issues/"+first.String()+"/grouping"), http.StatusOK)
	if g.EventID.String() != ids[0] || !g.Differs || g.Now.Reason == "" || len(g.Now.Parts) == 0 {
		t.Errorf("%+v", g)
	}

	t.Run("and times that are far away are none", func(t *testing.T) {
		for path, n := range map[string]int{
			"/events?since=0001-01-02T00:00:00Z": 4, "/events?until=0001-01-02T00:00:00Z": 0, "/events?until=9999-01-02T00:00:00Z": 0,
			"/events?since=9999-01-02T00:00:00Z":                                  0,
			"/issues/" + first.String() + "/events?since=0001-01-02T00:00:00Z":    3,
			"/issues/" + first.String() + "/events?until=0001-01-02T00:00:00Z":    0,
			"/issues/" + first.String() + "/events?since=9999-12-31T23:59:59.99Z": 0,
		} {
			if got := read[rest.List[issue.EventSummary]](b.get(t, anna, base+path), http.StatusOK); len(got.Items) != n {
				t.Errorf("%s: %d events", path, len(got.Items))
			}
		}
		for _, path := range []string{"/usage?until=0001-01-02T00:00:00Z", "/usage?until=9999-12-31T00:00:00Z", "/events/" + ids[1] + "?at=0001-01-02T00:00:00Z"} {
			b.get(t, anna, base+path).is(http.StatusOK)
		}
	})
	t.Run("and nothing that cannot be is asked for", func(t *testing.T) {
		for path, says := range map[string]string{
			"/usage?until=9999-12-31T23:59:59Z": "the year 9999",
			"/events?trace_id=1":                "query.trace_id",
			"/events?level=loud":                "query.level",
			"/events?cursor=x":                  "cursor is not one",
			"/events/x":                         "path.event_id",
			"/events?since=" + at(0) + "&until=" + at(-time.Hour): "since has to be before until",
			"/overview?period=1h":                            "query.period",
			"/usage?step=minute&since=" + at(-100*time.Hour): "over 1440 steps",
		} {
			b.get(t, anna, base+path).refused(http.StatusBadRequest, "invalid", says)
		}
		other := "/projects/" + b.project(t, acme, "Other").ID.String()
		for _, path := range []string{"/events/" + ids[0], "/events/" + clientID(middle).String()} {
			b.get(t, anna, other+path).refused(http.StatusNotFound, "not_found", "there is no event")
		}
		for _, path := range []string{"/events", "/events/latest", "/events/oldest", "/tags", "/grouping"} {
			b.get(t, anna, other+"/issues/"+first.String()+path).refused(http.StatusNotFound, "not_found", "there is no issue")
		}
		quiet := b.issue(t, shop, "quiet")
		b.get(t, anna, base+"/issues/"+quiet.String()+"/events/latest").refused(http.StatusNotFound, "not_found", "no event of the issue")
	})
}

func TestUsers_AreErased(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.user(t, "anna")
	acme := b.organization(t, anna, "Acme")
	shop, other := b.project(t, acme, "Shop"), b.project(t, acme, "Other")
	b.issue(t, shop, "first")
	for days := range 3 {
		at := time.Now().AddDate(0, 0, -days)
		for _, user := range []string{"u1", "u2"} {
			b.eventAt(t, shop, "first", user, at)
		}
		b.eventAt(t, other, "first", "u1", at)
	}
	path := "/projects/" + shop.ID.String() + "/erasures"
	b.post(t, anna, path, `{}`).refused(http.StatusBadRequest, "invalid", "user_id, email or both")
	b.post(t, anna, path, `{"user_id":"u1","before":"soon"}`).refused(http.StatusBadRequest, "invalid", "body.before")
	got := read[issue.Erasure](b.post(t, anna, path, `{"user_id":"u1"}`), http.StatusOK)
	if diff := cmp.Diff(issue.Erasure{DaysDone: 3, Events: 3, Traces: 1, Done: true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := b.count(t, "select count(*) from mesher.events where user_id = 'u1' and project_id = $1", other.ID); n != 3 {
		t.Errorf("%d events of the other project are left", n)
	}
	if n := b.count(t, "select count(*) from mesher.events where project_id = $1", shop.ID); n != 3 {
		t.Errorf("%d events of others are left", n)
	}
	again := read[issue.Erasure](b.post(t, anna, path, `{"user_id":"u1"}`), http.StatusOK)
	if again.Events != 0 || again.Traces != 0 || !again.Done {
		t.Errorf("once more: %+v", again)
	}
	got = read[issue.Erasure](b.post(t, anna, path, `{"email":"U2@Example.com","before":"`+time.Now().UTC().Format(time.DateOnly)+`"}`), http.StatusOK)
	if got.Events != 2 || got.DaysDone != 2 || !got.Done {
		t.Errorf("by address, before today: %+v", got)
	}
	hash := issue.UserHash(shop.ID, "u1").String()
	want := []string{
		`events.erase project Shop {"user_hash": "` + hash + `"}`, `events.erase project Shop {"user_hash": "` + hash + `"}`,
		`events.erase project Shop {"before": "` + time.Now().UTC().Format(time.DateOnly) + `", "user_hash": "` + issue.UserHash(shop.ID, "u2@example.com").String() + `"}`,
	}
	if diff := cmp.Diff(want, b.trail(t)); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}
