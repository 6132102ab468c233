package monitor

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestCodes holds the list of codes to the constants, and the documentation to the list.
func TestCodes(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range Codes() {
		if listed[m.Code] {
			t.Errorf("%s is listed twice", m.Code)
		}
		listed[m.Code] = true
		if row := "| `" + m.Code + "` | " + m.Doc + " |\n"; !strings.Contains(string(doc), row) {
			t.Errorf("docs/monitoring.md lacks the row\n%s", row)
		}
	}
	tree, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil || !listed[value] {
				t.Errorf("%s is not listed", spec.Names[0].Name)
			}
		}
		return true
	})
}
