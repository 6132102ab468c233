package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/mesherhq/mesher"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/logging"
)

// stopGrace is how long the platform may take to stop.
const stopGrace = 15 * time.Second

// parentPoll is how often a platform that `go run` started looks whether that still lives.
const parentPoll = 200 * time.Millisecond

// home returns the folder of the laptop's state.
func home() string {
	if v, ok := env.OS("MESHER_HOME"); ok && v != "" {
		return v
	}
	return ".mesher"
}

func runDev(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("dev", flag.ContinueOnError)
	verbose := flags.Bool("v", false, "log every batch that is stored")
	profile := flags.String("cpuprofile", "", "write a CPU profile of the whole run to this file")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *profile != "" {
		stop, err := startProfile(*profile)
		if err != nil {
			return err
		}
		defer stop()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopWithParent(ctx, cancel)

	opts, logs, err := devOptions(*verbose, out)
	if err != nil {
		return err
	}
	defer logs.Close()
	p, err := local.Start(ctx, opts)
	if err != nil {
		return fmt.Errorf("%w\nthe log is in %s", err, logs.Name())
	}
	fmt.Fprint(out, welcome(p.Info, opts.Home))
	err = p.Wait(ctx)
	fmt.Fprintln(out, "stopping")
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer done()
	p.Stop(grace)
	return err
}

// devOptions reads the laptop's settings and opens its log.
func devOptions(verbose bool, out io.Writer) (local.Options, *os.File, error) {
	port, err := envPort()
	if err != nil {
		return local.Options{}, nil, err
	}
	dir := home()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return local.Options{}, nil, fmt.Errorf("create MESHER_HOME: %w", err)
	}
	logs, err := os.OpenFile(filepath.Join(dir, "mesher.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return local.Options{}, nil, fmt.Errorf("open the log: %w", err)
	}
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	opts := local.Options{
		Home: dir, Port: port, Lookup: env.OS, DatabaseLog: logs,
		Log:      logging.New(io.MultiWriter(os.Stderr, logs), level, ""),
		Progress: func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) },
	}
	opts.DatabaseURL, _ = env.OS("DATABASE_URL")
	opts.PubSub, _ = env.OS("PUBSUB_EMULATOR_HOST")
	for _, f := range mesher.Functions() {
		opts.Functions = append(opts.Functions, local.Function{
			Name: f.Name, Path: f.Path, Push: f.Trigger == mesher.Topic, Store: f.Name == "Store", Build: f.Build,
		})
	}
	return opts, logs, nil
}

// envPort returns the port of the platform's HTTP server.
func envPort() (int, error) {
	v, ok := env.OS("PORT")
	if !ok || v == "" {
		return 8080, nil
	}
	port, err := strconv.Atoi(v)
	if err != nil || port < 0 || port > 65535 {
		return 0, fmt.Errorf("%w: PORT is %q; it must be a number from 0 (any free port) to 65535", errUsage, v)
	}
	return port, nil
}

// stopWithParent cancels when the `go run` that started this process is gone: it does not pass on every signal
// that ends it, and nothing may be left running behind it.
func stopWithParent(ctx context.Context, cancel context.CancelFunc) {
	exe, err := os.Executable()
	if err != nil || !strings.Contains(exe, string(filepath.Separator)+"go-build") {
		return
	}
	parent := os.Getppid()
	go func() {
		poll := time.NewTicker(parentPoll)
		defer poll.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-poll.C:
				if os.Getppid() != parent {
					cancel()
					return
				}
			}
		}
	}()
}

func welcome(info local.Info, dir string) string {
	return fmt.Sprintf(`
Mesher is ready on %[1]s

Send a first event:
  curl -X POST %[1]s/v1/events -H 'X-Mesher-Key: %[2]s' \
    -d '{"message":"Hello, Mesher","level":"error","timestamp":%[3]d}'

See what is stored:
  go run ./cmd/mesher events

DSN          %[4]s
Details      %[5]s
Stop         Ctrl-C

`, info.URL, info.APIKey, time.Now().Unix(), info.DSN, filepath.Join(dir, "dev.json"))
}

// startProfile starts a CPU profile and returns the function that ends it.
func startProfile(path string) (stop func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("start the profile: %w", err), f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}
