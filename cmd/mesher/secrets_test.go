package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// vault is every secret of a run, by what it is.
type vault map[string]string

// person is somebody who uses the platform over HTTP and remembers every secret.
type person struct {
	p       *platform
	secrets vault
	email   string
}

// does makes a call, expects a status, and returns the answer.
func (u *person) does(t *testing.T, method, path, bearer string, body map[string]any, want int, header ...string) map[string]any {
	t.Helper()
	var content bytes.Buffer
	if body != nil {
		fatal(t, json.NewEncoder(&content).Encode(body))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, u.p.URL+path, &content)
	fatal(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	fatal(t, err)
	defer resp.Body.Close()
	var out map[string]any
	if resp.StatusCode != http.StatusNoContent {
		_ = json.NewDecoder(resp.Body).Decode(&out)
	}
	if resp.StatusCode != want {
		t.Fatalf("%s %s: %d %v, want %d", method, path, resp.StatusCode, out, want)
	}
	for _, c := range resp.Cookies() {
		if c.Value != "" {
			u.secrets["cookie of "+path] = c.Value
		}
	}
	return out
}

// session logs in, or does what answers like it, and returns the session's token.
func (u *person) session(t *testing.T, path, bearer string, body map[string]any) string {
	t.Helper()
	token, ok := u.does(t, http.MethodPost, "/auth/v1/"+path, bearer, body, http.StatusOK)["token"].(string)
	if !ok || !strings.HasPrefix(token, "mshs_") {
		t.Fatalf("%s answers no session", path)
	}
	u.secrets["session of "+path] = token
	return token
}

var linkToken = regexp.MustCompile(`/auth/([a-z-]+)\?token=(msho_[0-9A-Za-z]+)`)

// mailed waits for a mail to the address with a link to a page, and returns the link's token.
func (u *person) mailed(t *testing.T, page, address string) string {
	t.Helper()
	var token string
	wait(t, "a mail with a link to "+page+" arrives at "+address, func() bool {
		for _, text := range mails(t, u.p.home) {
			link := linkToken.FindStringSubmatch(text)
			if link != nil && link[1] == page && strings.Contains(text, address) && u.secrets[page+" of "+address] != link[2] {
				token = link[2]
			}
		}
		return token != ""
	})
	u.secrets[page+" of "+address] = token
	return token
}

// mails returns the texts of all mails.
func mails(t *testing.T, home string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(home, "mail", "*.eml"))
	fatal(t, err)
	slices.Sort(paths)
	var out []string
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		fatal(t, err)
		head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		var text bytes.Buffer
		_, _ = text.ReadFrom(quotedprintable.NewReader(bytes.NewReader(body)))
		out = append(out, string(head)+"\n"+text.String())
	}
	return out
}

func (u *person) password(name string) string {
	u.secrets[name] = "violet-tractor-" + name + "-93-moons"
	return u.secrets[name]
}

// TestSecrets_AreNowhere does everything that makes or shows a secret, refusals included, and looks for each of them in
// what the platform logged, printed and keeps.
func TestSecrets_AreNowhere(t *testing.T) {
	t.Parallel()
	p := start(t, newHome(t))
	secrets := vault{"API key of the laptop": p.APIKey, "password of the laptop": p.Password}
	u := &person{p: p, secrets: secrets, email: "ada@example.com"}

	u.does(t, "POST", "/auth/v1/register", "", map[string]any{"email": u.email, "password": u.password("strangers")}, http.StatusAccepted)
	u.does(t, "POST", "/auth/v1/register", "", map[string]any{"email": u.email, "password": u.password("first"), "name": "Ada"}, http.StatusAccepted)
	u.does(t, "POST", "/auth/v1/register", "", map[string]any{"email": "not an address", "password": u.password("refused")}, http.StatusBadRequest)
	u.does(t, "POST", "/auth/v1/login", "", map[string]any{"email": u.email, "password": u.password("wrong")}, http.StatusUnauthorized)
	link := u.mailed(t, "verify", u.email)
	u.does(t, "GET", "/auth/verify?token="+link, "", nil, http.StatusOK)
	first := u.session(t, "verify", "", map[string]any{"token": link, "password": secrets["first"]})
	u.does(t, "POST", "/auth/v1/login", "", map[string]any{"email": u.email, "password": secrets["first"], "cookie": true}, http.StatusOK)
	session := u.session(t, "login", "", map[string]any{"email": u.email, "password": secrets["first"]})
	u.does(t, "GET", "/api/v1/user?token="+session, session, nil, http.StatusBadRequest)
	session = u.session(t, "password", session, map[string]any{"current_password": secrets["first"], "new_password": u.password("second")})
	u.does(t, "GET", "/auth/v1/session", first, nil, http.StatusUnauthorized)
	u.does(t, "POST", "/auth/v1/password/forgot", "", map[string]any{"email": u.email}, http.StatusAccepted)
	session = u.session(t, "password/reset", session, map[string]any{"token": u.mailed(t, "reset", u.email), "password": u.password("third")})
	u.does(t, "POST", "/auth/v1/email", session, map[string]any{"email": "ada.new@example.com", "password": secrets["third"]}, http.StatusAccepted)
	u.does(t, "POST", "/auth/v1/email/confirm", "", map[string]any{"token": u.mailed(t, "change-email", "ada.new@example.com")}, http.StatusNoContent)

	token := u.does(t, "POST", "/api/v1/user/tokens", session, map[string]any{"label": "ci", "scope": "admin", "password": secrets["third"]}, http.StatusCreated, "Idempotency-Key", "once")
	secrets["token"] = token["token"].(string)
	org := u.does(t, "POST", "/api/v1/organizations", secrets["token"], map[string]any{"name": "Ada's"}, http.StatusCreated)["id"].(string)
	u.does(t, "POST", "/api/v1/organizations/"+org+"/invitations", session, map[string]any{"email": "bob@example.com", "role": "admin"}, http.StatusCreated)
	u.session(t, "invitations/accept", "", map[string]any{"token": u.mailed(t, "invitation", "bob@example.com"), "name": "Bob", "password": u.password("bobs")})
	project := u.does(t, "POST", "/api/v1/organizations/"+org+"/projects", session, map[string]any{"name": "Shop"}, http.StatusCreated)["id"].(string)
	keys := "/api/v1/projects/" + project + "/keys"
	key := u.does(t, "POST", keys, session, map[string]any{"label": "web"}, http.StatusCreated, "Idempotency-Key", "a key")
	secrets["key"] = key["secret"].(string)
	rotated := u.does(t, "POST", keys+"/"+key["key"].(map[string]any)["id"].(string)+"/rotate", session, map[string]any{"overlap": "1h"}, http.StatusCreated, "Idempotency-Key", "rotation")
	secrets["rotated key"] = rotated["secret"].(string)
	for _, key := range []string{secrets["key"], secrets["rotated key"], secrets["key"][:40] + "!"} {
		for _, address := range []string{p.URL, p.URL + "/v1/events?api_key=" + key} {
			_, _ = send(address, key, []byte(`{"message":"from Ada","level":"error","timestamp":1}`))
		}
	}
	u.channels(t, session, org)
	u.does(t, "POST", "/auth/v1/logout", session, nil, http.StatusNoContent)

	wait(t, "no mail is on its way", func() bool {
		return p.number(t, "select count(*) from mesher.notifications where status = 'pending'") == 0
	})
	found := places(t, p)
	for what, secret := range secrets {
		if len(secret) < 20 {
			t.Errorf("the %s is %q: too short to look for", what, secret)
		}
		for place, text := range found {
			for form, looks := range disguises(secret) {
				if i := strings.Index(text, looks); i >= 0 {
					t.Errorf("the %s is in %s, %s: …%s…", what, place, form, text[max(0, i-80):i])
				}
			}
		}
	}
	if len(secrets) < 30 {
		t.Errorf("the run made only %d secrets", len(secrets))
	}
}

// channels makes a channel of each kind that has secrets, with a receiver that refuses everything and repeats what it was sent,
// and has each tested.
func (u *person) channels(t *testing.T, session, org string) {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "%s %v %s", r.URL, r.Header, body)
	}))
	t.Cleanup(receiver.Close)
	secret := func(what string) string {
		u.secrets[what] = strings.ReplaceAll(what, " ", "-") + "-" + rand.Text()
		return u.secrets[what]
	}
	routing := strings.ToLower(rand.Text() + rand.Text())[:32]
	u.secrets["routing key"] = routing
	path := "/api/v1/organizations/" + org + "/channels"
	var tests []string
	for _, leads := range []map[string]any{
		{"slack": map[string]any{"url": receiver.URL + "/" + secret("path of Slack")}},
		{"discord": map[string]any{"url": receiver.URL + "/" + secret("path of Discord")}},
		{"pagerduty": map[string]any{"url": receiver.URL + "/v2/enqueue", "routing_key": routing}},
		{"webhook": map[string]any{
			"url":     receiver.URL + "/in?token=" + secret("query of a webhook"),
			"headers": []map[string]any{{"name": "Authorization", "value": "Bearer " + secret("header of a webhook")}},
		}},
		{"slack": map[string]any{"url": "https://hooks.example.com/" + secret("path that is refused")}},
	} {
		leads["name"] = "Channel"
		want := http.StatusCreated
		if len(tests) == 4 {
			want = http.StatusBadRequest
		}
		made := u.does(t, "POST", path, session, leads, want, "Idempotency-Key", fmt.Sprint("channel ", len(tests)))
		if want != http.StatusCreated {
			break
		}
		at := "/api/v1/channels/" + made["channel"].(map[string]any)["id"].(string)
		if signing, ok := made["signing_secret"].(string); ok {
			u.secrets["signing secret"] = signing
			u.secrets["next signing secret"] = u.does(t, "POST", at+"/rotate-secret", session, nil, http.StatusCreated)["signing_secret"].(string)
		}
		test := u.does(t, "POST", at+"/test", session, nil, http.StatusAccepted)
		tests = append(tests, at+"/deliveries/"+test["id"].(string))
	}
	for _, test := range tests {
		wait(t, "the test of a channel fails", func() bool {
			return u.does(t, "GET", test, session, nil, http.StatusOK)["status"] == "failed"
		})
	}
}

// disguises returns the forms in which a secret could be kept by mistake.
func disguises(secret string) map[string]string {
	return map[string]string{
		"as it is": secret, "in hexadecimal": hex.EncodeToString([]byte(secret)),
		"in base64": base64.RawStdEncoding.EncodeToString([]byte(secret))[:len(secret)],
	}
}

// places returns everything that the platform wrote, but for the mails and dev.json, which are for people.
func places(t *testing.T, p *platform) map[string]string {
	t.Helper()
	out := map[string]string{}
	if log, err := os.ReadFile(filepath.Join(p.home, "mesher.log")); err == nil {
		out["the log"] = string(log)
	}
	if log, err := os.ReadFile(filepath.Join(p.home, "postgres.log")); err == nil {
		out["the log of Postgres"] = string(log)
	}
	messages, err := os.ReadFile(filepath.Join(p.home, "pubsub", "messages.db"))
	fatal(t, err)
	out["the queue"] = string(messages)
	conn, err := pgx.Connect(t.Context(), p.DatabaseURL)
	fatal(t, err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), "select oid::regclass::text from pg_class where relnamespace = 'mesher'::regnamespace and relkind = 'r'")
	fatal(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	fatal(t, err)
	total := 0
	for _, table := range tables {
		var dump string
		err := conn.QueryRow(t.Context(), fmt.Sprintf("select coalesce(string_agg(r::text, E'\\n'), '') from %s r", table)).Scan(&dump)
		fatal(t, err)
		// What a person gives as a header is text; what is kept as bytes shows in hexadecimal, which is looked for too.
		out["the table "+table] = dump
		total += len(dump)
	}
	if len(out["the log"]) == 0 || len(out["the log of Postgres"]) == 0 || total < 5000 {
		t.Errorf("looked into %d bytes of log and %d of tables: too little", len(out["the log"]), total)
	}
	return out
}
