package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
)

// Route is one operation of the document.
type Route struct {
	ID      string // in kebab case, the name that generated clients call it by
	Method  string
	Path    string // below the prefix, with {parameters}
	Summary string
	Doc     string
	Tag     string
	Status  int           // of success; 0: 200
	Scope   account.Scope // what the caller's credential must allow; empty: anyone may call
	Role    string        // the least role in the organization, for the document; the handler sees to it
}

// Body is an answer with nothing but a body.
type Body[T any] struct{ Body T }

// None is an answer without a body; its routes have the status 204.
type None struct{}

// Handle adds a route. The fields of I are tagged as github.com/danielgtaylor/huma/v2 documents: path, query and
// header parameters, and Body. What they are checked by stands in the document too. Parameters and body are checked
// after the credential, so that a stranger learns nothing.
func Handle[I, O any](a *API, r Route, h func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: r.ID, Method: r.Method, Path: a.options.Prefix + r.Path, Summary: r.Summary, Description: r.Doc,
		DefaultStatus: r.Status, Tags: []string{r.Tag}, Extensions: map[string]any{},
		// prepare has read the body: one of the most bytes has to be below huma's limit, and there is no deadline to set.
		MaxBodyBytes: bodyMost + 1, BodyReadTimeout: -1,
	}
	if r.Role != "" {
		op.Extensions["x-mesher-role"] = r.Role
	}
	if r.Scope != "" {
		op.Extensions["x-mesher-scope"] = string(r.Scope)
		op.Security = security(r.Scope)
		op.Middlewares = huma.Middlewares{a.authenticate(r.Scope)}
	}
	op.Middlewares = append(op.Middlewares, a.prepare)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, refuse(ctx, err)
		}
		return out, nil
	})
}

// authenticate finds out who calls and refuses those whose credential does not allow what a route needs.
func (a *API) authenticate(needed account.Scope) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(hc)
		if err := a.identify(r, needed); err != nil {
			a.fail(w, r, err)
			return
		}
		next(hc)
	}
}

func (a *API) identify(r *http.Request, needed account.Scope) error {
	secret, err := credential(r)
	if err != nil {
		return err
	}
	who, err := account.Identify(r.Context(), a.options.Pool, a.options.Config.Sessions, secret)
	if err != nil {
		return busy(err)
	}
	if !who.Scope.Allows(needed) {
		if needed == account.ScopeSession {
			return fault.New(fault.Forbidden, "a personal access token cannot do this; log in").Named("scope_too_low")
		}
		return fault.New(fault.Forbidden, "the token's scope is %s; this needs %s", who.Scope, needed).Named("scope_too_low")
	}
	c := callOf(r.Context())
	c.who, c.secret = who, secret
	return nil
}

// Scopes of the document's security requirements.
const (
	schemeSession, schemeCookie, schemeToken = "session", "cookie", "token"
)

func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		schemeSession: {Type: "http", Scheme: "bearer", Description: "a session token (mshs_…), from a login"},
		schemeToken:   {Type: "http", Scheme: "bearer", Description: "a personal access token (mshp_…); x-mesher-scope says which scope a route needs"},
		schemeCookie:  {Type: "apiKey", In: "cookie", Name: CookieName, Description: "the session token as a browser keeps it"},
	}
}

func security(s account.Scope) []map[string][]string {
	out := []map[string][]string{{schemeSession: {}}, {schemeCookie: {}}}
	if s != account.ScopeSession {
		out = append(out, map[string][]string{schemeToken: {}})
	}
	return out
}
