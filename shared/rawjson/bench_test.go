package rawjson_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/mesherhq/mesher/shared/event/eventtest"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// texts are a realistic event as it comes from clients: compact, with a space after commas and colons, and
// indented.
func texts(b *testing.B) map[string][]byte {
	b.Helper()
	raw := eventtest.Realistic(rand.New(rand.NewPCG(1, 2)), 7)
	var indented bytes.Buffer
	if err := json.Indent(&indented, raw, "", "  "); err != nil {
		b.Fatal(err)
	}
	spaced := bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte(`":`), []byte(`": `)), []byte(`,"`), []byte(`, "`))
	return map[string][]byte{"compact": raw, "spaced": spaced, "indented": indented.Bytes()}
}

func BenchmarkClean(b *testing.B) {
	for name, text := range texts(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst, _, _, _ = rawjson.Clean(dst[:0], text, 100, unlimited)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	text := texts(b)["compact"]
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if rawjson.Check(text, 100) != nil {
			b.Fatal("not clean")
		}
	}
}

// BenchmarkValid is the yardstick.
func BenchmarkValid(b *testing.B) {
	text := texts(b)["compact"]
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if !json.Valid(text) {
			b.Fatal("not valid")
		}
	}
}

func BenchmarkObject(b *testing.B) {
	text := texts(b)["compact"]
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	count := 0
	for b.Loop() {
		for range rawjson.Object(text) {
			count++
		}
	}
}
