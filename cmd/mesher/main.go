// Command mesher runs the platform on a laptop and operates a deployed one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// command is one subcommand. run gets the arguments after its name.
type command struct {
	name, doc string
	run       func(ctx context.Context, args []string, out io.Writer) error
}

func commands() []command {
	return []command{
		{"dev", "run the whole platform on this machine", runDev},
		{"events", "list the newest events", runEvents},
		{"issues", "list the issues that were active last", runIssues},
		{"monitors", "list what is watched, and how it was found", runMonitors},
		{"alerts", "list what alert rules found last", runAlerts},
		{"setup", "prepare a database for a deployment", runSetup},
		{"migrate", "bring a database's schema up to date", runMigrate},
		{"keys", "list, create, rotate and revoke API keys", runKeys},
		{"users", "list and invite people, and let them in or out", runUsers},
		{"jobs", "list the schedule; run, pause, resume and sync its jobs", runJobs},
		{"notifications", "list mails, and what channels are to be told, that wait or failed; send one again", runNotifications},
		{"audit", "list who did what", runAudit},
		{"retention", "remove what is older than it is to be kept, or say what that is (-dry-run)", runRetention},
		{"doctor", "look at an installation from end to end, and say what to do about what is wrong", runDoctor},
		{"bench", "measure a platform: COPY, Store and the whole path side by side; bench query: its queries", runBench},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	var code exitCode
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &code):
		os.Exit(int(code))
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "mesher:", err)
		os.Exit(1)
	}
}

// exitCode ends the program with a code of its own, when everything is said already.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// errUsage marks errors of how the command was called.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		_, err := io.WriteString(out, usage())
		return err
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], out)
		}
	}
	return fmt.Errorf("%w: there is no command %q\n%s", errUsage, args[0], usage())
}

func usage() string {
	var b strings.Builder
	b.WriteString("mesher <command> [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-13s %s\n", c.name, c.doc)
	}
	b.WriteString("\nmesher <command> -h lists a command's flags.\n")
	return b.String()
}

// parse reads a command's flags. It refuses arguments that are no flags, which are typing errors here.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: %s takes no argument %q", errUsage, flags.Name(), flags.Arg(0))
	}
	return nil
}
