package postgres

import "testing"

// Split cuts a text into statements.
func Split(t *testing.T, text string) []string {
	t.Helper()
	found, err := split(text)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(found))
	for i, s := range found {
		out[i] = s.text
	}
	return out
}
