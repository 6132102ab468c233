package retention

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the table in the documentation")

// TestDocumentation compares the table of what is kept how long with the rules.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../../docs/operating.md", "<!-- retention:begin -->\n", "<!-- retention:end -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := strings.Cut(string(text), begin)
	got, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no section between %s and %s", path, strings.TrimSpace(begin), end)
	}
	want := table()
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s is behind the code, run go test ./functions/retention -update; its table should be\n%s", path, want)
	}
	if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| What | Table | Kept |\n|---|---|---|\n")
	b.WriteString("| events | `events` | as long as the project says, by whole days |\n")
	for _, r := range rules(Config{GraceDays: 7, DeadLetterDays: 90}) {
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", r.Kept, r.Table, span(r))
	}
	return b.String()
}

func span(r rule) string {
	switch {
	case strings.Contains(r.Gone, "cutoff"):
		return "as long as the project keeps events"
	case len(r.Walk) > 0 && r.Keep == 0:
		return "as long as what it is of"
	case r.Keep%day == 0 && r.Keep > day:
		return fmt.Sprintf("%d days", r.Keep/day)
	}
	return fmt.Sprintf("%d hours", r.Keep/time.Hour)
}
