// Command deployable makes the archive that a deployment uploads, replays what the Cloud Functions Go buildpack does
// to it, then starts every function the way an instance without settings would start. It finds on this machine, in
// seconds, what a deployment would find after minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mesherhq/mesher"
	"github.com/mesherhq/mesher/cmd/internal/source"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	archive := flag.String("archive", "", "replay this archive, as make package writes it (default: one of the files as they lie there)")
	flag.Parse()
	err := run(ctx, *archive)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "not deployable: %v\n", err)
		os.Exit(1)
	}
}

// run does all the checks and leaves nothing behind, neither files nor processes.
func run(ctx context.Context, name string) error {
	begin := time.Now()
	root, err := source.Root(ctx)
	if err != nil {
		return err
	}
	archive, err := open(ctx, root, name)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "mesher-deployable-")
	if err != nil {
		return fmt.Errorf("make a scratch folder: %w", err)
	}
	defer os.RemoveAll(scratch)

	binary, err := build(ctx, root, archive, filepath.Join(scratch, "serverless_function_source_code"))
	if err != nil {
		return err
	}
	empty := filepath.Join(scratch, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		return fmt.Errorf("make an empty folder: %w", err)
	}
	functions := mesher.Functions()
	if len(functions) == 0 {
		return fmt.Errorf("mesher.Functions() is empty: nothing to deploy")
	}
	for _, f := range functions {
		if err := checkFunction(ctx, binary, empty, f); err != nil {
			return fmt.Errorf("function %s: %w", f.Name, err)
		}
		fmt.Printf("ok  %s starts without settings and says what is missing\n", f.Name)
	}
	if err := checkUnknown(ctx, binary, empty); err != nil {
		return err
	}
	fmt.Printf("ok  an unknown function refuses to start\ndeployable (%.0fs)\n", time.Since(begin).Seconds())
	return nil
}

// open returns the archive to replay.
func open(ctx context.Context, root, name string) ([]byte, error) {
	if name != "" {
		archive, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the archive: %w", err)
		}
		return archive, nil
	}
	files, err := source.Tree(ctx, root)
	if err != nil {
		return nil, err
	}
	return source.Zip(files)
}
