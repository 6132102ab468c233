package env_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
)

type database struct {
	URL     string        `env:"DATABASE_URL" doc:"where it is"`
	Timeout time.Duration `env:"DATABASE_TIMEOUT" envDefault:"5s" doc:"how long"`
	Pool    int32         `env:"DATABASE_POOL" envDefault:"2"`

	Application string // no setting
}

type config struct {
	Database database
	Queue    struct {
		Timeout time.Duration `env:"QUEUE_TIMEOUT" envDefault:"10s" doc:"the same field name as another"`
		Deep    struct {
			Key string `env:"QUEUE_KEY" doc:"secret"`
		}
	}
	Port    int               `env:"PORT" envDefault:"8080"`
	Max     int64             `env:"NAMED_UNLIKE_ITS_FIELD" envDefault:"1"`
	Debug   bool              `env:"DEBUG" envDefault:"false"`
	Ratio   float64           `env:"RATIO" envDefault:"0.5"`
	Names   []string          `env:"NAMES" envDefault:""`
	Weights map[string]int    `env:"WEIGHTS" envDefault:""`
	_       map[string]string // neither
}

func TestRead_Defaults(t *testing.T) {
	t.Parallel()
	var c config
	if err := env.Read(env.Map(map[string]string{"DATABASE_URL": " postgres://x ", "QUEUE_KEY": "k", "PORT": "  ", "NAMES": "a,b"}), &c); err != nil {
		t.Fatal(err)
	}
	if c.Database.URL != "postgres://x" || c.Database.Timeout != 5*time.Second || c.Database.Pool != 2 ||
		c.Queue.Timeout != 10*time.Second || c.Queue.Deep.Key != "k" || c.Port != 8080 || c.Max != 1 || c.Ratio != 0.5 {
		t.Errorf("config = %+v", c)
	}
	if diff := cmp.Diff([]string{"a", "b"}, c.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestRead_NamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	var c config
	err := env.Read(env.Map(map[string]string{"QUEUE_KEY": "  "}), &c)
	if !fault.Is(err, fault.NotConfigured) || err.Error() != "missing setting DATABASE_URL, QUEUE_KEY" {
		t.Errorf("err = %v", err)
	}
}

func TestRead_NamesWhatIsMissingAndWhatIsWrongTogether(t *testing.T) {
	t.Parallel()
	var c config
	err := env.Read(env.Map(map[string]string{"DATABASE_URL": "x", "PORT": "hunter2"}), &c)
	if want := "missing setting QUEUE_KEY; setting PORT is not a valid int"; !fault.Is(err, fault.NotConfigured) || err.Error() != want {
		t.Errorf("err = %v, want %s", err, want)
	}
}

func TestRead_NamesTheSettingAndNotTheValue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		set  map[string]string
		want string
	}{
		{
			"one of two fields of the same name",
			map[string]string{"QUEUE_TIMEOUT": "hunter2"},
			"setting QUEUE_TIMEOUT is not a valid time.Duration",
		},
		{
			"the other of them",
			map[string]string{"DATABASE_TIMEOUT": "hunter2"},
			"setting DATABASE_TIMEOUT is not a valid time.Duration",
		},
		{
			"a field whose name is not the setting's",
			map[string]string{"NAMED_UNLIKE_ITS_FIELD": "hunter2"},
			"setting NAMED_UNLIKE_ITS_FIELD is not a valid int64",
		},
		{
			"several at once, in the order of the fields",
			map[string]string{
				"PORT": "hunter2", "DEBUG": "hunter2", "RATIO": "hunter2", "DATABASE_POOL": "99999999999", "WEIGHTS": "a:hunter2",
			},
			"setting DATABASE_POOL is not a valid int32; setting PORT is not a valid int; setting DEBUG is not a valid bool; " +
				"setting RATIO is not a valid float64; setting WEIGHTS is not a valid map[string]int",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.set["DATABASE_URL"], tt.set["QUEUE_KEY"] = "hunter2", "hunter2"
			var c config
			err := env.Read(env.Map(tt.set), &c)
			if !fault.Is(err, fault.NotConfigured) || err.Error() != tt.want {
				t.Errorf("err = %v\nwant  %s", err, tt.want)
			}
			if strings.Contains(fmt.Sprintf("%+v", err), "hunter2") {
				t.Errorf("the error repeats a value: %v", err)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	got := env.Describe(&config{})
	want := []env.Setting{
		{Name: "DATABASE_URL", Doc: "where it is", Required: true},
		{Name: "DATABASE_TIMEOUT", Default: "5s", Doc: "how long"},
		{Name: "DATABASE_POOL", Default: "2"},
		{Name: "QUEUE_TIMEOUT", Default: "10s", Doc: "the same field name as another"},
		{Name: "QUEUE_KEY", Doc: "secret", Required: true},
		{Name: "PORT", Default: "8080"},
		{Name: "NAMED_UNLIKE_ITS_FIELD", Default: "1"},
		{Name: "DEBUG", Default: "false"},
		{Name: "RATIO", Default: "0.5"},
		{Name: "NAMES"},
		{Name: "WEIGHTS"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestOS(t *testing.T) {
	t.Setenv("MESHER_TEST_SETTING", "x")
	if v, ok := env.OS("MESHER_TEST_SETTING"); v != "x" || !ok {
		t.Errorf("OS = %q, %v", v, ok)
	}
	if _, ok := env.OS("MESHER_TEST_SETTING_UNSET"); ok {
		t.Error("an unset setting is found")
	}
}

func ExampleRead() {
	var c struct {
		Address string `env:"ADDRESS"`
		Workers int    `env:"WORKERS" envDefault:"4"`
	}
	fmt.Println(env.Read(env.Map(nil), &c))
	fmt.Println(env.Read(env.Map(map[string]string{"ADDRESS": ":80", "WORKERS": "many"}), &c))
	fmt.Println(env.Read(env.Map(map[string]string{"ADDRESS": ":80"}), &c), c)
	// Output:
	// missing setting ADDRESS
	// setting WORKERS is not a valid int
	// <nil> {:80 4}
}
