package local

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/web"
)

// handler serves every function under the path that it has in the cloud, on one port.
func (p *Platform) handler(admin string) (http.Handler, error) {
	mux := http.NewServeMux()
	for _, f := range p.opts.Functions {
		lookup, err := p.lookup(f, admin)
		if err != nil {
			return nil, err
		}
		l := boot.New(f.Name, f.Build, lookup, p.opts.Log)
		p.functions = append(p.functions, l)
		if f.Push {
			mux.Handle(pushPath(f.Name), p.pushed(l))
			continue
		}
		_, path, _ := strings.Cut(f.Path, " ")
		mux.Handle(path, l)
		mux.Handle(path+"/", l)
	}
	mux.Handle("/health", web.Handler(p.opts.Log, p.health))
	mux.Handle("/", web.Handler(p.opts.Log, func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "nothing is here; the README lists the paths")
	}))
	return mux, nil
}

// pushPath is where the queue pushes the messages of a function. In the cloud each function has a URL of its
// own.
func pushPath(name string) string { return "/push/" + strings.ToLower(name) }

// pushed lets only the queue in, as the invoker identity does in the cloud: any page in a browser of this
// machine could post here otherwise.
func (p *Platform) pushed(next http.Handler) http.Handler {
	return web.Handler(p.opts.Log, func(w http.ResponseWriter, r *http.Request) error {
		if subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("token")), []byte(p.pushToken)) != 1 {
			return fault.New(fault.Forbidden, "only the queue may push messages")
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// health answers 200 only when every function can do its work.
func (p *Platform) health(w http.ResponseWriter, r *http.Request) error {
	parts := make(map[string]string, len(p.functions))
	var failed error
	for i, l := range p.functions {
		name := p.opts.Functions[i].Name
		parts[name] = "ok"
		if err := l.Health(r.Context()); err != nil {
			var e *fault.Error
			parts[name] = "not ready"
			if errors.As(err, &e) {
				parts[name] = e.Detail
			}
			failed = err
		}
	}
	if failed != nil {
		return &web.Problem{
			Err:   fault.Wrap(failed, fault.Unavailable, "not everything is ready"),
			Extra: map[string]any{"functions": parts},
		}
	}
	return web.JSON(w, http.StatusOK, map[string]any{"status": "ok", "functions": parts})
}

// lookup returns the settings of one function: what Terraform sets in the cloud, then what Options.Lookup
// knows.
func (p *Platform) lookup(f Function, admin string) (env.Lookup, error) {
	database := admin
	if p.database != nil {
		role := postgres.RoleApp
		if f.Store {
			role = postgres.RoleStore
		}
		var err error
		if database, err = as(admin, role, p.opts.Home); err != nil {
			return nil, err
		}
	}
	own := map[string]func() string{
		"DATABASE_URL":         func() string { return database },
		"GOOGLE_CLOUD_PROJECT": func() string { return project },
		// The address is known only once the queue runs; functions are built later than that.
		"PUBSUB_EMULATOR_HOST":  func() string { return p.opts.PubSub },
		"PUBSUB_EMULATOR_TOKEN": func() string { return p.queueToken },
	}
	return func(name string) (string, bool) {
		if value, ok := own[name]; ok {
			return value(), true
		}
		if value, ok := p.opts.Lookup(name); ok {
			return value, true
		}
		value, ok := laptop[name]
		return value, ok
	}, nil
}

// laptop are the settings whose defaults are meant for one of many instances behind Google's front end. Here
// one instance takes every connection, and no pooler counts its own.
var laptop = map[string]string{
	"INGEST_CONCURRENCY": "8000",
	"DATABASE_POOL_SIZE": "6",
}

// as returns the URL of the same database for another role, with the password that is kept for it.
func as(admin, role, home string) (string, error) {
	u, err := url.Parse(admin)
	if err != nil {
		return "", fmt.Errorf("parse the database's URL: %w", err)
	}
	secret, err := rolePassword(home, role)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(role, secret)
	return u.String(), nil
}
