package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mesherhq/mesher/cmd/internal/source"
)

// framework is the import that makes the buildpack take the functions from their registration.
const framework = "github.com/GoogleCloudPlatform/functions-framework-go/functions"

// program is the main package that stands in for the one the buildpack writes: the registrations of the
// imported package are all it knows.
const program = `package main

import (
	"fmt"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ %q
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	if err := funcframework.Start(port); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`

// build unpacks the archive that a deployment uploads into the folder at, checks it the way the buildpack does, and
// returns the path of the built program.
func build(ctx context.Context, root string, archive []byte, at string) (string, error) {
	n, err := source.Unpack(archive, at)
	if err != nil {
		return "", err
	}
	fmt.Printf("ok  %d files in an archive of %d bytes\n", n, len(archive))

	// The whole root, too: an upload that leaves nothing out must work as well.
	for _, dir := range []string{root, at} {
		if err := checkRoot(dir); err != nil {
			return "", err
		}
	}
	mod, err := readMod(ctx, at)
	if err != nil {
		return "", err
	}
	if err := mod.check(); err != nil {
		return "", err
	}
	fmt.Printf("ok  one package at the root, registers with the framework, module %s\n", mod.Module.Path)

	app := filepath.Join(at, "functions.local", "app")
	if err := os.MkdirAll(app, 0o700); err != nil {
		return "", fmt.Errorf("make the program's folder: %w", err)
	}
	text := fmt.Sprintf(program, mod.Module.Path)
	if err := os.WriteFile(filepath.Join(app, "main.go"), []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write the program: %w", err)
	}
	if err := checkTidy(ctx, root, at, mod); err != nil {
		return "", err
	}
	binary := filepath.Join(at, "app")
	if _, err := source.Run(ctx, at, nil, "go", "build", "-mod=mod", "-buildvcs=false", "-o", binary, "./functions.local/app"); err != nil {
		return "", err
	}
	fmt.Println("ok  builds")
	return binary, nil
}

// checkRoot parses the Go files in dir, all of them as the buildpack does: tests and files with build tags
// count.
func checkRoot(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return fmt.Errorf("list the root: %w", err)
	}
	packages := map[string]string{}
	registers := false
	for _, name := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return fmt.Errorf("parse the root: %w", err)
		}
		packages[tree.Name.Name] = filepath.Base(name)
		test := strings.HasSuffix(name, "_test.go")
		for _, spec := range tree.Imports {
			registers = registers || !test && spec.Path.Value == strconv.Quote(framework)
		}
	}
	names := slices.Sorted(maps.Keys(packages))
	switch {
	case len(names) == 0:
		return fmt.Errorf("no Go file at the root: the function package must lie there")
	case len(names) > 1:
		return fmt.Errorf("the root holds the packages %s; the buildpack accepts one, and counts tests and ignored files (%s, %s)",
			strings.Join(names, " and "), packages[names[0]], packages[names[1]])
	case !registers:
		return fmt.Errorf("the root package does not import %s itself: the buildpack would not use the registrations", framework)
	}
	if _, err := os.Stat(filepath.Join(dir, names[0])); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the root package %s is named like a folder beside it", names[0])
	}
	return nil
}

// modFile is the part of `go mod edit -json` that matters here.
type modFile struct {
	Module    struct{ Path string }
	Toolchain string
	Require   []struct{ Path, Version string }
}

func readMod(ctx context.Context, dir string) (modFile, error) {
	var mod modFile
	data, err := source.Run(ctx, dir, nil, "go", "mod", "edit", "-json")
	if err != nil {
		return mod, err
	}
	if err := json.Unmarshal(data, &mod); err != nil {
		return mod, fmt.Errorf("read go.mod: %w", err)
	}
	return mod, nil
}

func (m modFile) check() error {
	if first, _, _ := strings.Cut(m.Module.Path, "/"); !strings.Contains(first, ".") {
		return fmt.Errorf("module path %q: the buildpack needs a dot in its first element", m.Module.Path)
	}
	if m.Toolchain != "" {
		return fmt.Errorf("go.mod asks for toolchain %s; the runtime's own must do", m.Toolchain)
	}
	return nil
}

// unreachable tells a module proxy that cannot be reached from a go.mod that is wrong.
var unreachable = regexp.MustCompile(`(?i)dial tcp|no such host|connection re(fused|set)|i/o timeout|proxyconnect|handshake timeout|disabled by GOPROXY=off`)

// checkTidy makes sure that `go mod tidy`, which the buildpack runs, changes nothing here and moves no
// version there, where tests and commands are absent.
func checkTidy(ctx context.Context, root, at string, before modFile) error {
	_, err := source.Run(ctx, root, nil, "go", "mod", "tidy", "-diff")
	if err == nil {
		_, err = source.Run(ctx, at, nil, "go", "mod", "tidy")
	}
	if err != nil {
		if unreachable.MatchString(err.Error()) {
			fmt.Println("--  go mod tidy: not checked, the module proxy cannot be reached")
			return nil
		}
		text, _, _ := strings.Cut(err.Error(), "diff current/go.sum")
		return fmt.Errorf("go.mod is not tidy, run go mod tidy: %s", text)
	}
	after, err := readMod(ctx, at)
	if err != nil {
		return err
	}
	versions := map[string]string{}
	for _, r := range before.Require {
		versions[r.Path] = r.Version
	}
	for _, r := range after.Require {
		if v, ok := versions[r.Path]; ok && v != r.Version {
			return fmt.Errorf("the cloud build would use %s %s, go.mod says %s", r.Path, r.Version, v)
		}
	}
	fmt.Println("ok  go mod tidy changes nothing")
	return nil
}
