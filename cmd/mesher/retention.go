package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/mesherhq/mesher/functions/retention"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/logging"
)

func runRetention(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("retention", flag.ContinueOnError)
	dryRun := flags.Bool("dry-run", false, "say what would be removed, remove nothing")
	asJSON := flags.Bool("json", false, "print JSON, for scripts")
	if err := parse(flags, args); err != nil {
		return err
	}
	var cfg retention.Config
	if err := env.Read(lookupDatabase, &cfg); err != nil {
		return fmt.Errorf("find the database (is the platform running? make run): %w", err)
	}
	return retain(ctx, cfg, *dryRun, *asJSON, out)
}

// retain does one run, or a dry one, and shows what came of it.
func retain(ctx context.Context, cfg retention.Config, dryRun, asJSON bool, out io.Writer) error {
	f, err := retention.New(ctx, cfg, logging.New(os.Stderr, slog.LevelError, ""))
	if err != nil {
		return err
	}
	defer f.Close(ctx)
	s, err := f.Run(ctx, dryRun)
	if err != nil {
		return explainDatabase(err)
	}
	if asJSON {
		if err := printJSON(out, s); err != nil {
			return err
		}
	} else if err := printRetention(out, s, dryRun); err != nil {
		return err
	}
	if len(s.Failed) > 0 {
		return fmt.Errorf("a step failed: %v", s.Failed)
	}
	return nil
}

// printRetention shows what a run removed, or would remove, and what it left.
func printRetention(out io.Writer, s job.Summary, dryRun bool) error {
	report, ok := s.Report.(*retention.Report)
	if s.Skipped != "" || !ok {
		_, err := fmt.Fprintf(out, "nothing is done: %s\n", s.Skipped)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FROM\tROWS\tTO THE DISK\tTO BE USED AGAIN")
	for _, step := range report.Steps {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", step.Step, step.Rows, size(step.BytesReturned), size(step.BytesReusable))
	}
	if len(report.Steps) == 0 {
		fmt.Fprintln(w, "(nothing is older than it is to be kept)")
	}
	for _, step := range slices.Sorted(maps.Keys(s.Remaining)) {
		fmt.Fprintf(w, "(%s: at least %d more for the next run)\n", step, s.Remaining[step])
	}
	if dryRun {
		fmt.Fprintln(w, "(a dry run: nothing was removed)")
	}
	return w.Flush()
}

// size shows bytes in their largest unit.
func size(bytes int64) string {
	const kilo = 1000
	for _, unit := range []string{"B", "KB", "MB", "GB"} {
		if bytes < 10*kilo {
			return fmt.Sprintf("%d %s", bytes, unit)
		}
		bytes /= kilo
	}
	return fmt.Sprintf("%d TB", bytes)
}
