package auth

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

type requestKey struct{}

func withRequest(ctx context.Context, r *http.Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

func requestOf(ctx context.Context) *http.Request {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	return r
}

// carried returns who the request comes from, on a route that anyone may call; false: nobody that is known. It is
// not called within a transaction, which would take a second connection.
func (f *Function) carried(ctx context.Context) (account.Identity, bool) {
	who, err := f.api.Credential(ctx, requestOf(ctx))
	return who, err == nil && who.Credential != uuid.Nil
}

// session returns the session that the request carries, on a route that anyone may call; false: none, or a token.
func (f *Function) session(ctx context.Context) (account.Identity, bool) {
	who, ok := f.carried(ctx)
	if !ok || who.Scope != account.ScopeSession {
		return account.Identity{}, false
	}
	return who, true
}

// byCookie reports whether the request proves who it comes from by the cookie.
func byCookie(ctx context.Context) bool {
	r := requestOf(ctx)
	if r.Header.Get("Authorization") != "" {
		return false
	}
	_, err := r.Cookie(rest.CookieName)
	return err == nil
}

// setCookie returns the header that has a browser keep a session token until the session ends at the latest.
func (f *Function) setCookie(token string) string {
	return cookie(token, int(f.sessions.Lifetime.Seconds()))
}

// clearCookie returns the header that has a browser forget it.
func clearCookie() string { return cookie("", -1) }

func cookie(value string, maxAge int) string {
	c := http.Cookie{
		Name: rest.CookieName, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	return c.String()
}

// actor returns a user who has just proved who it is, as the audit log names it.
func actor(ctx context.Context, u account.User) tenant.Actor {
	a := rest.Actor(ctx)
	a.Kind, a.ID, a.Name = "user", u.ID, u.Email
	return a
}

func userTarget(u account.User) tenant.Target {
	return tenant.Target{Kind: "user", ID: u.ID, Name: u.Email}
}
