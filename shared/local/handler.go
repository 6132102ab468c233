package local

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/fault"
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
		if f.Topic != "" {
			mux.Handle(pushPath(f.Name), p.pushed(l))
			continue
		}
		path := prefix(f.Path)
		if path == "" {
			return nil, fmt.Errorf("the function %s has no path of its own: %q", f.Name, f.Path)
		}
		mux.Handle(path, l)
		mux.Handle(path+"/", l)
	}
	mux.Handle("/health", web.Handler(p.opts.Log, p.health))
	mux.Handle("/", web.Handler(p.opts.Log, func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "nothing is here; the README lists the paths")
	}))
	return mux, nil
}

// prefix returns the path that a function is served at and below, without a slash at its end. The method that may stand
// in front is the function's own business.
func prefix(path string) string {
	if i := strings.LastIndexByte(path, ' '); i >= 0 {
		path = path[i+1:]
	}
	return strings.TrimRight(path, "/")
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
