package page_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/page"
)

var (
	at = time.Date(2026, 11, 22, 1, 2, 3, 456789000, time.UTC)
	id = uuid.MustParse("019aa000-0000-7000-8000-00000000002a")
)

func TestMark_RoundTrip(t *testing.T) {
	t.Parallel()
	for _, m := range []page.Mark{
		{},
		{At: at, ID: id},
		{At: at},
		{At: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), ID: uuid.Max},
		{At: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), ID: id},
	} {
		got, err := page.Parse(m.String())
		if err != nil || got != m {
			t.Errorf("%v became %q, which became %v, %v", m, m, got, err)
		}
	}
	// What Postgres would not keep is not kept either; nor is a time zone.
	finer := page.Mark{At: at.Add(999).In(time.FixedZone("", 3600)), ID: id}
	if got, err := page.Parse(finer.String()); err != nil || got != (page.Mark{At: at, ID: id}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestMark_Args(t *testing.T) {
	t.Parallel()
	for _, m := range []page.Mark{{}, {At: time.Time{}.Local()}} {
		if at, id := m.Args(); at != nil || id != nil || m.String() != "" {
			t.Errorf("the beginning: %v, %v, %q", at, id, m)
		}
	}
	m := page.Mark{At: at, ID: id}
	if gotAt, gotID := m.Args(); gotAt != at || gotID != id {
		t.Errorf("%v, %v", gotAt, gotID)
	}
}

func TestParse_RefusesWhatNoListReturned(t *testing.T) {
	t.Parallel()
	good := page.Mark{At: at, ID: id}.String()
	for _, in := range []string{
		" ", "0", "null", good + "A", good[1:], good + "=", good + "\n", good[:9] + "\r\n" + good[9:],
		strings.Repeat("A", 32), strings.Repeat("_", 32), strings.Repeat("A", 10000), "' or 1=1 --",
		page.Mark{At: time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), ID: id}.String(),
		page.Mark{At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), ID: id}.String(),
	} {
		if got, err := page.Parse(in); !fault.Is(err, fault.Invalid) || got != (page.Mark{}) {
			t.Errorf("Parse(%q) = %v, %v; want it refused", in, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("")
	f.Add(page.Mark{At: at, ID: id}.String())
	f.Add(strings.Repeat("A", 32))
	f.Fuzz(func(t *testing.T, in string) {
		m, err := page.Parse(in)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("Parse(%q): %v", in, err)
			}
			return
		}
		if m.String() != in {
			t.Errorf("Parse(%q) = %v, which is written as %q", in, m, m)
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	mark := func(n int) page.Mark { return page.Mark{At: at, ID: uuid.UUID{15: byte(n)}} }
	after := mark(100)
	for _, tt := range []struct {
		name string
		in   []int
		most int
		want page.Of[int]
	}{
		{"nothing", nil, 2, page.Of[int]{}},
		{"less than a page", []int{1}, 2, page.Of[int]{Rows: []int{1}}},
		{"a page and no more", []int{1, 2}, 2, page.Of[int]{Rows: []int{1, 2}}},
		{"a page and one more", []int{1, 2, 3}, 2, page.Of[int]{Rows: []int{1, 2}, Next: mark(2)}},
		{"no room at all", []int{1}, 0, page.Of[int]{Next: after}},
		{"less than none", []int{1}, -1, page.Of[int]{Next: after}},
		{"no room and no rows", nil, 0, page.Of[int]{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, page.Cut(page.Request{Limit: tt.most, After: after}, tt.in, mark)); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
		})
	}
}
