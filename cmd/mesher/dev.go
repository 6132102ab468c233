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

// parentPoll is how often a platform looks whether the command that started it still lives.
const parentPoll = 200 * time.Millisecond

// home returns the folder of the laptop's state.
func home() string {
	if v, ok := env.OS("MESHER_HOME"); ok && v != "" {
		return v
	}
	return ".mesher"
}

// elsewhere returns what a command needs in front to find a home that is not the usual one.
func elsewhere() string {
	if v, ok := env.OS("MESHER_HOME"); ok && v != "" {
		return "MESHER_HOME=" + strconv.Quote(v) + " "
	}
	return ""
}

func runDev(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("dev", flag.ContinueOnError)
	verbose := flags.Bool("v", false, "log every batch that is stored")
	adopt := flags.Bool("adopt", false, "use the database of DATABASE_URL even if it is an installation's: it gets a developer's login, and anybody may register")
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
	server, err := openLog(filepath.Join(opts.Home, "postgres.log"))
	if err != nil {
		return err
	}
	defer server.Close()
	opts.DatabaseLog = server
	opts.Adopt = *adopt
	p, err := local.Start(ctx, opts)
	if err != nil {
		logging.New(logs, slog.LevelInfo, "").Error("the platform does not start", "error", err)
		return fmt.Errorf("%w\nmore may be in %s and %s", err, logs.Name(), server.Name())
	}
	fmt.Fprint(out, welcome(p.Info, opts.Home))
	opts.Log.Info("the platform is ready", "url", p.Info.URL)
	err = p.Wait(ctx)
	opts.Log.Info("the platform stops")
	fmt.Fprintln(out, "stopping")
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer done()
	p.Stop(grace)
	return err
}

// devOptions reads the laptop's settings and opens its log. The server's own lines are no JSON and go elsewhere.
func devOptions(verbose bool, out io.Writer) (local.Options, *os.File, error) {
	port, err := envPort()
	if err != nil {
		return local.Options{}, nil, err
	}
	dir := home()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return local.Options{}, nil, fmt.Errorf("create MESHER_HOME: %w", err)
	}
	logs, err := openLog(filepath.Join(dir, "mesher.log"))
	if err != nil {
		return local.Options{}, nil, err
	}
	level, shown := slog.LevelInfo, slog.LevelWarn
	if verbose {
		level, shown = slog.LevelDebug, slog.LevelDebug
	}
	opts := local.Options{
		Home: dir, Port: port, Lookup: env.OS,
		// People see what went wrong; the file holds everything, in the form that the cloud's logs have.
		Log: slog.New(slog.NewMultiHandler(
			slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: shown}),
			logging.New(logs, level, "").Handler())),
		Progress: func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) },
	}
	opts.DatabaseURL, _ = env.OS("DATABASE_URL")
	opts.PubSub, _ = env.OS("PUBSUB_EMULATOR_HOST")
	for _, f := range mesher.Functions() {
		opts.Functions = append(opts.Functions, local.Function{
			Name: f.Name, Path: f.Path, Topic: f.Topic, Job: f.Trigger == mesher.Schedule, Role: f.Role, Build: f.Build,
		})
	}
	return opts, logs, nil
}

// logMost is how large the log may be at a start; a larger one is set aside, with .old added to its name.
const logMost = 10 << 20

// openLog opens the log to append to it.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logMost {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, fmt.Errorf("set the old log aside: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return f, nil
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

// stopWithParent cancels when the `make run` or `go run` that started this process is gone: they do not pass on
// every signal that ends them, and nothing may be left running behind them.
func stopWithParent(ctx context.Context, cancel context.CancelFunc) {
	parent := os.Getppid()
	if v, _ := env.OS("MESHER_STOP_WITH_PARENT"); v == "" && !goRun(parent) {
		return
	}
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

// goRun reports whether the parent is `go run`: on Linux by its name, elsewhere by where `go run` builds.
func goRun(parent int) bool {
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", parent)); err == nil {
		return strings.TrimSpace(string(name)) == "go"
	}
	exe, err := os.Executable()
	return err == nil && strings.Contains(exe, string(filepath.Separator)+"go-build")
}

func welcome(info local.Info, dir string) string {
	return fmt.Sprintf(`
Mesher is ready on %[1]s

Send a first event:
  curl -X POST %[1]s/v1/events -H 'X-Mesher-Key: %[2]s' \
    -d '{"message":"Hello, Mesher","level":"error","timestamp":%[3]d}'

See what is stored:
  %[6]sgo run ./cmd/mesher events

Log in:
  curl -X POST %[1]s/auth/v1/login -H 'Content-Type: application/json' \
    -d '{"email":"%[7]s","password":"%[8]s"}'

DSN          %[4]s
Mails        %[9]s
Details      %[5]s
Stop         Ctrl-C

`, info.URL, info.APIKey, time.Now().Unix(), info.DSN, filepath.Join(dir, "dev.json"), elsewhere(), info.Email, info.Password,
		mailsGo(dir))
}

// mailsGo says where mails go.
func mailsGo(dir string) string {
	if v, ok := env.OS("MAIL_DIR"); ok && v != "" {
		return v
	}
	if v, ok := env.OS("SMTP_URL"); ok && v != "" {
		return "sent by the server of SMTP_URL"
	}
	return filepath.Join(dir, "mail")
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
