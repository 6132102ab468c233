package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// secret is one variable of what the functions need.
type secret struct {
	name, value string
	unknown     bool // value has a placeholder: the real one is not known here
}

// envLines writes secrets as a file of environment variables that a shell can source. What is not known stands in
// a comment.
func envLines(secrets []secret) string {
	var b strings.Builder
	for _, s := range secrets {
		if s.unknown {
			fmt.Fprintf(&b, "# %s=%s\n", s.name, quoted(s.value))
		} else {
			fmt.Fprintf(&b, "%s=%s\n", s.name, quoted(s.value))
		}
	}
	return b.String()
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./?-]*$`)

// quoted quotes a value if a shell would misread it. Most values need none, and some readers of such files know
// no quotes.
func quoted(v string) string {
	if plainWord.MatchString(v) {
		return v
	}
	return "'" + strings.ReplaceAll(v, "'", `'\''`) + "'"
}

// secretFile is the file that secrets go to, if any. It is written beside its place first, so that nobody sees a
// part of it and a failure leaves what was there.
type secretFile struct {
	path  string
	force bool
	tmp   string
}

// check refuses a place that cannot be written to or must not be.
func (f *secretFile) check() error {
	switch {
	case f.path == "" && f.force:
		return fmt.Errorf("%w: -force is about the file of -out", errUsage)
	case f.path == "":
		return nil
	}
	info, err := os.Lstat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at the file of -out: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a plain file; give -out another place", f.path)
	case !f.force:
		return fmt.Errorf("%s exists; give -out another place, or -force to replace it", f.path)
	}
	return nil
}

// stage writes the file beside its place, unless there is nothing new to write. A file is not replaced by one that
// lacks some of its variables: it may be the only place that they are kept in.
func (f *secretFile) stage(secrets []secret) error {
	if f.path == "" || !slices.ContainsFunc(secrets, func(s secret) bool { return !s.unknown }) {
		return nil
	}
	if err := f.check(); err != nil { // some time has passed
		return err
	}
	old, err := os.ReadFile(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the file of -out: %w", err)
	}
	for _, name := range envNames(old) {
		if !slices.ContainsFunc(secrets, func(s secret) bool { return s.name == name && !s.unknown }) {
			return fmt.Errorf("%s holds %s, which this run does not know and would lose; give -out another place", f.path, name)
		}
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".*") // created with mode 0600
	if err != nil {
		return fmt.Errorf("write the file of -out: %w", err)
	}
	f.tmp = tmp.Name()
	_, err = tmp.WriteString("# What the functions of Mesher and its owner need. It is kept nowhere else.\n" + envLines(secrets))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write the file of -out: %w", err)
	}
	return nil
}

// commit puts the staged file into its place and reports whether there was one.
func (f *secretFile) commit() (bool, error) {
	if f.tmp == "" {
		return false, nil
	}
	err := f.move()
	if err != nil {
		return false, fmt.Errorf("the secrets are in %s; it cannot be renamed: %w", f.tmp, err)
	}
	return true, nil
}

func (f *secretFile) move() error {
	if f.force {
		return os.Rename(f.tmp, f.path)
	}
	// Unlike a rename, a link fails when somebody else has made a file there meanwhile.
	if err := os.Link(f.tmp, f.path); err != nil {
		return err
	}
	return os.Remove(f.tmp)
}

// discard removes the staged file.
func (f *secretFile) discard() error {
	if f.tmp == "" {
		return nil
	}
	return os.Remove(f.tmp)
}

var envLine = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=`)

// envNames returns the variables that an env-style file sets.
func envNames(text []byte) []string {
	var out []string
	for line := range strings.Lines(string(text)) {
		if m := envLine.FindStringSubmatch(line); m != nil {
			out = append(out, m[1])
		}
	}
	return out
}
