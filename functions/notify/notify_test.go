package notify

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/clock"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/outbox"
	"github.com/mesherhq/mesher/shared/pgtest"
	"github.com/mesherhq/mesher/shared/topic"
)

func TestHeader(t *testing.T) {
	t.Parallel()
	b, s := setup(t), serveMail(t, "")
	id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
	push(t, b.mailing(t, s), id)
	m := s.one(t)
	for name, want := range map[string]string{
		"From": `"Mesher" <mesher@example.com>`, "Message-Id": "<" + id.String() + "@example.com>",
		"Auto-Submitted": "auto-generated", "Mime-Version": "1.0",
	} {
		if got := m.header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if at, err := m.header.Date(); err != nil || time.Since(at) > time.Minute {
		t.Errorf("Date: %v, %v", at, err)
	}
	if from := s.got()[0].from; from != "mesher@example.com" {
		t.Errorf("bounces go to %s", from)
	}
}

func TestMailsOnce(t *testing.T) {
	t.Parallel()
	t.Run("however often the message comes", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t), serveMail(t, "")
		url := b.mailing(t, s)
		id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
		for range 3 {
			if code := push(t, url, id); code != http.StatusNoContent {
				t.Errorf("status %d", code)
			}
		}
		s.one(t)
		b.want(t, id, "sent after 1")
	})
	t.Run("however many deliver it at a time", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		inside, open := make(chan struct{}), make(chan struct{})
		s := serveMail(t, "", func(s *mailServer) {
			s.answer = func(command string) string {
				if command == "MAIL" {
					close(inside) // a second time is a panic
					<-open
				}
				return ""
			}
		})
		urls := []string{b.mailing(t, s), b.mailing(t, s)}
		id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
		codes := make([]int, 10)
		var group sync.WaitGroup
		group.Go(func() { codes[0] = push(t, urls[0], id) })
		<-inside
		for i := 1; i < len(codes); i++ {
			group.Go(func() {
				resp := post(t, urls[i%2], topic.EncodePush(outbox.Message(id)))
				if codes[i] = resp.StatusCode; resp.Header.Get("Retry-After") == "" {
					t.Error("there is no Retry-After")
				}
			})
		}
		wait(t, "all others are told to wait", func() bool {
			return strings.Count(b.log.String(), "being delivered already") == len(codes)-1
		})
		close(open)
		group.Wait()
		want := append([]int{http.StatusNoContent}, slices.Repeat([]int{http.StatusServiceUnavailable}, 9)...)
		if !slices.Equal(codes, want) {
			t.Errorf("statuses %v", codes)
		}
		s.one(t)
	})
	t.Run("though the database goes away in between", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		admin := b.db.Pool(t, pgtest.Admin)
		s := serveMail(t, "", func(s *mailServer) {
			s.answer = func(command string) string {
				if command == "DATA" {
					_, err := admin.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'mesher notify'")
					if err != nil {
						t.Error(err)
					}
				}
				return ""
			}
		})
		id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
		if code := push(t, b.mailing(t, s), id); code != http.StatusNoContent {
			t.Errorf("status %d: %s", code, b.log)
		}
		b.want(t, id, "sent after 1")
		s.one(t)
	})
	t.Run("though the queue hangs up in between", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var conn net.Conn
		s := serveMail(t, "", func(s *mailServer) {
			s.answer = func(command string) string {
				if command == "DATA" {
					conn.Close()
				}
				return ""
			}
		})
		url := b.mailing(t, s)
		id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
		var err error
		if conn, err = net.Dial("tcp", strings.TrimPrefix(url, "http://")); err != nil {
			t.Fatal(err)
		}
		body := topic.EncodePush(outbox.Message(id))
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: notify\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		wait(t, "the mail is sent", func() bool { state, _ := b.state(t, id); return state == "sent after 1" })
		if code := push(t, url, id); code != http.StatusNoContent {
			t.Errorf("status %d", code)
		}
		s.one(t)
	})
}

// A mail that was not published is delivered by whoever notices.
func TestSweeps(t *testing.T) {
	t.Parallel()
	b, s := setup(t), serveMail(t, "")
	q := openQueue(t, "http://127.0.0.1:1")
	cfg := b.config(s.addr)
	cfg.Outbox.Queue.EmulatorHost = q.Addr()
	url := serve(t, b.function(t, cfg))
	declare(t, q, url)
	left := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
	b.db.Exec(t, "update mesher.notifications set created_at = now() - interval '2 minutes'")
	if code := push(t, url, b.write(t, outbox.EmailChanged, "ada@example.com", nil)); code != http.StatusNoContent {
		t.Errorf("status %d", code)
	}
	wait(t, "the one that was left behind is sent", func() bool { state, _ := b.state(t, left); return state == "sent after 1" })
}

// A mail waits in the outbox for its server.
func TestDelivers_WhenTheServerIsBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := reserved.Addr().String()
	reserved.Close()
	q := openQueue(t, serve(t, b.function(t, b.config(addr))))
	box, err := outbox.Open(t.Context(), outbox.Config{Queue: topic.Config{Project: "p", EmulatorHost: q.Addr()}, Topic: "notifications"}, b.pool, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
	box.Publish(t.Context(), id)
	wait(t, "a delivery fails", func() bool { _, reason := b.state(t, id); return strings.Contains(reason, "refused") })
	if n, err := box.Sweep(t.Context(), time.Minute); n != 0 || err != nil {
		t.Errorf("it is tried again at once: %d, %v", n, err)
	}
	s := serveMail(t, addr)
	later := clock.With(t.Context(), func() time.Time { return time.Now().Add(firstWait * 2) })
	b.db.Exec(t, "update mesher.notifications set not_before = now()")
	if n, err := box.Sweep(later, time.Minute); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	wait(t, "the mail is sent", func() bool { state, _ := b.state(t, id); return strings.HasPrefix(state, "sent") })
	s.one(t)
}

// A mail server is not overrun.
func TestDelivers_AFewAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inside, open := make(chan struct{}, 100), make(chan struct{})
	s := serveMail(t, "", func(s *mailServer) {
		s.answer = func(command string) string {
			if command == "MAIL" {
				inside <- struct{}{}
				<-open
			}
			return ""
		}
	})
	url := b.mailing(t, s)
	var group sync.WaitGroup
	for range mailsMost + 20 {
		id := b.write(t, outbox.PasswordChanged, "ada@example.com", nil)
		group.Go(func() {
			if code := push(t, url, id); code != http.StatusNoContent {
				t.Errorf("status %d: %s", code, b.log)
			}
		})
	}
	for range mailsMost {
		<-inside
	}
	var attempted int
	err := b.pool.QueryRow(t.Context(), `select sum(attempts) from mesher.notifications`).Scan(&attempted)
	if err != nil || attempted != mailsMost {
		t.Errorf("%d notifications are claimed at a time, %v; want %d", attempted, err, mailsMost)
	}
	close(open)
	group.Wait()
	if n := len(s.got()); n != mailsMost+20 {
		t.Errorf("%d mails are sent", n)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	b, s := setup(t), serveMail(t, "")
	url := b.mailing(t, s)
	unknown := outbox.Message(uuid.New())
	newer := outbox.Message(uuid.New())
	newer.Attributes = map[string]string{"schema": "2"}
	for _, tt := range []struct {
		name string
		body []byte
		want int
	}{
		{"a notification that was rolled back", topic.EncodePush(unknown), http.StatusNoContent},
		{"a message of another schema", topic.EncodePush(newer), http.StatusNoContent},
		{"a message that names nothing", topic.EncodePush(topic.Message{Data: []byte("{}"), Attributes: unknown.Attributes}), http.StatusNoContent},
		{"what is no push request", []byte("{}"), http.StatusBadRequest},
		{"too long a body", make([]byte, bodyMost+1), http.StatusRequestEntityTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := post(t, url, tt.body).StatusCode; got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
		})
	}
	t.Run("another method", func(t *testing.T) {
		t.Parallel()
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodPost {
			t.Errorf("status %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
		}
	})
	for name, write := range map[string]func() uuid.UUID{
		"an unknown template": func() uuid.UUID { return b.write(t, "postcard", "ada@example.com", nil) },
		"data of another shape": func() uuid.UUID {
			return b.write(t, outbox.ChangeEmail, "ada@example.com", map[string]int{"user_id": 7})
		},
		"a recipient that is none":  func() uuid.UUID { return b.write(t, outbox.PasswordChanged, "ada", nil) },
		"a recipient that is a few": func() uuid.UUID { return b.write(t, outbox.PasswordChanged, "a@b.example, c@d.example", nil) },
	} {
		t.Run(name+" is given up", func(t *testing.T) {
			t.Parallel()
			id := write()
			if code := push(t, url, id); code != http.StatusNoContent {
				t.Errorf("status %d", code)
			}
			if reason := b.want(t, id, "failed after 1"); reason == "" {
				t.Error("nobody is told why")
			}
		})
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"DATABASE_URL": "postgres://u:p@127.0.0.1:1/d", "GOOGLE_CLOUD_PROJECT": "p", "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
		"AUTH_URL": "https://auth.example.com", "SMTP_URL": "smtps://u:hunter2@mail.example.com", "SMTP_FROM": "Mesher <mesher@example.com>",
	}
	build := func(change map[string]string) error {
		settings := map[string]string{}
		for _, m := range []map[string]string{good, change} {
			for k, v := range m {
				settings[k] = v
			}
		}
		h, err := Build(t.Context(), env.Map(settings), slog.New(slog.DiscardHandler))
		if err == nil {
			h.Close(t.Context())
		}
		return err
	}
	for name, change := range map[string]map[string]string{
		"a server": nil,
		"a folder": {"SMTP_URL": "", "MAIL_DIR": "mail", "SMTP_FROM": ""},
		"a path":   {"AUTH_URL": "http://127.0.0.1:8080/people/"},
	} {
		if err := build(change); err != nil {
			t.Errorf("with %s: %v", name, err)
		}
	}
	for _, tt := range []struct{ setting, value, want string }{
		{"SMTP_URL", "", "either SMTP_URL"},
		{"MAIL_DIR", "mail", "either SMTP_URL"},
		{"SMTP_FROM", "", "SMTP_FROM"},
		{"SMTP_FROM", "hunter2", "SMTP_FROM"},
		{"AUTH_URL", "", "AUTH_URL"},
		{"AUTH_URL", "auth.example.com", "AUTH_URL"},
		{"AUTH_URL", "ftp://auth.example.com", "AUTH_URL"},
		{"AUTH_URL", "https://auth.example.com?a=b", "AUTH_URL"},
		{"AUTH_URL", "https://u:hunter2@auth.example.com", "AUTH_URL"},
		{"SMTP_URL", "http://u:hunter2@mail.example.com", "SMTP_URL"},
		{"SMTP_URL", "smtp://u:hunter2%zz@mail.example.com", "SMTP_URL"},
		{"SMTP_URL", "smtp://u:hunter2@mail.example.com:port", "SMTP_URL"},
		{"SMTP_URL", "smtp://u:hunter2@mail.example.com:70000", "SMTP_URL"},
		{"SMTP_URL", "smtp://u:hunter2@", "SMTP_URL"},
		{"SMTP_URL", "smtp://u:hunter2@mail.example.com/path", "SMTP_URL"},
		{"SMTP_URL", "smtp://u:hunter2@mail.example.com?tls=perhaps", "SMTP_URL"},
		{"SMTP_URL", "smtp://u:hunter2@mail.example.com?tsl=none", "SMTP_URL"},
		{"SMTP_URL", "smtps://u:hunter2@mail.example.com?tls=none", "SMTP_URL"},
		{"SMTP_URL", "smtp://hunter2@mail.example.com", "SMTP_URL"},
	} {
		err := build(map[string]string{tt.setting: tt.value})
		if !fault.Is(err, fault.NotConfigured) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s=%q: %v, want a NotConfigured fault about %s", tt.setting, tt.value, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") && tt.setting == "SMTP_URL" {
			t.Errorf("%s=%q: the error repeats the password: %v", tt.setting, tt.value, err)
		}
	}
}
