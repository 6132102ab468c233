package outbox_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/outbox"
)

func TestSettle_LogsTries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.write(t, 0)
	at := time.Now()
	for i, e := range []outbox.End{
		{Status: outbox.Pending, Reason: "it answers 503", Again: at, Try: &outbox.Try{StartedAt: at, Took: 1500 * time.Millisecond, HTTPStatus: 503}},
		{Status: outbox.Pending, Reason: "nobody tried", Again: at},
		{Status: outbox.Sent, Combined: true, Try: &outbox.Try{StartedAt: at, Took: time.Millisecond, HTTPStatus: 200}},
	} {
		d, outcome := b.claim(t, id)
		if outcome != outbox.Claimed {
			t.Fatalf("try %d: outcome %d", i, outcome)
		}
		if e.Try != nil {
			e.Try.Attempt = d.Attempt
		}
		for range 2 { // a note that is made twice, because nobody knew whether it was taken, is one
			if err := outbox.Settle(t.Context(), b.pool, d, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	rows, err := b.pool.Query(t.Context(), `
		select attempt || ' ' || outcome || ' ' || http_status || ' ' || took_ms || ' ' || coalesce(error, '-')
		from mesher.notification_attempts where notification_id = $1::uuid order by attempt`, id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1 retried 503 1500 it answers 503", "3 delivered 200 1 -"}, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	var combined bool
	if err := b.pool.QueryRow(t.Context(), `select combined from mesher.notifications where id = $1::uuid`, id).Scan(&combined); err != nil || !combined {
		t.Errorf("combined: %t, %v", combined, err)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	waits, claimed := b.write(t, 0), b.write(t, 0)
	d, _ := b.claim(t, claimed)
	for _, id := range []uuid.UUID{waits, claimed} {
		if err := outbox.Delay(t.Context(), b.pool, id, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if _, outcome := b.claim(t, waits); outcome != outbox.Early {
		t.Errorf("the one that waits: %d", outcome)
	}
	if _, attempts, _, _, _ := b.row(t, waits); attempts != 0 {
		t.Errorf("it was tried %d times", attempts)
	}
	if err := outbox.PutOff(t.Context(), b.pool, d, time.Now(), "x"); err != nil {
		t.Fatal(err)
	}
	if _, outcome := b.claim(t, claimed); outcome != outbox.Claimed {
		t.Errorf("one that is being delivered is delayed: %d", outcome)
	}
	if _, _, err := outbox.Retry(t.Context(), b.pool, waits); err != nil {
		t.Fatal(err)
	}
	if _, outcome := b.claim(t, waits); outcome != outbox.Claimed {
		t.Errorf("an operator's retry: %d", outcome)
	}
}

func TestRouteOf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mail := b.write(t, 0)
	r, err := outbox.RouteOf(t.Context(), b.pool, mail)
	if err != nil || r != (outbox.Route{Channel: "email"}) {
		t.Errorf("a mail goes to %+v, %v", r, err)
	}
	if r, err := outbox.RouteOf(t.Context(), b.pool, uuid.New()); err != nil || r.Channel != "" {
		t.Errorf("none goes to %+v, %v", r, err)
	}
}
