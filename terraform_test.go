package mesher

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/schedule"
)

// contract is what Terraform goes by: which functions there are, what triggers them, which settings they read, and the
// schedule. It is written from the source, so that there is nothing to keep in step by hand.
type contract struct {
	Functions map[string]contractFunction `json:"functions"`
	Schedule  map[string]contractJob      `json:"schedule"`
}

type contractFunction struct {
	Doc      string             `json:"doc"`
	Trigger  Trigger            `json:"trigger"`
	Topic    string             `json:"topic"`
	Role     string             `json:"role"`
	Settings map[string]*string `json:"settings"` // by name the default; null where there must be a value
}

type contractJob struct {
	Doc      string `json:"doc"`
	Function string `json:"function"`
	Cron     string `json:"cron"`
	Period   int    `json:"period_seconds"`
	Deadline int    `json:"deadline_seconds"`
}

// laptop are settings that make no sense in the cloud.
var laptop = []string{
	"MAIL_DIR", "PUBSUB_EMULATOR_HOST", "PUBSUB_EMULATOR_TOKEN", "SCHEDULER_EMULATOR_HOST", "SCHEDULER_EMULATOR_TOKEN",
}

func sourceContract() contract {
	c := contract{map[string]contractFunction{}, map[string]contractJob{}}
	for _, f := range Functions() {
		settings := map[string]*string{}
		for _, s := range f.Settings {
			switch {
			case slices.Contains(laptop, s.Name):
			case s.Required:
				settings[s.Name] = nil
			default:
				settings[s.Name] = &s.Default
			}
		}
		c.Functions[f.Name] = contractFunction{f.Doc, f.Trigger, f.Topic, f.Role, settings}
	}
	for _, j := range schedule.Jobs() {
		c.Schedule[j.Name] = contractJob{j.Doc, j.Function, j.Cron, int(j.Period.Seconds()), int(j.Deadline.Seconds())}
	}
	return c
}

// TestTerraform_Contract holds terraform/contract.json to the source.
func TestTerraform_Contract(t *testing.T) {
	t.Parallel()
	const file = "terraform/contract.json"
	want, err := json.MarshalIndent(sourceContract(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	got, err := os.ReadFile(file)
	if err == nil && bytes.Equal(got, want) {
		return
	}
	if !*update {
		t.Fatalf("%s is behind the source, run `make readme` (-file +source):\n%s", file, cmp.Diff(string(got), string(want)))
	}
	if err := os.WriteFile(file, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTerraform_Rows makes sure that every entry point, and every function that a job calls, has its row of sizes, and
// that there are no others.
func TestTerraform_Rows(t *testing.T) {
	t.Parallel()
	want := map[string]bool{}
	for _, f := range Functions() {
		want[f.Name] = true
	}
	for _, j := range schedule.Jobs() {
		want[j.Function] = true
	}
	rows := regexp.MustCompile(`(?m)^    ([A-Z]\w*) += \{ memory`).FindAllStringSubmatch(readTerraform(t, "functions.tf"), -1)
	got := map[string]bool{}
	for _, row := range rows {
		got[row[1]] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows of terraform/functions.tf (-source +rows):\n%s", diff)
	}
}

// TestTerraform_Settings makes sure that every setting that Terraform names is one that a function reads, and that all
// those that a function cannot do without have a value.
func TestTerraform_Settings(t *testing.T) {
	t.Parallel()
	text := readTerraform(t, "settings.tf")
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^ +([A-Z][A-Z_]+) += |"([A-Z]+_[A-Z_]+[A-Z])"`).FindAllStringSubmatch(text, -1) {
		named[m[1]+m[2]] = true
	}
	read := map[string]bool{}
	for name, f := range sourceContract().Functions {
		for setting, value := range f.Settings {
			read[setting] = true
			if value == nil && !named[setting] {
				t.Errorf("%s cannot do without %s, and terraform/settings.tf gives it no value", name, setting)
			}
		}
	}
	for _, ahead := range []string{"SEAL_KEY", "API_URL", "SCHEDULER_LOCATION"} { // given to whoever reads them
		read[ahead] = true
	}
	for setting := range named {
		if !read[setting] {
			t.Errorf("terraform/settings.tf names %s, which no function reads", setting)
		}
	}
}

// TestTerraform_Messages holds the messages that log-based metrics count to what the source logs.
func TestTerraform_Messages(t *testing.T) {
	t.Parallel()
	logged := map[string]bool{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					logged[text] = true
				}
			}
			return true
		})
	}
	text := readTerraform(t, "modules/observability/logs.tf")
	var messages []string
	for _, list := range regexp.MustCompile(`messages += \[(.*)\]`).FindAllStringSubmatch(text, -1) {
		for _, m := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(list[1], -1) {
			messages = append(messages, m[1])
		}
	}
	if len(messages) < 5 {
		t.Fatalf("found only the messages %q", messages)
	}
	for _, m := range messages {
		if !logged[m] {
			t.Errorf("a metric counts lines that say %q; nothing logs that", m)
		}
	}
}

// TestTerraform_Roles makes sure that nobody is given a role over everything.
func TestTerraform_Roles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("terraform/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("terraform/modules/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range append(files, more...) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`roles/[A-Za-z.]+`).FindAllString(string(data), -1) {
			found[m] = true
			if slices.Contains([]string{"roles/owner", "roles/editor", "roles/viewer", "roles/browser"}, m) {
				t.Errorf("%s gives %s", name, m)
			}
		}
		// They replace what others have granted.
		if m := regexp.MustCompile(`resource "(google_\w+_iam_(?:binding|policy))"`).FindStringSubmatch(string(data)); m != nil {
			t.Errorf("%s has a %s; grant with …_iam_member", name, m[1])
		}
	}
	if !found["roles/run.invoker"] {
		t.Errorf("no grants found, only %v", slices.Sorted(maps.Keys(found)))
	}
}

func readTerraform(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("terraform", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(data), "\r\n", "\n")
}
