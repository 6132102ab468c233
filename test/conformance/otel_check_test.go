package conformance

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// want is what is known of a stored event.
type want struct {
	name  string
	row   object // a part of it
	top   string // the function that its stack trace ends in, or ""
	times int    // how often it is stored
}

// checkCases waits for the events of the cases and compares each with what is wanted.
func checkCases(t *testing.T, wants map[string]want, never []string) {
	t.Helper()
	rows := storedCases(t, wants, never)
	for id, want := range wants {
		t.Run(want.name, func(t *testing.T) {
			t.Parallel()
			if n := len(rows[id]); n != want.times {
				t.Fatalf("stored %d times, want %d", n, want.times)
			}
			row := rows[id][0]
			wanted := decode(t, encode(t, want.row))
			if diff := cmp.Diff(wanted, part(row, wanted), cmp.Comparer(sameNumber)); diff != "" {
				t.Errorf("(-want +stored):\n%s", diff)
			}
			if got := top(row["exception"]); want.top != "" && got != want.top {
				t.Errorf("the stack trace ends in %q, want %q\n%s", got, want.top, short(encode(t, row["exception"])))
			}
		})
	}
	for _, id := range never {
		if n := len(rows[id]); n > 0 {
			t.Errorf("what is no error is stored: %v", rows[id][0]["message"])
		}
	}
}

// storedCases returns the rows by case.
func storedCases(t *testing.T, wants map[string]want, never []string) map[string][]map[string]any {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), mesher.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	ids := slices.Clone(never)
	for id := range wants {
		ids = append(ids, id)
	}
	const text = `select tags->>'` + caseKey + `', row_to_json(e)::text from mesher.events e where tags->>'` + caseKey + `' = any ($1::text[])`
	rows := map[string][]map[string]any{}
	for last, since := -1, time.Now(); time.Since(since) < quiet; time.Sleep(50 * time.Millisecond) {
		found, _ := conn.Query(t.Context(), text, ids) // CollectRows returns its error
		all, err := pgx.CollectRows(found, pgx.RowToStructByPos[struct{ ID, Row string }])
		if err != nil {
			t.Fatal(err)
		}
		clear(rows)
		for _, r := range all {
			rows[r.ID] = append(rows[r.ID], decode(t, []byte(r.Row)).(map[string]any))
		}
		complete := len(rows) >= len(wants)
		for id := range wants {
			complete = complete && len(rows[id]) >= wants[id].times
		}
		if complete {
			break
		}
		if len(all) != last {
			last, since = len(all), time.Now()
		}
	}
	return rows
}
