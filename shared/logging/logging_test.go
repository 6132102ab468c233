package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/logging"
)

const trace = "0af7651916cd43dd8448eb211c80319c"

// logged returns what log wrote, as one line of JSON.
func logged(t *testing.T, project string, log func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	log(logging.New(&out, slog.LevelInfo, project))
	if out.Len() == 0 {
		return nil
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one line of JSON: %q", out.String())
	}
	if at, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil || at.IsZero() {
		t.Errorf("time = %v", got["time"])
	}
	delete(got, "time")
	return got
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		log  func(*slog.Logger)
		want map[string]any
	}{
		{
			"names as Cloud Logging knows them", func(l *slog.Logger) { l.Warn("watch\nout", "n", 1) },
			map[string]any{"severity": "WARNING", "message": "watch\nout", "n": 1.0},
		},
		{
			"errors", func(l *slog.Logger) { l.Error("broken") },
			map[string]any{"severity": "ERROR", "message": "broken"},
		},
		{
			"groups keep their own names", func(l *slog.Logger) { l.WithGroup("g").Info("m", "level", "x", "msg", "y") },
			map[string]any{"severity": "INFO", "message": "m", "g": map[string]any{"level": "x", "msg": "y"}},
		},
		{"nothing below the level", func(l *slog.Logger) { l.Debug("m") }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, logged(t, "", tt.log)); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithTrace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, project, traceparent, cloud, want, span string
	}{
		{"W3C", "proj", "00-" + trace + "-b7ad6b7169203331-01", "", "projects/proj/traces/" + trace, "b7ad6b7169203331"},
		{"Google", "proj", "", trace + "/123;o=1", "projects/proj/traces/" + trace, "000000000000007b"},
		{"W3C before Google", "", "00-" + trace + "-b7ad6b7169203331-01", strings.Repeat("f", 32) + "/1", trace, "b7ad6b7169203331"},
		{"without a project", "", "", trace + "/18446744073709551615", trace, "ffffffffffffffff"},
		{"without a span", "", "", trace + "/", trace, ""},
		{"a span that is none", "", "00-" + trace + "-b7ad6b716920333\n-01", "", trace, ""},
		{"nothing", "proj", "", "", "", ""},
		{"too short", "proj", "00-abc-b7ad6b7169203331-01", "abc/1", "", ""},
		{"not hexadecimal", "proj", "00-" + strings.Repeat("g", 32) + "-b7ad6b7169203331-01", "", "", ""},
		{"an attempt to write a line of its own", "proj", "", "\"}\n{" + strings.Repeat("x", 28) + "/1", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := logged(t, tt.project, func(l *slog.Logger) {
				l.With("a", 1).InfoContext(logging.WithTrace(context.Background(), tt.traceparent, tt.cloud), "m")
			})
			name, _ := got["logging.googleapis.com/trace"].(string)
			if name != tt.want {
				t.Errorf("trace = %q, want %q", name, tt.want)
			}
			if id, _ := got["logging.googleapis.com/spanId"].(string); id != tt.span {
				t.Errorf("span = %q, want %q", id, tt.span)
			}
		})
	}
}

// A logger that is made before anything is known of the project writes its name all the same.
func TestNewLate(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	project := ""
	l := logging.NewLate(&out, slog.LevelInfo, func() string { return project })
	project = "proj"
	l.With("a", 1).InfoContext(logging.WithTrace(t.Context(), "", trace+"/1"), "m")
	if want := "projects/proj/traces/" + trace; !strings.Contains(out.String(), want) {
		t.Errorf("line %s, want one with %s", out.String(), want)
	}
}
