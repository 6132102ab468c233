// Command package makes the archive that Terraform uploads: the source of the functions as the commit has it, and nothing
// else. The same commit makes the same bytes wherever and whenever it is run, so that a deployment changes only what a
// commit has changed.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/mesherhq/mesher/cmd/internal/source"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "package:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("package", flag.ContinueOnError)
	root := flags.String("root", "", "folder of the module (default: the one that the working directory belongs to)")
	to := flags.String("out", "dist/mesher.zip", "file to write, below the module's folder unless absolute")
	dirty := flags.Bool("dirty", false, "package the files as they lie there, committed or not")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *root == "" {
		found, err := source.Root(ctx)
		if err != nil {
			return err
		}
		*root = found
	}
	commit, files, err := choose(ctx, *root, *dirty)
	if err != nil {
		return err
	}
	archive, err := source.Zip(files)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(*to) {
		*to = filepath.Join(*root, *to)
	}
	if err := write(*to, archive); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n%d files, %d bytes, %s\nsha256 %x\n", *to, len(files), len(archive), commit, sha256.Sum256(archive))
	return err
}

func choose(ctx context.Context, root string, dirty bool) (string, []source.File, error) {
	if dirty {
		files, err := source.Tree(ctx, root)
		return "not of a commit", files, err
	}
	commit, files, err := source.Commit(ctx, root)
	if err != nil {
		return "", nil, fmt.Errorf("%w (-dirty packages the files as they are)", err)
	}
	return "commit " + commit, files, nil
}

// write replaces the file at once, so that nobody uploads a half.
func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the archive's folder: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".mesher-*.zip")
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the archive: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}
