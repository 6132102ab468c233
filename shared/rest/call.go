package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/secret"
	"github.com/mesherhq/mesher/shared/tenant"
	"github.com/mesherhq/mesher/shared/web"
)

// CookieName is the cookie that holds a session token in a browser. Its prefix makes browsers refuse it unless it is
// Secure, of this host only and of every path.
const CookieName = "__Host-mesher"

// call is what is known of the request that is answered.
type call struct {
	log          *slog.Logger
	client       account.Client
	method, path string
	who          account.Identity
	secret       string // the credential itself; never logged
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{log: slog.New(slog.DiscardHandler)}
}

// Who returns who calls; the zero value on a route that anyone may call.
func Who(ctx context.Context) account.Identity { return callOf(ctx).who }

// Client returns from where the call comes.
func Client(ctx context.Context) account.Client { return callOf(ctx).client }

// Viewer returns in whose name organizations and projects are looked at.
func Viewer(ctx context.Context) tenant.Viewer {
	who := Who(ctx)
	return tenant.Viewer{UserID: who.User.ID, OrganizationID: who.OrganizationID}
}

// Actor returns the caller as the audit log names it.
func Actor(ctx context.Context) tenant.Actor {
	c := callOf(ctx)
	actor := tenant.Actor{Kind: "anonymous", Name: "anonymous", UserAgent: c.client.Agent()}
	if c.client.IP.IsValid() {
		actor.IP = c.client.IP.String()
	}
	if c.who.User.ID != uuid.Nil {
		actor.Kind, actor.ID, actor.Name = "user", c.who.User.ID, c.who.User.Email
		if c.who.Scope != account.ScopeSession {
			actor.Kind = "token"
		}
	}
	return actor
}

// clientOf returns from where r comes. hops is Config.Hops.
func clientOf(r *http.Request, hops int) account.Client {
	return account.Client{IP: web.ClientIP(r, hops), UserAgent: userAgent(r)}
}

// userAgent returns what Postgres keeps of the header: 400 characters, in UTF-8.
func userAgent(r *http.Request) string {
	s := strings.ToValidUTF8(r.UserAgent(), "\uFFFD")
	const most = 400
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}

// bearer returns the token of the Authorization header; false: there is no such header, or it is something else.
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// credential returns the bearer token of a request, or that of its cookie when there is no Authorization header at all.
// Only a session token is taken from a cookie: no other is put there by us. needed is what the error advises.
func credential(r *http.Request, needed account.Scope) (string, error) {
	kinds, advice := "a session token or personal access token", "log in at /auth/v1/login, or send a personal access token, as Authorization: Bearer …"
	if needed == account.ScopeSession {
		kinds, advice = "a session token", "log in at /auth/v1/login, and send the session token as Authorization: Bearer …"
	}
	if r.Header.Get("Authorization") != "" {
		token, ok := bearer(r)
		if !ok {
			return "", fault.New(fault.Unauthenticated, "the Authorization header must be: Bearer, a space, and %s", kinds)
		}
		return token, nil
	}
	if c, err := r.Cookie(CookieName); err == nil && c.Value != "" {
		if _, err := secret.Session.Hash(c.Value); err != nil {
			return "", fmt.Errorf("read the cookie: %w", err)
		}
		return c.Value, nil
	}
	return "", fault.New(fault.Unauthenticated, "%s", advice)
}

// Credential returns the identity of a caller who may have one, on a route that anyone may call. Who sends none has the
// zero value; one that is not good, or no longer, is the error that it is on routes that need one.
func (a *API) Credential(ctx context.Context, r *http.Request) (account.Identity, error) {
	if !presented(r) {
		return account.Identity{}, nil
	}
	token, err := credential(r, account.ScopeSession)
	if err != nil {
		return account.Identity{}, err
	}
	return account.Identify(ctx, a.options.Pool, a.options.Config.Sessions, token)
}

// presented reports whether a request says whose it is, rightly or not. A cookie that a browser forgets is empty.
func presented(r *http.Request) bool {
	if r.Header.Get("Authorization") != "" {
		return true
	}
	c, err := r.Cookie(CookieName)
	return err == nil && c.Value != ""
}
