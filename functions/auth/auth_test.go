package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/functions/auth"
	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/pgtest"
)

func TestBuild(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	settings := func(more ...string) env.Lookup {
		m := map[string]string{
			"DATABASE_URL": db.URL(pgtest.App), "DATABASE_INSECURE": "true", "GOOGLE_CLOUD_PROJECT": "test",
			"PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
		}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return env.Map(m)
	}
	log := slog.New(slog.DiscardHandler)
	t.Run("works with what it needs", func(t *testing.T) {
		t.Parallel()
		f, err := auth.Build(t.Context(), settings("PASSWORD_MEMORY", "7168", "PASSWORD_ITERATIONS", "5"), log)
		must(t, err)
		defer f.Close(t.Context())
		must(t, f.Health(t.Context()))
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/auth/v1/session", http.NoBody))
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("answer %d %v", w.Code, w.Header())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.Health(ctx); !fault.Is(err, fault.Unavailable) {
			t.Errorf("health without time is %v", err)
		}
	})
	for setting, value := range map[string]string{"REGISTRATION": "closed", "PASSWORD_MEMORY": "1024", "DATABASE_URL": "x", "SESSION_IDLE": "long"} {
		t.Run("refuses "+setting+"="+value, func(t *testing.T) {
			t.Parallel()
			_, err := auth.Build(t.Context(), settings(setting, value), log)
			if !fault.Is(err, fault.NotConfigured) || !strings.Contains(err.Error(), setting) {
				t.Errorf("Build = %v", err)
			}
		})
	}
}

// Whoever takes a second connection within a transaction waits for good when all others do the same.
func TestOneConnectionIsEnough(t *testing.T) {
	t.Parallel()
	b := newBundle(t, 1)
	b.post(t, "/register", object{"email": "ada@example.com", "password": secret1}).want(t, 202, "")
	u, _, err := account.FindLogin(t.Context(), b.admin, "ada@example.com")
	must(t, err)
	session := decode[entered](t, b.post(t, "/verify", object{
		"token": b.link(t, account.VerifyEmail, u.ID, u.Email), "password": secret1,
	}).want(t, 200, ""))
	session = b.login(t, u.Email, secret1, bearer(session.Token))
	session = decode[entered](t, b.post(t, "/password", object{"current_password": secret1, "new_password": secret2}, bearer(session.Token)).want(t, 200, ""))
	b.post(t, "/email", object{"email": "b@example.com", "password": secret2}, bearer(session.Token)).want(t, 202, "")
	b.post(t, "/email/confirm", object{"token": b.link(t, account.ChangeEmail, u.ID, "b@example.com")}).want(t, 204, "")
	_, link := b.invite(t, "B@example.com")
	b.post(t, "/invitations/accept", object{"token": link}, bearer(session.Token)).want(t, 200, "")
	_, link = b.invite(t, "d@example.com")
	b.post(t, "/invitations/accept", object{"token": link, "password": secret3}).want(t, 200, "")
	reset := b.link(t, account.ResetPassword, u.ID, "b@example.com")
	session = decode[entered](t, b.post(t, "/password/reset", object{"token": reset, "password": secret3}, bearer(session.Token)).want(t, 200, ""))
	b.post(t, "/account/delete", object{"password": secret3}, bearer(session.Token)).want(t, 204, "")
}

func TestDocument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.send(t, "GET", "/auth/v1/openapi.json", "", "").want(t, 200, "")
	doc := decode[struct {
		Paths map[string]map[string]struct {
			OperationID string           `json:"operationId"`
			Security    []map[string]any `json:"security"`
		}
		Components struct {
			SecuritySchemes map[string]any `json:"securitySchemes"`
		}
	}](t, got)
	if len(doc.Components.SecuritySchemes) != 2 || doc.Components.SecuritySchemes["token"] != nil {
		t.Errorf("ways in: %v, want a session and a cookie", doc.Components.SecuritySchemes)
	}
	open := map[string]bool{
		"register": true, "verify": true, "resend-verification": true, "login": true, "forgot-password": true, "reset-password": true,
		"confirm-email": true, "preview-invitation": true, "accept-invitation": true,
	}
	n := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			n++
			if op.Security == nil || (len(op.Security) == 0) != open[op.OperationID] {
				t.Errorf("%s %s (%s): security %v", method, path, op.OperationID, op.Security)
			}
			for _, s := range op.Security {
				if _, ok := s["token"]; ok {
					t.Errorf("%s takes a personal access token", op.OperationID)
				}
			}
		}
	}
	if n != 17 {
		t.Errorf("%d operations, want 17", n)
	}
	if got := b.send(t, "GET", "/auth/v1/session", "", "").want(t, 401, "unauthenticated"); strings.Contains(got.body, "personal") {
		t.Errorf("a token is advised that is refused: %s", got.body)
	}
	b.send(t, "GET", "/auth/v1/nothing", "", "").want(t, 404, "not_found")
	b.send(t, "GET", "/auth/v1/login", "", "").want(t, 405, "method_not_allowed")
}

func TestConcealed(t *testing.T) {
	t.Parallel()
	in := struct {
		Body struct{ Password auth.Concealed }
	}{}
	in.Body.Password = secret1
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		shown = append(shown, fmt.Sprintf(verb, in), fmt.Sprintf(verb, in.Body.Password), fmt.Sprintf(verb, &in))
	}
	encoded, err := json.Marshal(in)
	must(t, err)
	var l logs
	for _, h := range []slog.Handler{slog.NewJSONHandler(&l, nil), slog.NewTextHandler(&l, nil)} {
		slog.New(h).Info("x", "in", in, "password", in.Body.Password)
	}
	hex := fmt.Sprintf("%x", secret1)
	for _, s := range append(shown, string(encoded), l.String()) {
		if strings.Contains(s, secret1) || strings.Contains(s, hex) {
			t.Errorf("the password shows: %s", s)
		}
	}
}
