package mesher

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/schedule"
	"github.com/mesherhq/mesher/shared/sentry"
)

var update = flag.Bool("update", false, "rewrite the README's tables")

const (
	module    = "github.com/mesherhq/mesher"
	framework = "github.com/GoogleCloudPlatform/functions-framework-go"
)

// TestLayout holds the source to the rules that the cloud build and the design rely on. It reads the files
// itself, whatever their build tags, so its result is never cached when one of them has changed.
func TestLayout(t *testing.T) {
	t.Parallel()
	files := sources(t)

	t.Run("imports point one way", func(t *testing.T) {
		t.Parallel()
		for _, f := range files {
			for _, imported := range f.imports() {
				for _, r := range importRules {
					if r.breaks(f, imported) {
						t.Errorf("%s imports %s: %s", f.path, imported, r.says)
					}
				}
			}
		}
	})

	t.Run("the root is one package that registers with the framework", func(t *testing.T) {
		t.Parallel()
		names := map[string][]string{}
		registers := false
		for _, f := range files {
			if f.dir != "." {
				continue
			}
			names[f.tree.Name.Name] = append(names[f.tree.Name.Name], f.path)
			if slices.Contains(f.imports(), framework+"/functions") {
				if f.test {
					t.Errorf("%s imports the framework: the cloud build would take a test for the function", f.path)
				}
				registers = registers || !f.test
			}
		}
		if len(names) != 1 {
			t.Errorf("the root holds %d packages, the cloud build accepts one (tests and ignored files count): %v",
				len(names), names)
		}
		if !registers {
			t.Errorf("no file of the root imports %s/functions: the cloud build would not find the functions", framework)
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if _, err := os.Stat(name); err == nil {
				t.Errorf("the folder %s is named like the root package: the cloud build would look there", name)
			}
		}
	})

	t.Run("go.mod suits the cloud build", func(t *testing.T) {
		t.Parallel()
		lines := goMod(t)
		if got := lines["module"]; got != module {
			t.Errorf("module is %q, want %q", got, module)
		}
		if first, _, _ := strings.Cut(lines["module"], "/"); !strings.Contains(first, ".") {
			t.Errorf("module %q: its first element needs a dot", lines["module"])
		}
		if got, ok := lines["toolchain"]; ok {
			t.Errorf("go.mod asks for toolchain %s: the runtime's own must do", got)
		}
		if got, ok := lines["tool"]; ok {
			t.Errorf("go.mod holds the tool %s: tools belong in tools/go.mod, the cloud build tidies this one", got)
		}
	})

	t.Run("nothing runs before main but the registration", func(t *testing.T) {
		t.Parallel()
		for _, f := range files {
			for _, d := range f.tree.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if ok && fn.Recv == nil && fn.Name.Name == "init" && f.path != "mesher.go" {
					t.Errorf("%s: init() runs in every function's instance; call it from a constructor", f.at(fn))
				}
			}
		}
	})

	t.Run("request bodies are limited, never cut", func(t *testing.T) {
		t.Parallel()
		for _, f := range files {
			f.calls("io", "LimitReader", func(call *ast.CallExpr, _ []ast.Node) {
				body, ok := call.Args[0].(*ast.SelectorExpr)
				if !ok || body.Sel.Name != "Body" {
					return
				}
				if of, ok := body.X.(*ast.Ident); ok && slices.Contains([]string{"r", "req", "request"}, of.Name) {
					t.Errorf("%s: io.LimitReader cuts a long body silently; answer 413, see http.MaxBytesReader", f.at(call))
				}
			})
		}
	})

	t.Run("tests wait for conditions, not for time", func(t *testing.T) {
		t.Parallel()
		for _, f := range files {
			if !f.test || slices.Contains(f.imports(), "testing/synctest") {
				continue
			}
			f.calls("time", "Sleep", func(call *ast.CallExpr, in []ast.Node) {
				if !slices.ContainsFunc(in, mayWait) {
					t.Errorf("%s: time.Sleep hopes; use testing/synctest or wait for the condition", f.at(call))
				}
			})
		}
	})
}

func TestReadme(t *testing.T) {
	t.Run("lists the functions", func(t *testing.T) {
		section(t, "functions", functionsTable())
	})
	t.Run("lists the settings", func(t *testing.T) {
		section(t, "settings", settingsTable())
	})
	t.Run("lists the item types of envelopes", func(t *testing.T) {
		section(t, "items", itemsTable())
	})
	t.Run("lists the limits of an event", func(t *testing.T) {
		section(t, "limits", limitsTable())
	})
	t.Run("lists the schedule, beside it", func(t *testing.T) {
		sectionOf(t, "docs/operating.md", "schedule", scheduleTable())
	})
}

// importRule forbids some imports to some files.
type importRule struct {
	says   string
	breaks func(f source, imported string) bool
}

var importRules = []importRule{
	{"only commands import the root", func(f source, imported string) bool {
		return imported == module && !within(f.dir, "cmd") && !f.test
	}},
	{"commands are the top", func(f source, imported string) bool {
		return ours(imported, "cmd") && !within(f.dir, "cmd")
	}},
	{"functions import neither each other nor the root", func(f source, imported string) bool {
		if !within(f.dir, "functions") {
			return false
		}
		own := strings.Split(f.dir, "/")
		return imported == module || ours(imported, "functions") && (len(own) < 2 || !ours(imported, path.Join(own[:2]...)))
	}},
	{"shared and migrations lie below the functions", func(f source, imported string) bool {
		return within(f.dir, "shared", "migrations") && ours(imported, "functions") && !f.test
	}},
	{"only the root and commands know the framework", func(f source, imported string) bool {
		return within(imported, framework) && f.dir != "." && !within(f.dir, "cmd")
	}},
	{"Pub/Sub lies behind shared/topic", func(f source, imported string) bool {
		return within(imported, "cloud.google.com/go/pubsub") && !within(f.dir, "shared/topic", "shared/local") && !f.test
	}},
	{"Cloud Scheduler lies behind shared/scheduler", func(f source, imported string) bool {
		return within(imported, "cloud.google.com/go/scheduler") && !within(f.dir, "shared/scheduler", "shared/local") && !f.test
	}},
	{"SQL lies in the models, shared/postgres, functions/store and the check of databases", func(f source, imported string) bool {
		return within(imported, "github.com/jackc/pgx") && !f.test && !within(
			f.dir, "cmd", "functions/probe/check", "functions/store", "shared/account", "shared/alert", "shared/issue", "shared/local", "shared/monitor",
			"shared/outbox", "shared/pgtest", "shared/postgres", "shared/rest", "shared/tenant")
	}},
	{"pgtest is for tests", func(f source, imported string) bool {
		return ours(imported, "shared/pgtest") && !f.test && !within(f.dir, "shared/pgtest")
	}},
	{"a pure package imports the standard library, its like, google/uuid and, to read protobuf, protowire", func(f source, imported string) bool {
		pure := []string{
			"shared/event", "shared/fault", "shared/grouping", "shared/label", "shared/otlp", "shared/page", "shared/rawjson",
			"shared/scrub", "shared/secret", "shared/sentry", "shared/stack",
		}
		first, _, _ := strings.Cut(imported, "/")
		standard := !strings.Contains(first, ".")
		wire := f.dir == "shared/otlp" && imported == "google.golang.org/protobuf/encoding/protowire"
		return within(f.dir, pure...) && !f.test && !standard && !wire && imported != "github.com/google/uuid" && !ours(imported, pure...)
	}},
	{"migrations are files, no code", func(f source, imported string) bool {
		first, _, _ := strings.Cut(imported, "/")
		return within(f.dir, "migrations") && !f.test && strings.Contains(first, ".")
	}},
}

// within reports whether name is one of the paths or lies below one.
func within(name string, paths ...string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
}

// ours reports whether the import path is one of this module's folders or lies below one.
func ours(imported string, folders ...string) bool {
	local, ok := strings.CutPrefix(imported, module+"/")
	return ok && within(local, folders...)
}

// source is one parsed Go file.
type source struct {
	path, dir string
	test      bool
	tree      *ast.File
	set       *token.FileSet
}

// sources parses every Go file of this module.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			other := name != "." && (err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata")
			if other {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		tree, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		slash := filepath.ToSlash(name)
		out = append(out, source{slash, path.Dir(slash), strings.HasSuffix(slash, "_test.go"), tree, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (f source) imports() []string {
	var out []string
	for _, spec := range f.tree.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err == nil {
			out = append(out, imported)
		}
	}
	return out
}

// at returns file and line of a node.
func (f source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(n.Pos()).Line)
}

// calls hands every call of pkg.name to visit, with the nodes that it stands in.
func (f source) calls(pkg, name string, visit func(call *ast.CallExpr, in []ast.Node)) {
	var open []ast.Node
	ast.Inspect(f.tree, func(n ast.Node) bool {
		if n == nil {
			open = open[:len(open)-1]
			return true
		}
		if call, ok := n.(*ast.CallExpr); ok {
			fn, ok := call.Fun.(*ast.SelectorExpr)
			if ok && fn.Sel.Name == name {
				if x, ok := fn.X.(*ast.Ident); ok && x.Name == pkg {
					visit(call, open)
				}
			}
		}
		open = append(open, n)
		return true
	})
}

// mayWait reports whether a sleep inside n is no guess: it polls, waits to be killed, or is a fake that takes its
// time.
func mayWait(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ForStmt, *ast.RangeStmt:
		return true
	case *ast.FuncDecl:
		return n.Name.Name == "TestMain"
	case *ast.FuncLit:
		return !slices.ContainsFunc(n.Type.Params.List, func(p *ast.Field) bool {
			star, ok := p.Type.(*ast.StarExpr)
			if !ok {
				return false
			}
			of, ok := star.X.(*ast.SelectorExpr)
			return ok && of.Sel.Name == "T" // the body of a subtest
		})
	}
	return false
}

// goMod returns the first line of each directive of go.mod.
func goMod(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		directive, rest, _ := strings.Cut(lines.Text(), " ")
		if _, ok := out[directive]; !ok {
			out[directive] = rest
		}
	}
	return out
}

// section compares the README's text between two markers with want, or replaces it.
func section(t *testing.T, name, want string) {
	t.Helper()
	sectionOf(t, "README.md", name, want)
}

// sectionOf does so in any file.
func sectionOf(t *testing.T, file, name, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->"
	before, rest, ok := strings.Cut(string(data), begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no section between %s and %s", file, strings.TrimSpace(begin), end)
	}
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s is behind the code, run `make readme`; its section %q should be\n%s", file, name, want)
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func functionsTable() string {
	callers := map[Trigger]string{HTTP: "HTTP", Topic: "Pub/Sub", Schedule: "Scheduler"}
	var b strings.Builder
	b.WriteString("| Function | Called by | At | What it does |\n|---|---|---|---|\n")
	for _, f := range Functions() {
		row(&b, f.Name, callers[f.Trigger], "`"+f.Path+"`", f.Doc)
	}
	return b.String()
}

// itemsTable says what becomes of each item of a Sentry envelope, and how limits call it.
func itemsTable() string {
	var b strings.Builder
	b.WriteString("| Item | What it is | What becomes of it | Rate-limit category |\n|---|---|---|---|\n")
	for _, item := range sentry.Types() {
		row(&b, "`"+item.Name+"`", item.Doc, string(item.Action), "`"+item.Category+"`")
	}
	row(&b, "any other", "not known to this version", string(sentry.Counted), "none")
	return b.String()
}

// limitsTable lists the limits of an event, those with the same consequence in one row.
func limitsTable() string {
	var order []string
	limits := map[string][]string{}
	for _, l := range event.DefaultLimits().Table() {
		if limits[l.Doc] == nil {
			order = append(order, l.Doc)
		}
		limits[l.Doc] = append(limits[l.Doc], l.Name+" "+l.Value)
	}
	var b strings.Builder
	b.WriteString("| Limit | Beyond it |\n|---|---|\n")
	for _, doc := range order {
		row(&b, strings.Join(limits[doc], ", "), doc)
	}
	return b.String()
}

// scheduleTable lists the jobs.
func scheduleTable() string {
	var b strings.Builder
	b.WriteString("| Job | Calls | Schedule | Deadline | Retries | What it does |\n|---|---|---|---|---|---|\n")
	for _, j := range schedule.Jobs() {
		row(&b, "`"+j.Name+"`", j.Function, "`"+j.Cron+"`", strings.Replace(j.Deadline.String(), "m0s", "m", 1), strconv.Itoa(j.Retries), j.Doc)
	}
	return b.String()
}

// settingsTable lists every setting once, with the functions that read it.
func settingsTable() string {
	type setting struct{ name, value, doc string }
	var order []setting
	users := map[setting][]string{}
	for _, f := range Functions() {
		for _, s := range f.Settings {
			value := "empty"
			switch {
			case s.Required:
				value = "**required**"
			case s.Default != "":
				value = "`" + s.Default + "`"
			}
			k := setting{s.Name, value, s.Doc}
			if users[k] == nil {
				order = append(order, k)
			}
			users[k] = append(users[k], f.Name)
		}
	}
	slices.SortStableFunc(order, func(a, b setting) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	b.WriteString("| Setting | Default | Meaning | Read by |\n|---|---|---|---|\n")
	for _, s := range order {
		by := strings.Join(users[s], ", ")
		if len(users[s]) == len(Functions()) {
			by = "all"
		}
		row(&b, "`"+s.name+"`", s.value, s.doc, by)
	}
	return b.String()
}

// row writes one line of a table.
func row(b *strings.Builder, cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(b, "| %s ", strings.ReplaceAll(strings.Join(strings.Fields(c), " "), "|", `\|`))
	}
	b.WriteString("|\n")
}
