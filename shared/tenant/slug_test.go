package tenant_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

func TestSlug(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Acme":                          "acme",
		"  Acme,  Inc. (Berlin) ":       "acme-inc-berlin",
		"Zürich Straße Œuvre":           "zurich-strasse-oeuvre",
		"42":                            "42",
		"--a--":                         "a",
		"Пример x":                      "x",
		strings.Repeat("a", 80):         strings.Repeat("a", 63),
		strings.Repeat("a", 62) + " bb": strings.Repeat("a", 62),
		"İstanbul":                      "istanbul",
	} {
		if got := tenant.Slug(name); got != want {
			t.Errorf("Slug(%q) = %q, want %q", name, got, want)
		}
	}
	if a, b := tenant.Slug("日本"), tenant.Slug("中国"); a == b || a != tenant.Slug("日本") {
		t.Errorf("slugs of names without letters are %q and %q, want them stable and different", a, b)
	}
}

func FuzzSlug(f *testing.F) {
	for _, seed := range []string{"Acme", "", "日本", "a\x00b", "\xff", "-"} {
		f.Add(seed)
	}
	// As the database checks it.
	form := regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	f.Fuzz(func(t *testing.T, name string) {
		slug := tenant.Slug(name)
		if !form.MatchString(slug) || strings.Contains(slug, "--") || tenant.Slug(slug) != slug {
			t.Errorf("Slug(%q) = %q", name, slug)
		}
	})
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"A", "Пример", "Acme, Inc.", strings.Repeat("é", 200)} {
		if err := tenant.CheckName("name", name); err != nil {
			t.Errorf("%q is refused: %v", name, err)
		}
	}
	for _, name := range []string{"", " ", " Acme", "Acme\n", "a\x00b", "\x1b[31m", "\xff", "\u200b", strings.Repeat("é", 201)} {
		if err := tenant.CheckName("name", name); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is not refused: %v", name, err)
		}
	}
}
