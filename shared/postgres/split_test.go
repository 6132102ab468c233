package postgres

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"only comments", "-- a;\n/* b; */ ;;\n", nil},
		{"two statements", "select 1; select 2", []string{"select 1", "select 2"}},
		{"quoted", "select 'a;''b;', \"c;\"\"d\"; x", []string{"select 'a;''b;', \"c;\"\"d\"", "x"}},
		{"plain string takes no escape", `select 'a\'; x`, []string{`select 'a\'`, "x"}},
		{"escape string", `select E'a\';b', e'\\'; x`, []string{`select E'a\';b', e'\\'`, "x"}},
		{"a name that ends in e", "select name'a'; x", []string{"select name'a'", "x"}},
		{"dollar quotes", "do $$ a; 'b $$; x", []string{"do $$ a; 'b $$", "x"}},
		{"tagged dollar quotes", "do $a$ $$; $b$ $a$; x", []string{"do $a$ $$; $b$ $a$", "x"}},
		{"dollars that quote nothing", "select $1, a$b$c; x$$y; z", []string{"select $1, a$b$c", "x$$y", "z"}},
		{"comment inside", "select -- a;\n 1 /* b; /* c; */ d; */ + 2; x", []string{"select -- a;\n 1 /* b; /* c; */ d; */ + 2", "x"}},
		{"comment behind", "select 1 -- a;\n; x", []string{"select 1", "x"}},
		{"parentheses", "create rule r as on insert to t do (a; b); x", []string{"create rule r as on insert to t do (a; b)", "x"}},
		{"operators", "select 1 - -1 * 2 / 3; x", []string{"select 1 - -1 * 2 / 3", "x"}},
		{"beyond ASCII", "select ö$a$;'é;'; x", []string{"select ö$a$", "'é;'", "x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := split(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, s := range got {
				texts = append(texts, s.text)
			}
			if diff := cmp.Diff(tt.want, texts); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSplit_CountsLines(t *testing.T) {
	t.Parallel()
	got, err := split("-- why\n\nselect 1;\n/* a\n b */ select\n2;")
	if err != nil {
		t.Fatal(err)
	}
	want := []int{3, 5}
	for i, s := range got {
		if s.line != want[i] {
			t.Errorf("line of %q = %d, want %d", s.text, s.line, want[i])
		}
	}
}

func TestSplit_RefusesWhatNeverEnds(t *testing.T) {
	t.Parallel()
	for _, tail := range []string{"'a", `"a`, `E'a\'`, "$$a", "$t$ $$", "/* /* */"} {
		_, err := split("select 1;\n " + tail)
		if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("split(%q) = %v, want an error on line 2", tail, err)
		}
	}
}

func TestStatement_WordsAreShort(t *testing.T) {
	t.Parallel()
	s := statement{text: "create\n  table " + strings.Repeat("é", 200)}
	if got := s.words(); len(got) > 70 || !strings.HasPrefix(got, "create table éé") || !strings.HasSuffix(got, "…") {
		t.Errorf("words = %q", got)
	}
}

// Whatever was cut stays as it was cut: alone, and joined again.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"select 1; x", "do $a$ ; $a$;", "/* /* */ */ 'a''b';", "E'\\';'", "(a;b);)", "é$é$;$é$", "a-- b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		statements, err := split(in)
		if err != nil {
			return
		}
		var texts []string
		for _, s := range statements {
			alone, err := split(s.text)
			if err != nil || len(alone) != 1 || alone[0].text != s.text {
				t.Fatalf("split(%q) = %v, %v", s.text, alone, err)
			}
			if !strings.Contains(in, s.text) {
				t.Fatalf("%q is not in %q", s.text, in)
			}
			texts = append(texts, s.text)
			_, _ = s.words(), s.first()
		}
		joined, err := split(strings.Join(texts, ";\n"))
		if err != nil || len(joined) != len(texts) {
			t.Fatalf("joined again: %v, %v; want %q", joined, err, texts)
		}
	})
}
