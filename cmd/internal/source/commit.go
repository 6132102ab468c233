package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// shown is how many changed files an error names.
const shown = 10

// DirtyError says that the tree is not what its commit has, so that the commit would not say what is deployed.
type DirtyError struct{ Files []string }

func (e *DirtyError) Error() string {
	names := e.Files[:min(len(e.Files), shown)]
	text := strings.Join(names, ", ")
	if more := len(e.Files) - len(names); more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return "files to deploy differ from the commit: " + text
}

// Commit returns the commit of the clone that root lies in, and the files to upload as the commit has them: the same
// bytes wherever and however it is checked out. It fails with a DirtyError when the tree has others.
func Commit(ctx context.Context, root string) (string, []File, error) {
	id, err := git(ctx, root, nil, "rev-parse", "--verify", "HEAD^{commit}")
	if err != nil {
		return "", nil, fmt.Errorf("find the commit to deploy: %w", err)
	}
	commit := strings.TrimSpace(string(id))
	tree, err := Tree(ctx, root)
	if err != nil {
		return "", nil, err
	}
	committed, err := blobs(ctx, root, commit)
	if err != nil {
		return "", nil, err
	}
	files, changed := compare(tree, committed)
	changed = append(changed, deleted(root, committed)...)
	if len(changed) > 0 {
		return "", nil, &DirtyError{changed}
	}
	return commit, files, nil
}

// compare returns the files of the tree as they are committed, and the names of those that differ. A checkout may have
// other ends of lines.
func compare(tree []File, committed map[string][]byte) (files []File, changed []string) {
	for _, f := range tree {
		data, ok := committed[f.Name]
		if !ok || !bytes.Equal(unix(data), unix(f.Data)) {
			changed = append(changed, f.Name)
			continue
		}
		files = append(files, File{f.Name, data})
	}
	return files, changed
}

// deleted returns the names of files that are committed and no longer there.
func deleted(root string, committed map[string][]byte) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(committed)) {
		if _, err := os.Lstat(filepath.Join(root, filepath.FromSlash(name))); errors.Is(err, fs.ErrNotExist) {
			names = append(names, name)
		}
	}
	return names
}

func unix(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }

// blobs returns the content of every file of a commit below root.
func blobs(ctx context.Context, root, commit string) (map[string][]byte, error) {
	out, err := git(ctx, root, nil, "ls-tree", "-r", "-z", commit)
	if err != nil {
		return nil, fmt.Errorf("list the commit: %w", err)
	}
	var names []string
	var ask bytes.Buffer
	for _, entry := range list(out) { // <mode> <type> <object>\t<name>
		about, name, _ := strings.Cut(entry, "\t")
		fields := strings.Fields(about)
		if len(fields) != 3 || fields[1] != "blob" {
			continue
		}
		names = append(names, name)
		fmt.Fprintln(&ask, fields[2])
	}
	out, err = git(ctx, root, ask.Bytes(), "cat-file", "--batch")
	if err != nil {
		return nil, fmt.Errorf("read the commit: %w", err)
	}
	all := make(map[string][]byte, len(names))
	for _, name := range names { // <object> <type> <size>\n<content>\n
		head, rest, _ := bytes.Cut(out, []byte("\n"))
		fields := strings.Fields(string(head))
		size := -1
		if len(fields) == 3 {
			size, _ = strconv.Atoi(fields[2])
		}
		if size < 0 || size >= len(rest) {
			return nil, fmt.Errorf("read the commit: git answers %q for %s", head, name)
		}
		all[name], out = rest[:size:size], rest[size+1:]
	}
	return all, nil
}

// git runs git on a clone that may belong to another user: only objects are read, which runs nothing of the clone's.
func git(ctx context.Context, root string, input []byte, args ...string) ([]byte, error) {
	return Run(ctx, root, input, "git", append([]string{"-c", "safe.directory=*"}, args...)...)
}
