package rest

import (
	"context"
	"net/http"
	"reflect"

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
		Responses: map[string]*huma.Response{},
		// prepare has read the body: one of the most bytes has to be below huma's limit, and there is no deadline to set.
		MaxBodyBytes: bodyMost + 1, BodyReadTimeout: -1,
	}
	if r.Role != "" {
		op.Extensions["x-mesher-role"] = r.Role
	}
	op.Security = []map[string][]string{} // said, rather than left out: anyone may call
	if r.Scope != "" {
		op.Extensions["x-mesher-scope"] = string(r.Scope)
		op.Security = a.security(r.Scope)
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
	// Generated clients look for the errors of a client there; default remains for those of the server.
	failed := op.Responses["default"]
	op.Responses["4XX"] = &huma.Response{Description: "The request is refused; code says why", Content: failed.Content}
	failed.Description = "The request failed; code says why"
}

// Rename has the document call a type by the name of another, which has the same fields: in the document, types of all packages
// need names of their own. Call it before the first route that has the type.
func Rename[T, As any](a *API) {
	a.huma.OpenAPI().Components.Schemas.RegisterTypeAlias(reflect.TypeFor[T](), reflect.TypeFor[As]())
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
	secret, err := credential(r, needed)
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

// security returns how a route may be called that needs a scope, and has the document explain that.
func (a *API) security(s account.Scope) []map[string][]string {
	schemes := a.huma.OpenAPI().Components.SecuritySchemes
	schemes[schemeSession] = &huma.SecurityScheme{Type: "http", Scheme: "bearer", Description: "a session token (mshs_…), from a login"}
	schemes[schemeCookie] = &huma.SecurityScheme{Type: "apiKey", In: "cookie", Name: CookieName, Description: "the session token as a browser keeps it"}
	out := []map[string][]string{{schemeSession: {}}, {schemeCookie: {}}}
	if s != account.ScopeSession {
		schemes[schemeToken] = &huma.SecurityScheme{
			Type: "http", Scheme: "bearer", Description: "a personal access token (mshp_…); x-mesher-scope says which scope a route needs",
		}
		out = append(out, map[string][]string{schemeToken: {}})
	}
	return out
}
