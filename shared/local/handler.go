package local

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/web"
)

// handler serves every function under the path that it has in the cloud, on one port.
func (p *Platform) handler(admin string) (http.Handler, error) {
	mux := http.NewServeMux()
	var (
		taken  []string // prefixes that are somebody's
		ingest http.Handler
	)
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
		if f.Job {
			mux.Handle(jobPath(f.Name), p.scheduled(l))
			continue
		}
		path := prefix(f.Path)
		if path == "" {
			return nil, fmt.Errorf("the function %s has no path of its own: %q", f.Name, f.Path)
		}
		mux.Handle(path, l)
		mux.Handle(path+"/", l)
		if path == eventsPath {
			ingest = l
		}
		taken = append(taken, path)
	}
	mux.Handle("/health", web.Handler(p.opts.Log, p.health))
	mux.Handle("/", web.Handler(p.opts.Log, func(http.ResponseWriter, *http.Request) error {
		return fault.New(fault.NotFound, "nothing is here; the README lists the paths")
	}))
	if ingest == nil {
		return mux, nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at := r.URL.Path; !slices.ContainsFunc(taken, func(p string) bool { return below(at, p) }) && fromSDK(at) {
			ingest.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// eventsPath is that of the function which takes events, and so all that SDKs send.
const eventsPath = "/v1/events"

// numbered finds the number of a project in the path of a Sentry SDK. What stands before it is the prefix of a DSN.
var numbered = regexp.MustCompile(`/api/[0-9]+(/|$)`)

// fromSDK reports whether SDKs and jobs send to a path that is no other function's. A mux could not tell, and would redirect what is
// not quite in order: SDKs follow with a GET and lose the body.
func fromSDK(path string) bool {
	return strings.HasPrefix(path, "/v1/") || below(path, "/heartbeat") || below(path, "/tunnel") || strings.HasSuffix(strings.TrimRight(path, "/"), "/tunnel") ||
		numbered.MatchString(path)
}

// below reports whether a path is prefix or lies below it.
func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
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

// jobPath is where the scheduler calls a function.
func jobPath(name string) string { return "/jobs/" + strings.ToLower(name) }

// scheduled lets only the scheduler in, as the invoker identity does in the cloud. Its token is in a header, since everybody
// who lists the jobs sees the URL.
func (p *Platform) scheduled(next http.Handler) http.Handler {
	want := []byte("Bearer " + p.jobToken)
	return web.Handler(p.opts.Log, func(w http.ResponseWriter, r *http.Request) error {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			return fault.New(fault.Forbidden, "only the scheduler may call jobs; mesher jobs run has it do so")
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
