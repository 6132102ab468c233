package notify

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/outbox"
)

func TestChannel_InTrouble(t *testing.T) {
	t.Parallel()
	const sent, failed, later = "sent after 1", "failed after 1", "pending after 1"
	metadata := "http://169.254.169.254/computeMetadata/v1/"
	var followed atomic.Int64
	elsewhere := receive(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		want   string
		says   string
	}{
		{"an answer", status(http.StatusOK), sent, ""},
		{"an answer without a body", status(http.StatusNoContent), sent, ""},
		{"accepted", status(http.StatusAccepted), sent, ""},
		{"it is not there", status(http.StatusNotFound), failed, "it answers 404"},
		{"it is gone", status(http.StatusGone), failed, "it answers 410"},
		{"it does not like it", status(http.StatusBadRequest), failed, "it answers 400"},
		{"a redirect", status(http.StatusFound, "Location", elsewhere.url), failed, "it answers 302, a redirect, which is not followed"},
		{"a redirect that keeps the method", status(http.StatusPermanentRedirect, "Location", elsewhere.url), failed, "it answers 308"},
		{"a redirect to the metadata server", status(http.StatusTemporaryRedirect, "Location", metadata), failed, "it answers 307"},
		{"trouble of its own", status(http.StatusInternalServerError), later, "it answers 500"},
		{"too much work", status(http.StatusTooManyRequests), later, "it answers 429"},
		{"too little time", status(http.StatusRequestTimeout), later, "it answers 408"},
		{"no service", status(http.StatusServiceUnavailable), later, "it answers 503"},
		{"no answer at all", raw(func(net.Conn) {}), later, "closed the connection without an answer"},
		{"nonsense", raw(func(c net.Conn) { fmt.Fprint(c, "hello\r\n\r\n") }), later, "could not be reached"},
		{"half a header", raw(func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX-A: b\r\n") }), later, "closed the connection"},
		{"an end in the middle of the body", raw(func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc") }), sent, ""},
		{"silence", raw(func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }), later, "did not answer within"},
		{"a header that drips", raw(func(c net.Conn) {
			for i := 0; i < 1000; i++ {
				if _, err := fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX-A: b\r\nX-A: b\r\n"[min(i, 30):min(i, 30)+1]); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}), later, "did not answer within"},
		{"a body that drips", raw(func(c net.Conn) {
			_, err := fmt.Fprint(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for i := 0; i < 1000 && err == nil; i++ {
				_, err = fmt.Fprint(c, "1\r\na\r\n")
				time.Sleep(10 * time.Millisecond)
			}
		}), sent, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t).tenant(t)
			rc := receive(t, tt.answer)
			c, _ := b.channel(t, alert.ChannelWebhook, rc.url)
			f := b.function(t, b.config("/tmp"))
			f.hooks.client.Timeout = 500 * time.Millisecond
			id := b.raise(t, uuid.New(), "Timeout")
			if code := push(t, serve(t, f), id); code != http.StatusNoContent {
				t.Errorf("status %d", code)
			}
			reason := b.want(t, id, tt.want)
			if !strings.Contains(reason, tt.says) || tt.says == "" && reason != "" {
				t.Errorf("the reason is %q, want %q", reason, tt.says)
			}
			for _, hidden := range []string{"T0pSecretPath", "/hook"} {
				if strings.Contains(reason+b.log.String(), hidden) {
					t.Errorf("the URL is in the log or the table: %s\n%s", reason, b.log)
				}
			}
			rc.one(t)
			d, err := alert.FindDelivery(t.Context(), b.pool, c.ID, id)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{sent: "delivered", failed: "failed", later: "retried"}[tt.want]
			if len(d.Log) != 1 || d.Log[0].Outcome != want || d.Log[0].Error != reason || d.Log[0].Attempt != 1 {
				t.Errorf("the log of deliveries: %+v, want %s", d.Log, want)
			}
			if code := strings.Fields(strings.TrimPrefix(tt.says, "it answers "))[:]; strings.HasPrefix(tt.says, "it answers") &&
				strconv.Itoa(d.Log[0].HTTPStatus) != strings.TrimSuffix(code[0], ",") {
				t.Errorf("the log has the status %d", d.Log[0].HTTPStatus)
			}
		})
	}
	t.Cleanup(func() {
		if n := followed.Load(); n != 0 {
			t.Errorf("%d redirects are followed", n)
		}
	})
}

func TestChannel_MayNotBeReached(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	rc := receive(t, nil)
	b.channel(t, alert.ChannelWebhook, rc.url)
	cfg := b.config("/tmp")
	cfg.Channels.Outbound.Allow = ""
	id := b.raise(t, uuid.New(), "Timeout")
	if code := push(t, serve(t, b.function(t, cfg)), id); code != http.StatusNoContent {
		t.Errorf("status %d", code)
	}
	if reason := b.want(t, id, "failed after 1"); !strings.Contains(reason, "may not be reached") {
		t.Errorf("the reason is %q", reason)
	}
	if n := len(rc.got()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// What fails is tried again with the same id, later and later, as the receiver asks; in the end it is given up.
func TestChannel_IsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	answers := make(chan func(http.ResponseWriter, *http.Request), 10)
	rc := receive(t, func(w http.ResponseWriter, r *http.Request) { (<-answers)(w, r) })
	_, signing := b.channel(t, alert.ChannelWebhook, rc.url)
	url := serve(t, b.function(t, b.config("/tmp")))
	id := b.raise(t, uuid.New(), "Timeout")
	pause := func() time.Duration {
		var d float64
		err := b.pool.QueryRow(t.Context(), `select extract(epoch from not_before - now())::float8 from mesher.notifications where id = $1::uuid`, id).Scan(&d)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(d * float64(time.Second))
	}
	for i, step := range []struct {
		answer      func(http.ResponseWriter, *http.Request)
		least, most time.Duration
	}{
		{status(500), 10 * time.Second, 18 * time.Second},
		{status(503, "Retry-After", "120"), 110 * time.Second, 121 * time.Second},
		{status(429, "Retry-After", "86400"), 59 * time.Minute, 61 * time.Minute},
		{status(429, "Retry-After", time.Now().Add(20*time.Minute).UTC().Format(http.TimeFormat)), 19 * time.Minute, 21 * time.Minute},
	} {
		answers <- step.answer
		push(t, url, id)
		b.want(t, id, fmt.Sprintf("pending after %d", i+1))
		if got := pause(); got < step.least || got > step.most {
			t.Errorf("after try %d it waits for %s, want %s to %s", i+1, got, step.least, step.most)
		}
		// A message that comes before is no try.
		if code := push(t, url, id); code != http.StatusNoContent || len(rc.got()) != i+1 {
			t.Errorf("before its time: status %d, %d requests", code, len(rc.got()))
		}
		b.due(t)
	}
	answers <- status(200)
	push(t, url, id)
	b.want(t, id, "sent after 5")
	for _, r := range rc.got() {
		if got := r.header.Get("Mesher-Delivery"); got != id.String() {
			t.Errorf("the delivery is called %s, want %s", got, id)
		}
		if err := verify(r.header.Get("Mesher-Signature"), signing, r.body, time.Now()); err != nil {
			t.Error(err)
		}
	}

	t.Run("until it is a day old, and then by an operator", func(t *testing.T) {
		id := b.raise(t, uuid.New(), "Timeout")
		b.db.Exec(t, "update mesher.notifications set created_at = now() - interval '25 hours' where id = '"+id.String()+"'")
		answers <- status(500)
		push(t, url, id)
		b.want(t, id, "failed after 1")
		if _, _, err := outbox.Retry(t.Context(), b.pool, id); err != nil {
			t.Fatal(err)
		}
		answers <- status(200)
		push(t, url, id)
		b.want(t, id, "sent after 2")
	})
}

func TestPauseAfter(t *testing.T) {
	t.Parallel()
	for attempt, base := range map[int]time.Duration{1: 15 * time.Second, 2: 30 * time.Second, 5: 4 * time.Minute, 8: 32 * time.Minute, 9: time.Hour, 1000: time.Hour} {
		for range 100 {
			if got := pauseAfter(attempt, 0); got < base*4/5 || got > base*6/5 {
				t.Errorf("after try %d: %s, want about %s", attempt, got, base)
			}
		}
	}
}

// One receiver that hangs holds nobody but itself.
func TestChannel_IsSlow(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	inside, open := make(chan struct{}, 100), make(chan struct{})
	slow := receive(t, func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-open
	})
	t.Cleanup(sync.OnceFunc(func() { close(open) }))
	fast := receive(t, nil)
	f := b.function(t, b.config("/tmp"))
	url := serve(t, f)
	b.channel(t, alert.ChannelWebhook, slow.url)
	var stuck []uuid.UUID
	for range 5 {
		stuck = append(stuck, b.raise(t, uuid.New(), "Timeout"))
	}
	b.rule = uuid.New()
	b.newRule(t, b.rule)
	b.channel(t, alert.ChannelSlack, fast.url)
	var group sync.WaitGroup
	for _, id := range stuck {
		group.Go(func() { push(t, url, id) })
	}
	for range laneMost {
		<-inside
	}
	for range 5 {
		id := b.raise(t, uuid.New(), "Timeout")
		push(t, url, id)
		b.want(t, id, "sent after 1")
	}
	if n := len(slow.got()); n != laneMost {
		t.Errorf("%d requests to one channel at a time, want %d", n, laneMost)
	}
	group.Wait()
	if n := len(inside); n > len(stuck) {
		t.Errorf("%d", n)
	}
	// Those that could not wait any longer were not tried, and come again.
	var tried int
	if err := b.pool.QueryRow(t.Context(), `select count(*) from mesher.notifications where id = any ($1::uuid[]) and status <> 'pending'`,
		[]string{stuck[0].String(), stuck[1].String(), stuck[2].String(), stuck[3].String(), stuck[4].String()}).Scan(&tried); err != nil || tried != 0 {
		t.Errorf("%d of those that hang are over, %v", tried, err)
	}
}

// killedEnv tells a test process to be an instance that gets killed: the database and the folder of mails.
const killedEnv = "MESHER_TEST_INSTANCE"

// TestInstance is no test: it is the process that TestChannel_AcrossKills kills.
func TestInstance(t *testing.T) {
	database, id, ok := strings.Cut(os.Getenv(killedEnv), " ")
	if !ok {
		t.Skip("not an instance")
	}
	b := &bundle{log: new(lines)}
	push(t, serve(t, b.function(t, configOf(database, "/tmp"))), uuid.MustParse(id))
}

// A receiver sees a delivery twice only when an instance died between its answer and the note of it, under the same id.
func TestChannel_AcrossKills(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	inside, open := make(chan struct{}, 10), make(chan struct{})
	rc := receive(t, func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-open
	})
	b.channel(t, alert.ChannelWebhook, rc.url)
	id := b.raise(t, uuid.New(), "Timeout")
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestInstance$")
	cmd.Env = append(os.Environ(), killedEnv+"="+b.config("/tmp").Database.URL+" "+id.String())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-inside:
	case <-time.After(patience):
		t.Fatal("the instance delivers nothing")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	close(open)
	url := serve(t, b.function(t, b.config("/tmp")))
	if code := push(t, url, id); code != http.StatusServiceUnavailable {
		t.Errorf("while its claim holds: status %d", code)
	}
	b.db.Exec(t, "update mesher.notifications set claimed_until = now() - interval '1 second'")
	for range 3 {
		push(t, url, id)
	}
	b.want(t, id, "sent after 2")
	got := rc.got()
	if len(got) != 2 {
		t.Fatalf("%d requests, want 2", len(got))
	}
	for _, r := range got {
		if r.header.Get("Mesher-Delivery") != id.String() {
			t.Errorf("the delivery is called %s", r.header.Get("Mesher-Delivery"))
		}
	}
}

func TestChannel_GoneOrOff(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	rc := receive(t, nil)
	c, _ := b.channel(t, alert.ChannelWebhook, rc.url)
	url := serve(t, b.function(t, b.config("/tmp")))
	off, gone := b.raise(t, uuid.New(), "Timeout"), b.raise(t, uuid.New(), "Timeout")
	b.db.Exec(t, "update mesher.alert_channels set enabled = false")
	push(t, url, off)
	if _, err := alert.DeleteChannel(t.Context(), b.pool, b.organization, c.ID); err != nil {
		t.Fatal(err)
	}
	push(t, url, gone)
	b.want(t, off, "skipped after 1")
	b.want(t, gone, "skipped after 1")
	if n := len(rc.got()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// An installation whose key was changed tries again, and tells its operator.
func TestChannel_DoesNotOpen(t *testing.T) {
	t.Parallel()
	b := setup(t).tenant(t)
	rc := receive(t, nil)
	b.channel(t, alert.ChannelWebhook, rc.url)
	cfg := b.config("/tmp")
	cfg.Channels.Seal.Keys = ""
	id := b.raise(t, uuid.New(), "Timeout")
	push(t, serve(t, b.function(t, cfg)), id)
	if reason := b.want(t, id, "pending after 1"); !strings.Contains(reason, "SEAL_KEY") {
		t.Errorf("the reason is %q", reason)
	}
	b.due(t)
	push(t, serve(t, b.function(t, b.config("/tmp"))), id)
	b.want(t, id, "sent after 2")
	rc.one(t)
}
