package store

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/topic"
)

func TestFunction_KeepsMessagesThatCannotBeStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	known := b.project(t)
	good := sample(t, known, 1, noon)
	bomb := encoder().EncodeAll(make([]byte, rawMost+1), nil)
	with := func(m topic.Message, name, value string) topic.Message {
		if m.Attributes[name] = value; value == "" {
			delete(m.Attributes, name)
		}
		return m
	}
	tests := []struct {
		name    string
		message topic.Message
		reason  string
		project bool // the dead letter names the project
	}{
		{"a project that does not exist", pack(uuid.New(), good), "the project does not exist", true},
		{"no project", with(pack(known, good), "project_id", ""), "no valid project_id", false},
		{"a project that is no id", with(pack(known, good), "project_id", "'; drop table x; --"), "no valid project_id", false},
		{"no schema", with(pack(known, good), "schema", ""), `schema ""`, true},
		{"a schema of the future", with(pack(known, good), "schema", "2"), `schema "2"`, true},
		{"no data", withData(pack(known, good), nil), "not zstd", true},
		{"not zstd", withData(pack(known, good), []byte("hello, this is not zstd")), "not zstd", true},
		{"cut off", withData(pack(known, good), pack(known, good).Data[:200]), "not valid zstd", true},
		{"a bomb that says so", withData(pack(known, good), bomb), "unpacks to over", true},
		{"a bomb that does not say so", withData(pack(known, good), streamed(t, rawMost+1)), "not valid zstd", true},
		{"a bomb of many frames", withData(pack(known, good), bytes.Repeat(encoder().EncodeAll(make([]byte, 1<<20), nil), 17)), "not valid zstd", true},
		{"two frames", withData(pack(known, good), bytes.Repeat(pack(known, good).Data, 2)), "not valid zstd", true},
		{"too many lines", packRaw(known, bytes.Repeat([]byte("\n"), rowsMost+1), 0), "over 10000 lines", true},
		{"nothing but lines", packRaw(known, bytes.Repeat([]byte("\n"), rawMost), 0), "over 10000 lines", true},
		{"no event", packRaw(known, []byte("\n\n"), 0), "holds no event", true},
		{"an event that is not JSON", packRaw(known, append(lines([]event.Event{good}), "{\"v\":1,\n"...), 2), "event 1 of the message", true},
		{"an event with NUL", packRaw(known, bytes.Replace(lines([]event.Event{good}), []byte(`"lvl":`), []byte(`"msg":"\u0000","lvl":`), 1), 1), "event 0 of the message", true},
		{"an event of another version", packRaw(known, bytes.Replace(lines([]event.Event{good}), []byte(`"v":1`), []byte(`"v":2`), 1), 1), `member "v"`, true},
	}
	fs := b.functions(t, 2)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inParallel(4, func(i int) { acked(t, fs[i%2], tt.message) })
			acked(t, fs[0], tt.message)
			if n := b.number(t, "select count(*) from mesher.events"); n != 0 {
				t.Errorf("rows = %d, want 0", n)
			}
			got := b.deadLetters(t, tt.message.ID)
			if len(got) != 1 {
				t.Fatalf("dead letters = %d, want 1", len(got))
			}
			if !strings.Contains(got[0].Reason, tt.reason) {
				t.Errorf("reason = %q, want one with %q", got[0].Reason, tt.reason)
			}
			got[0].Reason = ""
			want := letter{Source: "message", MessageID: tt.message.ID, Payload: append([]byte{}, tt.message.Data...)}
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			named := b.number(t, "select count(*) from mesher.dead_letters where message_id = $1 and project_id::text = $2",
				tt.message.ID, tt.message.Attributes["project_id"]) == 1
			if named != tt.project {
				t.Errorf("the dead letter names the project: %t, want %t", named, tt.project)
			}
		})
	}
	counted := b.number(t, "select coalesce(sum(dead_lettered), 0) from mesher.usage")
	if want := b.number(t, "select count(*) from mesher.dead_letters where project_id is not null"); counted != want {
		t.Errorf("usage.dead_lettered = %d, want %d", counted, want)
	}
}

func withData(m topic.Message, data []byte) topic.Message {
	m.Data = data
	return m
}

// streamed returns n zero bytes as zstd data that does not tell its length in front.
func streamed(t *testing.T, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for range 16 {
		if _, err := z.Write(make([]byte, n/16+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFunction_KeepsTheMessagesOfAProjectThatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	b.exec(t, "update mesher.projects set status = 'deleting' where id = $1", project)
	f := b.function(t)
	inParallel(3, func(i int) { acked(t, f, pack(project, sample(t, project, i, noon))) })
	b.stored(t, project, 0)
	if got := b.deadLetters(t, ""); len(got) != 3 {
		t.Errorf("dead letters = %d, want 3", len(got))
	}
}

// refuse makes the database refuse the event with this event id, with the given error.
func (b *bundle) refuse(t testing.TB, id uuid.UUID, state string) {
	t.Helper()
	name := "refuse_" + strings.ReplaceAll(id.String(), "-", "")
	b.db.Exec(t, fmt.Sprintf(`
		create function mesher.%[1]s() returns trigger language plpgsql as $$
		begin raise exception 'refused' using errcode = '%[3]s'; end $$;
		create trigger %[1]s before insert on mesher.events
			for each row when (new.event_id = '%[2]s') execute function mesher.%[1]s()`, name, id, state))
}

// accept takes back refuse.
func (b *bundle) accept(t testing.TB, id uuid.UUID) {
	t.Helper()
	b.db.Exec(t, "drop function mesher.refuse_"+strings.ReplaceAll(id.String(), "-", "")+" cascade")
}

func TestFunction_PutsASingleEventAside(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"22P02", "22003", "23514", "23502", "54000"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			project, other := b.project(t), b.project(t)
			events := samples(t, project, 0, 500)
			poison := events[237]
			if state == "23514" {
				b.db.Exec(t, fmt.Sprintf("alter table mesher.events_20260310 add constraint refused check (event_id <> '%s')", poison.EventID))
			} else {
				b.refuse(t, poison.EventID, state)
			}
			f := b.function(t, func(c *Config) { c.Database.PoolSize = 3 }) // one more, for the other project
			m := pack(project, events...)
			inParallel(3, func(i int) {
				if i == 2 {
					acked(t, f, pack(other, samples(t, other, 0, 10)...))
					return
				}
				acked(t, f, m)
			})
			acked(t, f, m)
			b.stored(t, project, 499)
			b.stored(t, other, 10)
			got := b.deadLetters(t, "")
			if len(got) != 1 {
				t.Fatalf("dead letters = %d, want 1", len(got))
			}
			if !strings.Contains(got[0].Detail, state) {
				t.Errorf("detail = %q, want one with %s", got[0].Detail, state)
			}
			got[0].Detail = ""
			want := letter{
				Source: "event", Reason: "the database refuses the event", Payload: poison.AppendLine(nil),
			}
			if diff := cmp.Diff(want, got[0]); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if n := b.usage(t, project, "dead_lettered"); n != 1 {
				t.Errorf("usage.dead_lettered = %d, want 1", n)
			}
		})
	}
}

func TestFunction_PutsEachOfManyEventsAside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	events := samples(t, project, 0, 60)
	for _, i := range []int{0, 1, 29, 30, 59} {
		b.refuse(t, events[i].EventID, "22P02")
	}
	events = append(events, events[30])                                     // twice in the message
	events = append(events, sample(t, project, 100, noon.AddDate(1, 0, 0))) // from next year
	f := b.function(t)
	acked(t, f, pack(project, events...))
	acked(t, f, pack(project, events[29]))
	b.stored(t, project, 55)
	if got := b.deadLetters(t, ""); len(got) != 6 {
		t.Errorf("dead letters = %d, want 6", len(got))
	}
}

// Two events with one primary key can come from nothing but a bug, and still must not stop a project.
func TestFunction_PutsAnEventAsideWhoseIDIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	events := samples(t, project, 0, 20)
	events[13].ID = events[4].ID
	f := b.function(t)
	m := pack(project, events...)
	acked(t, f, m)
	b.stored(t, project, 19)
	acked(t, f, m)
	b.stored(t, project, 19)
	if got := b.deadLetters(t, ""); len(got) != 1 || !strings.Contains(got[0].Detail, "23505") {
		t.Errorf("dead letters = %v, want one with 23505", got)
	}
}

// A batch of which a part is stored before the rest fails is delivered again as a whole.
func TestFunction_CountsOnceAfterAPartIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	events := samples(t, project, 0, 3*partRows)
	b.refuse(t, events[10].EventID, "22P02")            // the batch is divided
	b.refuse(t, events[2*partRows+50].EventID, "40001") // and fails here
	fs := b.functions(t, 2)
	m := pack(project, events...)
	if w := deliver(fs[0], m); w.Code != 503 {
		t.Fatalf("answer = %d, want 503", w.Code)
	}
	if n := b.number(t, "select count(*) from mesher.events where project_id = $1", project); n == 0 || n >= 3*partRows-1 {
		t.Fatalf("rows = %d, want a part", n)
	}
	b.consistent(t, project)
	b.accept(t, events[2*partRows+50].EventID)
	inParallel(10, func(i int) { acked(t, fs[i%2], m) })
	b.stored(t, project, 3*partRows-1)
	if got := b.deadLetters(t, ""); len(got) != 1 {
		t.Errorf("dead letters = %d, want 1", len(got))
	}
}

func TestFunction_AsksForAMessageAgainThatItCannotKeep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	project := b.project(t)
	f := b.function(t, func(c *Config) { c.Timeout = 3 * time.Second })
	b.db.Exec(t, "alter table mesher.dead_letters rename to gone")
	bad := withData(pack(project), []byte("hello"))
	if w := deliver(f, bad); w.Code != 503 {
		t.Errorf("answer = %d, want 503", w.Code)
	}
	b.db.Exec(t, "alter table mesher.gone rename to dead_letters")
	acked(t, f, bad)
	if got := b.deadLetters(t, ""); len(got) != 1 {
		t.Errorf("dead letters = %d, want 1", len(got))
	}
}
