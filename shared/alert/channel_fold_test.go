package alert_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
)

// at lives in a time.
func at(ctx context.Context, now time.Time) context.Context {
	return clock.With(ctx, func() time.Time { return now })
}

func TestFolding_OfABurst(t *testing.T) {
	t.Parallel()
	b := setupChannels(t)
	c := b.channel(t, alert.ChannelWebhook, 60, b.rule)
	began := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	all := subjects(12)
	told := 0
	for i, subject := range all {
		ids := b.raise(t, b.rule, subject, began.Add(time.Duration(i)*time.Second))
		told += len(ids)
	}
	if told != 5 {
		t.Errorf("%d of 12 alerts are told one by one, want 5", told)
	}
	digest := b.open(t, c.ID)
	due := began.Add(5 * time.Minute)
	if _, outcome, err := outbox.Claim(at(t.Context(), due.Add(-time.Minute)), b.pool, digest); outcome != outbox.Early || err != nil {
		t.Errorf("before the window ends: outcome %d, %v", outcome, err)
	}
	s := b.tell(at(t.Context(), due), t, digest, due)
	if s.Event != "digest" || s.Digest.Fired != 7 || s.Digest.Resolved != 0 || s.Digest.Open != 7 || len(s.Digest.Alerts) != 5 ||
		s.Digest.Severity != "critical" || s.Rule.Name != "New issues" || s.Project.Name != "Shop" ||
		!s.Digest.Since.Equal(began.Add(5*time.Second)) || !s.Digest.Until.Equal(began.Add(11*time.Second)) {
		t.Errorf("the digest: %+v of %+v", s.Digest, s.Rule)
	}

	t.Run("begins anew in the next window", func(t *testing.T) {
		later := due.Add(time.Second)
		if n := len(b.raise(t, b.rule, uuid.New(), later)); n != 1 {
			t.Errorf("%d are to be published, want 1", n)
		}
	})
	t.Run("folds that folded ones are resolved, and no others", func(t *testing.T) {
		over := due.Add(2 * time.Second)
		if n := len(b.resolve(t, b.rule, all[0], over)); n != 1 {
			t.Errorf("that one is resolved which was told by itself: %d are to be published, want 1", n)
		}
		if n := len(b.resolve(t, b.rule, all[11], over)); n != 0 {
			t.Errorf("that one is resolved which was folded: %d are to be published, want 0", n)
		}
		next := b.open(t, c.ID)
		if next == digest {
			t.Fatal("a digest takes more although it was told")
		}
		s := b.tell(at(t.Context(), over.Add(5*time.Minute)), t, next, over.Add(5*time.Minute))
		if s.Digest.Fired != 0 || s.Digest.Resolved != 1 || len(s.Digest.Alerts) != 1 || s.Digest.Alerts[0].Subject != all[11] {
			t.Errorf("the digest: %+v", s.Digest)
		}
	})
	t.Run("is by rule and by channel", func(t *testing.T) {
		other, rule := b.channel(t, alert.ChannelSlack, 60), uuid.New()
		b.newRule(t, rule)
		for _, id := range []uuid.UUID{c.ID, other.ID} {
			b.exec(t, `insert into mesher.alert_rule_channels (rule_id, channel_id) values ($1::uuid, $2::uuid)`, rule, id)
		}
		told := 0
		for _, subject := range subjects(6) {
			told += len(b.raise(t, rule, subject, due))
		}
		if told != 10 {
			t.Errorf("%d notifications are to be published, want 5 of each channel", told)
		}
	})
}

// However many raise alerts while digests are told, each alert is told by itself or counted by exactly one digest.
func TestFolding_IsExact(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 125
	b := setupChannels(t)
	c := b.channel(t, alert.ChannelWebhook, 10000, b.rule)
	pools := []alert.DB{b.pool, b.db.Pool(t, pgtest.Store), b.db.Pool(t, pgtest.App)}
	began := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	var now atomic.Int64 // seconds since it began; passes while alerts are raised
	var individually, inDigests, resolvedInDigests, resolvedByThemselves atomic.Int64
	moment := func() time.Time { return began.Add(time.Duration(now.Load()) * time.Second) }
	all := subjects(writers * each)
	done := make(chan struct{})

	var telling sync.WaitGroup
	for range 2 {
		telling.Go(func() {
			for over := false; !over; {
				select {
				case <-done:
					over = true
				default:
				}
				for _, id := range b.due(t, moment()) {
					b.count(t, id, moment(), &inDigests, &resolvedInDigests)
				}
			}
		})
	}
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				now.Add(7)
				subject := all[w*each+i]
				ids, err := raise(t.Context(), pools[w%len(pools)], b.rule, subject, moment())
				if err != nil {
					t.Error(err)
					return
				}
				individually.Add(int64(len(ids)))
				if rand.IntN(2) == 0 {
					ids, err := resolve(t.Context(), pools[w%len(pools)], b.rule, subject, moment())
					if err != nil {
						t.Error(err)
						return
					}
					resolvedByThemselves.Add(int64(len(ids)))
				}
			}
		})
	}
	writing.Wait()
	close(done)
	telling.Wait()
	now.Add(3600)
	for _, id := range b.due(t, moment()) {
		b.count(t, id, moment(), &inDigests, &resolvedInDigests)
	}

	if got := individually.Load() + inDigests.Load(); got != writers*each {
		t.Errorf("%d alerts are told by themselves and %d in digests: %d, want %d", individually.Load(), inDigests.Load(), got, writers*each)
	}
	resolved := b.number(t, `select count(*) from mesher.alert_events where status = 'resolved'`)
	if got := int(resolvedByThemselves.Load() + resolvedInDigests.Load()); got != resolved {
		t.Errorf("%d are told to be resolved, %d of them in digests, want %d", got, resolvedInDigests.Load(), resolved)
	}
	if n := b.number(t, `select count(*) from mesher.notifications where template = 'digest' and status = 'pending'`); n != 0 {
		t.Errorf("%d digests are left", n)
	}
	t.Logf("%d alone, %d in %d digests, the channel %s", individually.Load(), inDigests.Load(),
		b.number(t, `select count(*) from mesher.notifications where template = 'digest'`), c.Target)
}

// due returns the digests whose time has come.
func (b *channelBundle) due(t *testing.T, now time.Time) []uuid.UUID {
	t.Helper()
	ids, err := collect(context.WithoutCancel(t.Context()), b.admin, `
		select id from mesher.notifications where template = 'digest' and status = 'pending' and not_before <= $1::timestamptz`, now)
	if err != nil {
		t.Error(err)
	}
	return ids
}

// count tells a digest, unless somebody else does, and adds what it holds.
func (b *channelBundle) count(t *testing.T, id uuid.UUID, now time.Time, fired, resolved *atomic.Int64) {
	t.Helper()
	ctx := at(context.WithoutCancel(t.Context()), now)
	d, outcome, err := outbox.Claim(ctx, b.pool, id)
	if err != nil || outcome != outbox.Claimed {
		if err != nil {
			t.Error(err)
		}
		return
	}
	c, _, err := b.keeper.Open(ctx, b.pool, d.ChannelID)
	if err != nil {
		t.Error(err)
		return
	}
	s, err := alert.Tell(ctx, b.pool, d, c)
	if err != nil {
		t.Error(err)
		return
	}
	fired.Add(int64(s.Digest.Fired))
	resolved.Add(int64(s.Digest.Resolved))
	if err := outbox.Finish(ctx, b.pool, id, outbox.Sent, ""); err != nil {
		t.Error(err)
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	b := setupChannels(t)
	rules := []uuid.UUID{b.rule, uuid.New(), uuid.New()}
	for _, rule := range rules[1:] {
		b.newRule(t, rule)
	}
	c := b.channel(t, alert.ChannelWebhook, 4, rules...)
	began := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	var ids []uuid.UUID
	for _, rule := range rules {
		for _, subject := range subjects(3) {
			ids = append(ids, b.raise(t, rule, subject, began)...)
		}
	}
	if len(ids) != 9 {
		t.Fatalf("%d notifications, want 9", len(ids))
	}
	var notices []uuid.UUID
	delivered := 0
	for _, id := range ids {
		ctx := at(t.Context(), began)
		d, turn := b.turn(ctx, t, id, began)
		if notices = append(notices, turn.Publish...); turn.Deliver {
			delivered++
			b.finish(ctx, t, d, turn)
		}
	}
	if delivered != 4 || len(notices) != 1 {
		t.Fatalf("%d are delivered and %d notices written, want 4 and 1", delivered, len(notices))
	}
	notice := b.tell(at(t.Context(), began), t, notices[0], began)
	if notice.Event != "budget" || notice.Budget.Budget != 4 || !notice.Budget.Until.Equal(began.Add(time.Hour)) {
		t.Errorf("the notice: %+v", notice)
	}

	t.Run("counts a digest of a rule too, and folds it with all that it holds", func(t *testing.T) {
		for _, subject := range subjects(9)[3:] {
			b.raise(t, b.rule, subject, began.Add(time.Minute))
		}
		var digest uuid.UUID
		err := b.admin.QueryRow(t.Context(), `
			select id from mesher.notifications where template = 'digest' and rule_id = $1::uuid and status = 'pending'`, b.rule).Scan(&digest)
		if err != nil {
			t.Fatal(err)
		}
		now := began.Add(6 * time.Minute)
		_, turn := b.turn(at(t.Context(), now), t, digest, now)
		if turn.Deliver || !turn.Folded || len(turn.Publish) != 0 {
			t.Errorf("the digest of the rule: %+v", turn)
		}
		pending := b.pending(t, c.ID)
		for _, id := range pending {
			b.turn(at(t.Context(), now), t, id, now)
		}
	})
	t.Run("tells all that is more when the hour ends, once", func(t *testing.T) {
		digest := b.open(t, c.ID)
		now := began.Add(time.Hour)
		if _, outcome, err := outbox.Claim(at(t.Context(), now.Add(-time.Minute)), b.pool, digest); outcome != outbox.Early || err != nil {
			t.Errorf("before the hour ends: outcome %d, %v", outcome, err)
		}
		s := b.tell(at(t.Context(), now), t, digest, now)
		if s.Digest.Fired != 11 || s.Rule != nil {
			t.Errorf("the channel's digest holds %d, want the 15 alerts without the 4 that were told; rule %+v", s.Digest.Fired, s.Rule)
		}
		if n := b.number(t, `select count(*) from mesher.notifications where status = 'pending'`); n != 0 {
			t.Errorf("%d notifications are left", n)
		}
		if n := b.number(t, `select told from mesher.alert_budgets where channel_id = $1::uuid`, c.ID); n != 1 {
			t.Errorf("the next hour begins with %d, want the digest", n)
		}
	})
}

// pending returns what a channel is still to be told at once.
func (b *channelBundle) pending(t *testing.T, channel uuid.UUID) []uuid.UUID {
	t.Helper()
	ids, err := collect(t.Context(), b.admin, `
		select id from mesher.notifications where channel_id = $1::uuid and status = 'pending' and not_before is null order by id`, channel)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// A budget is exact however many spend it at once, and a notification that is tried again spends it once.
func TestBudget_IsExact(t *testing.T) {
	t.Parallel()
	b := setupChannels(t)
	rules := make([]uuid.UUID, 20)
	for i := range rules {
		rules[i] = uuid.New()
		b.newRule(t, rules[i])
	}
	c := b.channel(t, alert.ChannelWebhook, 37, rules...)
	now := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	var ids []uuid.UUID
	for _, rule := range rules {
		for _, subject := range subjects(5) {
			ids = append(ids, b.raise(t, rule, subject, now)...)
		}
	}
	var delivered, notices atomic.Int64
	var group sync.WaitGroup
	for part := range slices.Chunk(ids, 13) {
		group.Go(func() {
			for _, id := range part {
				d := b.claim(at(t.Context(), now), t, id)
				for range 2 {
					turn, err := alert.TakeTurn(t.Context(), b.pool, d, now)
					if err != nil {
						t.Error(err)
						return
					}
					notices.Add(int64(len(turn.Publish)))
					if !turn.Deliver {
						break
					}
					delivered.Add(1)
				}
			}
		})
	}
	group.Wait()
	folded := b.number(t, `select count(*) from mesher.notifications where digest_id = $1::uuid`, b.open(t, c.ID))
	if delivered.Load() != 2*37 || notices.Load() != 1 || folded != 100-37 {
		t.Errorf("%d turns of 2 for each, %d notices, %d folded; want 74, 1 and 63", delivered.Load(), notices.Load(), folded)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	b := setupChannels(t)
	ctx := at(t.Context(), began)
	both := func(t *testing.T, kind alert.ChannelKind) (c alert.Channel, fired, resolved, subject uuid.UUID) {
		t.Helper()
		rule := uuid.New()
		subject = uuid.New()
		b.newRule(t, rule)
		c = b.channel(t, kind, 60, rule)
		f, r := b.raise(t, rule, subject, began), b.resolve(t, rule, subject, began)
		if len(f) != 1 || len(r) != 1 {
			t.Fatalf("%d and %d notifications", len(f), len(r))
		}
		return c, f[0], r[0], subject
	}
	t.Run("that it is resolved waits for that it fired, which then says both", func(t *testing.T) {
		t.Parallel()
		c, fired, resolved, _ := both(t, alert.ChannelSlack)
		d, turn := b.turn(ctx, t, resolved, began)
		if turn.Deliver || turn.Wait <= 0 {
			t.Errorf("the second before the first: %+v", turn)
		}
		if err := outbox.PutOff(ctx, b.pool, d, began, "waits"); err != nil {
			t.Fatal(err)
		}
		d, turn = b.turn(ctx, t, fired, began)
		if !turn.Deliver || !turn.Combined {
			t.Errorf("the first: %+v", turn)
		}
		b.finish(ctx, t, d, turn)
		if _, turn = b.turn(ctx, t, resolved, began); turn.Deliver || turn.Skip == "" {
			t.Errorf("the second after the first said both: %+v", turn)
		}
		if diff := cmp.Diff([]string{"alert fired sent", "alert resolved pending"}, b.statuses(t, c.ID)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("no incident is opened for what is over", func(t *testing.T) {
		t.Parallel()
		_, fired, resolved, _ := both(t, alert.ChannelPagerDuty)
		d, turn := b.turn(ctx, t, fired, began)
		if turn.Deliver || turn.Skip == "" {
			t.Errorf("the first: %+v", turn)
		}
		if err := outbox.Finish(ctx, b.pool, d.ID, outbox.Skipped, turn.Skip); err != nil {
			t.Fatal(err)
		}
		if _, turn = b.turn(ctx, t, resolved, began); turn.Deliver || turn.Skip == "" {
			t.Errorf("the second: %+v", turn)
		}
	})
	t.Run("nothing is said of an alert that could not be told", func(t *testing.T) {
		t.Parallel()
		_, fired, resolved, _ := both(t, alert.ChannelSlack)
		if err := outbox.Finish(ctx, b.pool, fired, outbox.Failed, "410"); err != nil {
			t.Fatal(err)
		}
		if _, turn := b.turn(ctx, t, resolved, began); turn.Deliver || turn.Skip == "" {
			t.Errorf("the second: %+v", turn)
		}
	})
	t.Run("nothing is said of an alert that nobody was told of", func(t *testing.T) {
		t.Parallel()
		rule, subject := uuid.New(), uuid.New()
		b.newRule(t, rule)
		b.exec(t, `update mesher.alert_rules set cooldown_s = 3600 where id = $1::uuid`, rule)
		b.channel(t, alert.ChannelSlack, 60, rule)
		b.raise(t, rule, subject, began)
		b.resolve(t, rule, subject, began.Add(time.Second))
		if ids := b.raise(t, rule, subject, began.Add(time.Minute)); len(ids) != 0 {
			t.Errorf("within the cooldown %d are told", len(ids))
		}
		if ids := b.resolve(t, rule, subject, began.Add(2*time.Minute)); len(ids) != 0 {
			t.Errorf("that it is resolved: %d", len(ids))
		}
	})
}

// PagerDuty has one incident for a digest, which ends with the last of its alerts.
func TestFolding_ForPagerDuty(t *testing.T) {
	t.Parallel()
	b := setupChannels(t)
	c := b.channel(t, alert.ChannelPagerDuty, 60, b.rule)
	began := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	all := subjects(8)
	var fired []uuid.UUID
	for _, subject := range all {
		fired = append(fired, b.raise(t, b.rule, subject, began)...)
	}
	ctx := at(t.Context(), began)
	for _, id := range fired {
		b.tell(ctx, t, id, began)
	}
	digest, due := b.open(t, c.ID), began.Add(5*time.Minute)
	if ids := b.resolve(t, b.rule, all[5], began.Add(time.Minute)); len(ids) != 0 {
		t.Errorf("before the digest is told: %d", len(ids))
	}
	if s := b.tell(at(t.Context(), due), t, digest, due); s.Digest.Fired != 3 || s.Digest.Open != 2 {
		t.Errorf("the digest: %+v", s.Digest)
	}
	if ids := b.resolve(t, b.rule, all[6], due.Add(time.Minute)); len(ids) != 0 {
		t.Errorf("with one left: %d", len(ids))
	}
	over := due.Add(2 * time.Minute)
	ids := b.resolve(t, b.rule, all[7], over)
	if len(ids) != 1 {
		t.Fatalf("with none left: %d, want 1", len(ids))
	}
	if s := b.tell(at(t.Context(), over), t, ids[0], over); s.Event != "digest_resolved" || s.Digest.ID != digest {
		t.Errorf("%s of %s, want that the incident of %s is over", s.Event, s.Digest.ID, digest)
	}
	t.Run("resolves what was triggered though the budget is used up", func(t *testing.T) {
		b.exec(t, `update mesher.alert_budgets set told = 1000, began_at = $1::timestamptz`, over)
		ids := b.resolve(t, b.rule, all[0], over)
		if len(ids) != 1 {
			t.Fatalf("%d, want 1", len(ids))
		}
		if s := b.tell(at(t.Context(), over), t, ids[0], over); s.Event != "resolved" || s.Alert.Subject != all[0] {
			t.Errorf("%+v", s)
		}
	})
	t.Run("opens no incident for what is all over", func(t *testing.T) {
		b.exec(t, `delete from mesher.alert_budgets`)
		later := over.Add(time.Hour)
		more := subjects(16)[8:]
		for _, subject := range more {
			b.raise(t, b.rule, subject, later)
		}
		for _, subject := range more {
			b.resolve(t, b.rule, subject, later.Add(time.Minute))
		}
		due := later.Add(5 * time.Minute)
		if _, turn := b.turn(at(t.Context(), due), t, b.open(t, c.ID), due); turn.Deliver || turn.Skip == "" {
			t.Errorf("%+v", turn)
		}
	})
	t.Run("resolves an incident that was folded while that waited", func(t *testing.T) {
		later := over.Add(3 * time.Hour)
		subject := uuid.New()
		b.exec(t, `insert into mesher.alert_budgets (channel_id, began_at, told) values ($1::uuid, $2::timestamptz, 60)
			on conflict (channel_id) do update set began_at = excluded.began_at, told = 60`, c.ID, later)
		fired, resolved := b.raise(t, b.rule, subject, later), []uuid.UUID(nil)
		if _, turn := b.turn(at(t.Context(), later), t, fired[0], later); turn.Deliver || !turn.Folded {
			t.Fatalf("beyond the budget: %+v", turn)
		}
		digest := b.open(t, c.ID)
		due := later.Add(time.Hour)
		b.tell(at(t.Context(), due), t, digest, due)
		if resolved = b.resolve(t, b.rule, subject, due); len(resolved) != 1 {
			t.Fatalf("%d are to be published, want that the digest's incident is over", len(resolved))
		}
		if s := b.tell(at(t.Context(), due), t, resolved[0], due); s.Event != "digest_resolved" || s.Digest.ID != digest {
			t.Errorf("%+v", s)
		}
	})
}
