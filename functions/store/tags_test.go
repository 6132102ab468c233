package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// plain returns an event with tags and nothing else.
func plain(fingerprint uuid.UUID, received time.Time, tags string) event.Event {
	return event.Event{
		ID: event.NewID(received), EventID: uuid.New(), Fingerprint: fingerprint, ReceivedAt: received,
		OccurredAt: received, Level: event.Error, Tags: []byte(tags), Extra: []byte("{}"),
	}
}

// tagsOf returns the values of a fingerprint's tags with the hour they were last seen in.
func (b *bundle) tagsOf(t testing.TB, fingerprint uuid.UUID) map[string]string {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), `
		select key || '=' || value, to_char(seen_hour at time zone 'utc', 'HH24:MI') from mesher.issue_tags
		where fingerprint = $1`, fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := make(map[string]string)
	for rows.Next() {
		var tag, at string
		if err := rows.Scan(&tag, &at); err != nil {
			t.Fatal(err)
		}
		all[tag] = at
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFunction_WritesTags(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, fingerprint := b.project(t), uuid.New()
	fs := b.functions(t, 2)
	long := strings.Repeat("ü", tagLengthMost)
	e := plain(fingerprint, noon, `{"a":"1","quoted \"key\"":"Grüße\n'\\","long":"`+long+`","longer":"`+long+`x","environment":"mine","empty":""}`)
	e.Environment, e.Release, e.ServerName, e.Transaction = "production", "r1", "host", "/cart"
	e.Platform, e.Logger, e.UserID = "go", "http", "42"
	twin := plain(fingerprint, noon.Add(time.Second), `{"a":"1","environment":"production"}`)
	acked(t, fs[0], pack(project, e, twin, plain(fingerprint, noon.Add(-2*time.Hour), `{"a":"2"}`)))
	want := map[string]string{
		"a=1": "12:00", "a=2": "10:00", "quoted \"key\"=Grüße\n'\\": "12:00", "long=" + long: "12:00",
		"empty=": "12:00", "environment=production": "12:00", "release=r1": "12:00", "server_name=host": "12:00",
		"transaction=/cart": "12:00", "platform=go": "12:00", "logger=http": "12:00", "user=42": "12:00", "level=error": "12:00",
	}
	if diff := cmp.Diff(want, b.tagsOf(t, fingerprint)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// Each instance moves the hour on, and none back.
	acked(t, fs[1], pack(project, plain(fingerprint, noon.Add(time.Hour), `{"a":"1"}`)))
	acked(t, fs[0], pack(project, plain(fingerprint, noon.Add(time.Minute), `{"a":"1"}`), plain(fingerprint, noon, `{"a":"2"}`)))
	want["a=1"], want["a=2"], want["level=error"] = "13:00", "12:00", "13:00"
	if diff := cmp.Diff(want, b.tagsOf(t, fingerprint)); diff != "" {
		t.Errorf("in other hours (-want +got)\n%s", diff)
	}
	b.stored(t, project, 6)
}

// Values that are known are not read again, let alone written.
func TestFunction_WritesTagsOnceAnHour(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	f := b.function(t)
	events := samples(t, project, 0, 10)
	acked(t, f, pack(project, events...))
	b.refuseMarked(t, "issue_tags", "true", "53100")
	for i := range events {
		events[i].ID, events[i].EventID = event.NewID(noon), uuid.New()
	}
	acked(t, f, pack(project, events...))
	b.stored(t, project, 20)
}

// A tag that is too long to be kept must not have its event looked at in each transaction.
func TestMemory_KnowsWhatIsTooLong(t *testing.T) {
	t.Parallel()
	m := newMemory()
	long := strings.Repeat("x", tagLengthMost+1)
	for _, tags := range []string{`{"a":"` + long + `"}`, `{"` + long + `":"a"}`, `{"a":"\"` + long + `"}`, `{"a":1}`, `{"a":null}`} {
		e := plain(uuid.New(), noon, tags)
		h := hourOf(noon)
		key := join(m.hashID(e.Fingerprint), m.hashText("level"))
		m.remember(work{tags: []tagValue{{hour: h, hash: join(key, m.hashText("error")), keyHash: key}}})
		if m.newTags(&e) {
			t.Errorf("%.20s: has new values, want none", tags)
		}
		if got := m.valuesOf(&e, false); len(got) != 0 {
			t.Errorf("%.20s: new values = %v, want none", tags, got)
		}
	}
}

// Whatever way a text is written, it is the same value.
func TestMemory_ReadsEscapes(t *testing.T) {
	t.Parallel()
	m := newMemory()
	fingerprint := uuid.New()
	e := plain(fingerprint, noon, `{"kä\"y":"vä\"lue"}`)
	if !m.newTags(&e) {
		t.Fatal("no new values at first")
	}
	m.remember(work{tags: m.valuesOf(&e, false)})
	for _, tags := range []string{`{"kä\"y":"vä\"lue"}`, `{"k\u00e4\u0022y":"v\u00e4\u0022lue"}`} {
		e := plain(fingerprint, noon, tags)
		if m.newTags(&e) || len(m.valuesOf(&e, false)) != 0 {
			t.Errorf("%s is new, want known", tags)
		}
		if e.ReceivedAt = noon.Add(time.Hour); !m.newTags(&e) {
			t.Errorf("%s is known in the next hour, want new", tags)
		}
	}
}

func TestFunction_KeepsSoManyValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project, fingerprint := b.project(t), uuid.New()
	fs := b.functions(t, 2)
	batch := func(key string, from, n int, at time.Time) []event.Event {
		events := make([]event.Event, n)
		for i := range events {
			events[i] = plain(fingerprint, at, fmt.Sprintf(`{"%s":"%d"}`, key, from+i))
		}
		return events
	}
	count := func(key string) int {
		return b.number(t, "select count(*) from mesher.issue_tags where fingerprint = $1 and key = $2", fingerprint, key)
	}
	acked(t, fs[0], pack(project, batch("k", 0, 400, noon)...))
	if got := count("k") + count("level"); got != tagRowsMost {
		t.Errorf("values after one transaction = %d, want %d", got, tagRowsMost)
	}
	// Those that were left out come again, in other instances as well, and others are too many.
	acked(t, fs[1], pack(project, batch("k", 0, 400, noon)...))
	acked(t, fs[0], pack(project, batch("k", 200, 200, noon)...))
	acked(t, fs[1], pack(project, batch("k", 1000, 280, noon)...))
	acked(t, fs[0], pack(project, batch("k", 2000, 290, noon)...))
	if got := count("k"); got != tagValuesMost {
		t.Errorf("values = %d, want %d", got, tagValuesMost)
	}
	// An instance that has tried so many values in an hour tries no more of them.
	e := plain(fingerprint, noon, `{"k":"another"}`)
	key := join(fs[0].writer.memory.hashID(fingerprint), fs[0].writer.memory.hashText("k"))
	if !fs[0].writer.memory.full(key, hourOf(noon)) {
		t.Error("the tag is not known to be full")
	}
	if fs[0].writer.memory.newTags(&e) {
		t.Error("another value of a full tag is new, want it passed over")
	}
	kept := b.tagsOf(t, fingerprint)
	// Another tag has room, and what is there is still moved on.
	acked(t, fs[0], pack(project, append(batch("other", 0, 3, noon), batch("k", 0, 200, noon.Add(time.Hour))...)...))
	if got := count("other"); got != 3 {
		t.Errorf("values of another tag = %d, want 3", got)
	}
	now := b.tagsOf(t, fingerprint)
	if now["k=7"] != "13:00" || kept["k=7"] != "12:00" {
		t.Errorf("a value that is there was seen %s and then %s, want 12:00 and 13:00", kept["k=7"], now["k=7"])
	}
	maps.DeleteFunc(now, func(tag, _ string) bool { _, ok := kept[tag]; return ok })
	if got := slices.Sorted(maps.Keys(now)); !slices.Equal(got, []string{"other=0", "other=1", "other=2"}) {
		t.Errorf("new values = %v, want those of the other tag only", got)
	}
	if got := b.number(t, "select count(*) from mesher.events where project_id = $1", project); got != 400+400+200+280+290+203 {
		t.Errorf("rows = %d", got)
	}
}

// Values of different fingerprints and tags have their own room, also within one statement.
func TestFunction_KeepsValuesApart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	f := b.function(t)
	one, two := uuid.New(), uuid.New()
	b.exec(t, `insert into mesher.issue_tags select $1::uuid, f.f::uuid, f.k, 'v' || n, $4::timestamptz
		from generate_series(1, 498) n, (values ($2, 'a'), ($2, 'b'), ($3, 'a')) f (f, k)`,
		project, one.String(), two.String(), noon.Add(-time.Hour))
	var events []event.Event
	for i := range 5 {
		events = append(events, plain(one, noon, fmt.Sprintf(`{"a":"%d","b":"%d"}`, i, i)), plain(two, noon, fmt.Sprintf(`{"a":"%d","b":"%d"}`, i, i)))
	}
	acked(t, f, pack(project, events...))
	for _, c := range []struct {
		fingerprint uuid.UUID
		key         string
		want        int
	}{{one, "a", 500}, {one, "b", 500}, {two, "a", 500}, {two, "b", 5}} {
		got := b.number(t, "select count(*) from mesher.issue_tags where fingerprint = $1 and key = $2", c.fingerprint, c.key)
		if got != c.want {
			t.Errorf("values of %s = %d, want %d", c.key, got, c.want)
		}
	}
}

// Row by row, the same is written; should the tags themselves be refused, no event is.
func TestFunction_WritesTagsRowByRow(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{false, true} {
		b := setup(t)
		b.refuseMarked(t, "events", whenMarked, "22P02")
		if refused {
			b.db.Exec(t, `create trigger refuse before insert on mesher.issue_tags
				for each row when (new.value = '7') execute function mesher.refuse()`)
		}
		project, fingerprint := b.project(t), uuid.New()
		f := b.function(t)
		var events []event.Event
		for i := range 20 {
			e := plain(fingerprint, noon, fmt.Sprintf(`{"k":"%d"}`, i))
			if i%5 == 4 {
				e.Message = "refused"
			}
			events = append(events, e)
		}
		acked(t, f, pack(project, events...))
		want := 17
		if refused {
			want = 0
		}
		if got := len(b.tagsOf(t, fingerprint)); got != want || f.writer.memory.tags.len() != want {
			t.Errorf("tags = %d, remembered %d, want %d", got, f.writer.memory.tags.len(), want)
		}
		b.stored(t, project, 16)
	}
}
