package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/mesherhq/mesher"
)

// startLimit is how long an instance may take to open its port, or to refuse.
const startLimit = 20 * time.Second

// instance is one started program.
type instance struct {
	cmd  *exec.Cmd
	port string
	said bytes.Buffer  // what it wrote; read it after done
	done chan struct{} // closed when it has ended
}

// start runs the program with the platform's variables only, in an empty folder.
func start(ctx context.Context, binary, dir, target string) (*instance, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	i := &instance{cmd: exec.CommandContext(ctx, binary), port: port, done: make(chan struct{})}
	i.cmd.Dir = dir
	i.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "FUNCTION_TARGET=" + target, "PORT=" + i.port,
	}
	i.cmd.Stdout, i.cmd.Stderr = &i.said, &i.said
	if err := i.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the program: %w", err)
	}
	go func() {
		_ = i.cmd.Wait() // its state tells
		close(i.done)
	}()
	return i, nil
}

// stop ends the program and waits for its end.
func (i *instance) stop() {
	_ = i.cmd.Process.Kill() // it may have ended already
	<-i.done
}

// waitOpen waits until the program's port is open.
func (i *instance) waitOpen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+i.port)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-i.done:
			return fmt.Errorf("ended at start with exit code %d, nothing may need a setting before the first request:\n%s",
				i.cmd.ProcessState.ExitCode(), i.said.Bytes())
		case <-ctx.Done():
			return fmt.Errorf("did not open its port within %s: %w", startLimit, ctx.Err())
		case <-every.C:
		}
	}
}

// checkFunction starts one function without settings: it must open its port and answer that a setting is
// missing.
func checkFunction(ctx context.Context, binary, dir string, f mesher.Function) error {
	i, err := start(ctx, binary, dir, f.Name)
	if err != nil {
		return err
	}
	defer i.stop()
	if err := i.waitOpen(ctx); err != nil {
		return err
	}
	var required []string
	for _, s := range f.Settings {
		if s.Required {
			required = append(required, s.Name)
		}
	}
	for _, at := range []string{"GET /health", f.Path} {
		if err := i.checkMissing(ctx, at, required); err != nil {
			return err
		}
	}
	return nil
}

// checkMissing sends one request and expects the answer of a function without settings: 503, problem+json,
// with the name of a required setting. A function that requires none may give any answer of its own.
func (i *instance) checkMissing(ctx context.Context, at string, required []string) error {
	method, path := split(at)
	r, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1:"+i.port+path, strings.NewReader("{}"))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if len(required) == 0 {
		return nil
	}
	got := fmt.Sprintf("%s %s answered %d %s %s", method, path, res.StatusCode, res.Header.Get("Content-Type"), body)
	switch kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";"); {
	case res.StatusCode != http.StatusServiceUnavailable:
		return fmt.Errorf("%s; want 503, its settings are missing", got)
	case kind != "application/problem+json":
		return fmt.Errorf("%s; want application/problem+json", got)
	case !slices.ContainsFunc(required, func(name string) bool { return bytes.Contains(body, []byte(name)) }):
		return fmt.Errorf("%s; want the name of a missing setting (%s)", got, strings.Join(required, ", "))
	}
	return nil
}

// checkUnknown starts a function that does not exist: that must fail at once, with exit code 1.
func checkUnknown(ctx context.Context, binary, dir string) error {
	i, err := start(ctx, binary, dir, "Nope")
	if err != nil {
		return err
	}
	defer i.stop()
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	select {
	case <-i.done:
	case <-limit.C:
		return errors.New("an unknown function started; it must refuse")
	case <-ctx.Done():
		return fmt.Errorf("an unknown function: %w", ctx.Err())
	}
	if code := i.cmd.ProcessState.ExitCode(); code != 1 {
		return fmt.Errorf("an unknown function ended with exit code %d, want 1:\n%s", code, i.said.Bytes())
	}
	return nil
}

// split turns a function's address such as "POST /api/{number}/store/" into a request's method and path.
func split(at string) (method, path string) {
	method, path, ok := strings.Cut(at, " ")
	if !ok {
		method, path = http.MethodGet, at
	}
	if i := strings.IndexAny(path, "{… ,"); i >= 0 {
		path = path[:i]
	}
	return method, path
}

// freePort returns a port that nobody listens on.
func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return port, nil
}
