// Package rest is the form that the JSON APIs of people and their programs have in common: who calls, what a call may
// do, how errors look, how lists are paged, how a creating call can be repeated, and the OpenAPI document that is
// generated from the handlers.
package rest

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/web"
)

// Config is what every such API is set up with.
type Config struct {
	Sessions account.SessionConfig
	// Hops is 1 where Google's front end is all that stands before the function: it adds the address that it sees at
	// the end of X-Forwarded-For. Everything before that is what the client claims.
	Hops int `env:"FORWARDED_HOPS" envDefault:"1" doc:"how many proxies add to X-Forwarded-For; what the first of them added is taken for the client's address. 0: the connection's own"`
}

// Options describe one API.
type Options struct {
	Title       string
	Description string
	Prefix      string // of every path of the document, such as /api/v1; the document lies at openapi.json below it
	Config      Config
	Pool        *postgres.Pool
	Log         *slog.Logger
	// Refuse answers what is refused before a route is found, or returns the error to have it answered as a problem, which
	// nil always does: who looks at a page should not get JSON.
	Refuse func(w http.ResponseWriter, r *http.Request, err error) error
}

const (
	// bodyMost is the most bytes of a request's body. What people manage is small.
	bodyMost = 64 << 10
	// bodyTime is how long a client may take to send it.
	bodyTime = 10 * time.Second
)

// API is a set of routes with their document. Make it with New, then add routes with Handle and Page.
type API struct {
	options  Options
	mux      *http.ServeMux
	huma     huma.API
	origin   *http.CrossOriginProtection
	bodyTime time.Duration
	document func() ([]byte, error)
}

// New returns an API without routes.
func New(o Options) *API {
	useProblems()
	mux := http.NewServeMux()
	info := &huma.Info{
		Title: o.Title, Version: "1", Description: o.Description,
		License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
	}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{OpenAPI: "3.1.0", Info: info, Components: &huma.Components{
			Schemas:         huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{},
		}, Servers: []*huma.Server{{URL: "/"}}},
		Formats:                      map[string]huma.Format{"application/json": format(), "json": format()},
		DefaultFormat:                "application/json",
		Transformers:                 []huma.Transformer{encode},
		RejectUnknownQueryParameters: true,
	}
	a := &API{options: o, mux: mux, huma: humago.New(mux, config), origin: http.NewCrossOriginProtection(), bodyTime: bodyTime}
	a.document = sync.OnceValues(func() ([]byte, error) { return document(a.huma.OpenAPI()) })
	a.Page("GET "+o.Prefix+"/openapi.json", a.serveDocument)
	a.Page("/", a.nothing)
	return a
}

// document encodes the document without what only huma knows: it has made its messages of that.
func document(doc *huma.OpenAPI) ([]byte, error) {
	for _, schema := range doc.Components.Schemas.Map() {
		for _, field := range schema.Properties {
			field.PatternDescription = ""
		}
	}
	return json.Marshal(doc)
}

func (a *API) serveDocument(w http.ResponseWriter, _ *http.Request) error {
	doc, err := a.document()
	if err != nil {
		return fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	w.Header().Set("Content-Type", "application/openapi+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(doc)
	return nil
}

// Page serves what is no part of the document, such as a page for a browser.
func (a *API) Page(pattern string, f web.HandlerFunc) {
	a.mux.Handle(pattern, web.Handler(a.options.Log, f))
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.Handler(a.options.Log, a.serve).ServeHTTP(w, r)
}

func (a *API) serve(w http.ResponseWriter, r *http.Request) error {
	// Answers are about one person; no cache may keep one for another.
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// A browser sends a cookie by itself, also when another site's page makes it; it never does so with a bearer token.
	if _, ok := bearer(r); !ok {
		if err := a.origin.Check(r); err != nil {
			return a.refuse(w, r, fault.Wrap(err, fault.Forbidden, "the request comes from a page of another site").Named("cross_origin"))
		}
	}
	r = r.WithContext(withCall(r.Context(), &call{
		log: a.options.Log, client: clientOf(r, a.options.Config.Hops), method: r.Method, path: r.URL.Path,
	}))
	bound(w, r, a.bodyTime)
	a.mux.ServeHTTP(w, r)
	return nil
}

func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	if a.options.Refuse == nil {
		return err
	}
	return a.options.Refuse(w, r, err)
}

// nothing answers what no route takes.
func (a *API) nothing(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"} {
		probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := a.mux.Handler(probe); pattern != "" && pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if allowed != nil && !slices.Contains(allowed, r.Method) {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return fault.New(fault.Method, "use %s here", strings.Join(allowed, " or "))
	}
	return fault.New(fault.NotFound, "nothing is here; %s/openapi.json lists the paths", a.options.Prefix)
}
