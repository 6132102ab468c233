package otlp_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/otlp"
)

// fuzz feeds what arrives to both signals: an event must take every record there is.
func fuzz(f *testing.F, contentType string) {
	f.Helper()
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, signal := range []otlp.Signal{otlp.LogSignal, otlp.TraceSignal} {
			_, err := open(body, contentType, signal)
			var known *fault.Error
			if errors.As(err, &known) && known.Kind == fault.Invalid {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			natives(t, body, contentType, signal)
		}
	})
}

// seeds returns exports in JSON, with the names of their messages.
func seeds(f *testing.F) (list []object, names []string) {
	f.Helper()
	for _, input := range []string{"js_logs", "spans"} {
		raw, err := os.ReadFile("testdata/" + input + ".json")
		if err != nil {
			f.Fatal(err)
		}
		_, name := signalOf(input)
		list, names = append(list, tree(f, raw)), append(names, name)
	}
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range 5 {
		list = append(list, g.export("resourceLogs", "scopeLogs", "logRecords", g.logRecord), g.export("resourceSpans", "scopeSpans", "spans", g.span))
		names = append(names, "Logs", "Traces")
	}
	return list, names
}

func FuzzJSON(f *testing.F) {
	list, _ := seeds(f)
	for _, o := range list {
		raw, err := json.Marshal(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	fuzz(f, otlp.JSONType)
}

func FuzzProtobuf(f *testing.F) {
	list, names := seeds(f)
	for i, o := range list {
		f.Add(protobuf(f, names[i], tree(f, mustJSON(f, o))))
	}
	fuzz(f, otlp.ProtobufType)
}

func mustJSON(f *testing.F, o object) []byte {
	f.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		f.Fatal(err)
	}
	return raw
}
