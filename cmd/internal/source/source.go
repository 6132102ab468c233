// Package source is what a deployment uploads: the files of this module that its functions are built from, as a tree or
// as the commit has them, and the archive that is made of them.
package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ignoreFile names what a deployment leaves out, in the form of a .gitignore.
const ignoreFile = ".gcloudignore"

// File is one file to upload.
type File struct {
	Name string // below the root, with slashes
	Data []byte
}

// Root returns the folder of the module that the working directory belongs to.
func Root(ctx context.Context) (string, error) {
	out, err := Run(ctx, ".", nil, "go", "list", "-m", "-f", "{{.Dir}}")
	return strings.TrimSpace(string(out)), err
}

// Tree returns the files below root that neither .gitignore nor .gcloudignore names, sorted by name, whether root is a
// clone, an export, or somebody else's folder.
func Tree(ctx context.Context, root string) ([]File, error) {
	names, err := kept(ctx, root)
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(names))
	for _, name := range names {
		path := filepath.Join(root, filepath.FromSlash(name))
		info, err := os.Lstat(path)
		if err != nil {
			return nil, fmt.Errorf("read the source: %w", err)
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a plain file: an archive holds no links", name)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the source: %w", err)
		}
		files = append(files, File{name, data})
	}
	if len(files) == 0 {
		return nil, errors.New("there is nothing to upload: every file is ignored")
	}
	return files, nil
}

// kept lists the files of the tree that are not ignored.
func kept(ctx context.Context, root string) ([]string, error) {
	ignore := filepath.Join(root, ignoreFile)
	if _, err := os.Stat(ignore); err != nil {
		return nil, fmt.Errorf("find what not to upload: %w", err)
	}
	scratch, err := os.MkdirTemp("", "mesher-source-")
	if err != nil {
		return nil, fmt.Errorf("make a scratch folder: %w", err)
	}
	defer os.RemoveAll(scratch)
	// With an empty repository beside the tree every file is untracked, so that git applies the ignore files to all of
	// them. Ignore files of the user's own must not decide.
	empty := filepath.Join(scratch, "git")
	if _, err := Run(ctx, root, nil, "git", "init", "--quiet", "--bare", empty); err != nil {
		return nil, err
	}
	out, err := Run(ctx, root, nil, "git", "-c", "core.excludesFile=", "--git-dir="+empty, "--work-tree="+root,
		"ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", "--exclude-from="+ignore)
	if err != nil {
		return nil, err
	}
	names := list(out)
	slices.Sort(names)
	return names, nil
}

// list splits what git ends with zero bytes.
func list(out []byte) []string {
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
}

// Run runs a program in dir, with input, and returns its output. Its error holds what the program wrote.
func Run(ctx context.Context, dir string, input []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), said.Bytes())
	}
	return out.Bytes(), nil
}
