// Package eventtest makes events that look like those of a real service, for tests and benchmarks.
package eventtest

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Issues is how many distinct issues Realistic and its kin make: event i belongs to issue i modulo Issues.
const Issues = 50

// Realistic returns the i-th event, in the native format: about 2.5 KB of compact JSON with a stack of 15
// frames, 10 breadcrumbs and some tags. It happened at the current time. Equal states of rng and equal i give
// equal events, apart from the time.
func Realistic(rng *rand.Rand, i int) []byte {
	return RealisticAt(rng, i, time.Now())
}

// RealisticAt is Realistic for an event that happened at the given time.
func RealisticAt(rng *rand.Rand, i int, at time.Time) []byte {
	issue := i % Issues
	service := services[issue%len(services)]
	kind := kinds[issue%len(kinds)]
	route := routes[(issue/2)%len(routes)]
	user := rng.IntN(1000)

	b := make([]byte, 0, 3072)
	b = fmt.Appendf(b, `{"event_id":"%016x%016x","timestamp":"%s","level":"%s","platform":"go","logger":"http",`,
		rng.Uint64(), rng.Uint64()|1, at.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), levels[issue%len(levels)])
	b = fmt.Appendf(b, `"environment":"%s","release":"%s@1.%d.%d","server_name":"%s-%x","transaction":"%s",`,
		pick(rng, environments), service, 4+rng.IntN(3), rng.IntN(10), service, rng.Uint32()%40, route)
	b = fmt.Appendf(b, `"trace_id":"%016x%016x",`, rng.Uint64()|1, rng.Uint64())
	b = fmt.Appendf(b, `"tags":{"region":"%s","customer":"c%d","http.status":"%d","runtime":"go1.26"},`,
		pick(rng, regions), rng.IntN(300), 500+rng.IntN(4))
	b = fmt.Appendf(b, `"user":{"id":"%d","email":"user%d@example.com","ip_address":"203.0.113.%d"},`, user, user, rng.IntN(256))
	b = fmt.Appendf(b, `"sdk":{"name":"mesher.go","version":"1.2.0"},"order_id":%d,`, 100000+rng.IntN(900000))
	b = fmt.Appendf(b, `"exception":[{"type":"%s","value":"%s %d: %s after %dms","mechanism":{"type":"generic","handled":true},"stacktrace":{"frames":[`,
		kind.name, kind.what, rng.IntN(100000), kind.why, 10+rng.IntN(5000))
	b = appendFrames(b, rng, issue, service)
	b = append(b, `]}}],"breadcrumbs":[`...)
	b = appendBreadcrumbs(b, rng, at)
	return append(b, `]}`...)
}

// appendFrames appends 15 frames, of which the functions belong to the issue and the lines to chance.
func appendFrames(b []byte, rng *rand.Rand, issue int, service string) []byte {
	for n := range 15 {
		if n > 0 {
			b = append(b, ',')
		}
		if n < 5 {
			f := outer[n]
			b = fmt.Appendf(b, `{"module":"%s","function":"%s","lineno":%d,"in_app":false}`, f.module, f.function, f.line)
			continue
		}
		noun := nouns[(issue*7+n)%len(nouns)]
		b = fmt.Appendf(b, `{"module":"acme.dev/%s/%s","function":"%s%d","lineno":%d,"in_app":true}`,
			service, noun, verbs[(issue*3+n)%len(verbs)], issue, 10+rng.IntN(400))
	}
	return b
}

// appendBreadcrumbs appends 10 breadcrumbs of the seconds before at.
func appendBreadcrumbs(b []byte, rng *rand.Rand, at time.Time) []byte {
	for n := range 10 {
		if n > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"timestamp":%d,"category":"%s","message":"%s %s %dms"}`,
			at.Unix()-int64(10-n), pick(rng, categories), pick(rng, methods), pick(rng, routes), rng.IntN(900))
	}
	return b
}

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }
