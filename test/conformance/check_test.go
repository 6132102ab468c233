package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// sent is an event that an SDK said it has sent.
type sent struct {
	Name  string          `json:"name"`
	ID    string          `json:"event_id"` // as the SDK returned it to the program
	Event json.RawMessage `json:"event"`    // as it stood in the envelope
	Want  map[string]any  `json:"want"`     // a part of the stored event, by what the program told the SDK
	Top   string          `json:"top"`      // the function that the captured exception's stack trace ends in, or ""

	Answer string `json:"answer"` // the status that the SDK saw, or ""
}

// check waits until all events are stored and compares each with what was sent. All of them, and no others, have
// the release, by which what was not to become an event is found.
func check(t *testing.T, release string, events []sent) {
	t.Helper()
	if len(events) == 0 {
		t.Fatal("nothing was sent")
	}
	var ids []string
	for _, e := range events {
		id, err := uuid.Parse(e.ID)
		if err != nil {
			t.Fatalf("%s: the SDK reported the id %q: %v", e.Name, e.ID, err)
		}
		if slices.Contains(ids, id.String()) {
			t.Fatalf("%s: the SDK reported the id %s twice", e.Name, id)
		}
		ids = append(ids, id.String())
	}
	rows := stored(t, release, ids)
	for i, e := range events {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			if e.Answer != "" && e.Answer != "200" {
				t.Errorf("the SDK saw the answer %s, want 200", e.Answer)
			}
			if n := len(rows[ids[i]]); n != 1 {
				t.Fatalf("event %s is stored %d times\nsent: %s", e.ID, n, short(e.Event))
			}
			row := rows[ids[i]][0]
			for _, what := range compare(t, e, row) {
				t.Errorf("%s\nevent %s as sent: %s", what, e.ID, short(e.Event))
			}
		})
	}
	for id, found := range rows {
		if !slices.Contains(ids, id) {
			t.Errorf("the SDK did not report the event %s, which is stored: %v %v", id, found[0]["message"], found[0]["exception_type"])
		}
	}
}

// stored returns the rows of the release by event id, as soon as there are those of all ids, or no more to come.
func stored(t *testing.T, release string, ids []string) map[string][]map[string]any {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), mesher.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	arrived := func() int {
		var n int
		const count = "select count(distinct event_id) from mesher.events where event_id = any ($1::uuid[])"
		if err := conn.QueryRow(t.Context(), count, ids).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for last, since := -1, time.Now(); time.Since(since) < quiet; time.Sleep(20 * time.Millisecond) {
		n := arrived()
		if n == len(ids) {
			break
		}
		if n != last {
			last, since = n, time.Now()
		}
	}
	const text = "select row_to_json(e)::text from mesher.events e where release = $1 or event_id = any ($2::uuid[])"
	found, err := conn.Query(t.Context(), text, release, ids)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]map[string]any{}
	for _, text := range texts {
		row := decode(t, []byte(text)).(map[string]any)
		id := fmt.Sprint(row["event_id"])
		rows[id] = append(rows[id], row)
	}
	return rows
}

// quiet is how long after the last event that arrived the missing ones are given up.
const quiet = 20 * time.Second

// decode reads JSON without rounding its numbers.
func decode(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, short(text))
	}
	return v
}

// short returns the start of a text.
func short(text []byte) string {
	const most = 3000
	if len(text) <= most {
		return string(text)
	}
	return fmt.Sprintf("%s … (%d bytes)", text[:most], len(text))
}
