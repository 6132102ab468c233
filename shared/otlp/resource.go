package otlp

import (
	"crypto/sha256"
	"strings"
)

// resource is what a resource says about all its records.
type resource struct {
	environment, release, server, platform string
	sdk                                    []byte // JSON, or nil
	tags                                   []tag
	json                                   []byte // for extra, or nil
	dropped                                uint64 // attributes that json lacks
	digest                                 []byte // of the resource as it came
}

// scope is what a scope says about all its records.
type scope struct {
	name   string
	json   []byte // for extra, or nil
	prefix []byte // of the identities of its records
}

// readResource reads the resource of a group. What is broken in it is left out: no record is lost for that.
func (q *Request) readResource(group []byte) *resource {
	r := &q.reader
	r.reset()
	var raw []byte
	for f := range r.fields(group, groupShapes[q.signal]) {
		if f.number == groupResource {
			raw = f.bytes
		}
	}
	var list []attribute
	dropped := uint64(0)
	for f := range r.fields(raw, resourceShape) {
		if a := r.attribute(f.bytes); len(list) < MaxAttributes {
			list = append(list, a)
		} else {
			dropped++
		}
	}
	s := newResource(list)
	s.dropped += dropped
	s.digest = sum(raw)
	return s
}

// newResource works out what the events of a resource repeat of it.
func newResource(list []attribute) *resource {
	s := &resource{}
	texts := make(map[string]string)
	for i := range list {
		a := &list[i]
		if isResourceName(a.key) {
			texts[string(a.key)] = clip(textOf(&a.value))
		}
		if len(s.tags) < MaxTags && a.value.isTag() && isResourceTag(a.key) {
			s.tags = append(s.tags, newTag(a))
		}
	}
	s.environment = first(texts["deployment.environment.name"], texts["deployment.environment"])
	s.server = first(texts["host.name"], texts["service.instance.id"])
	s.release = texts["service.version"]
	if name := texts["service.name"]; s.release != "" && name != "" && !strings.HasPrefix(name, "unknown_service") {
		s.release = name + "@" + s.release
	}
	s.platform = platformOf(texts["telemetry.sdk.language"])
	s.sdk = appendSDK(texts)
	if len(list) > 0 {
		s.json, s.dropped = appendAttributes(nil, list, MaxInherited, nil)
	}
	return s
}

// isResourceName reports whether a resource attribute becomes part of an event's own fields.
func isResourceName(key []byte) bool {
	switch string(key) {
	case "service.name", "service.version", "service.instance.id", "host.name", "deployment.environment", "deployment.environment.name",
		"telemetry.sdk.name", "telemetry.sdk.version", "telemetry.sdk.language", "telemetry.distro.name", "telemetry.distro.version":
		return true
	}
	return false
}

// resourceTags are the beginnings of what is worth searching for. What else a resource holds, such as the number
// and command line of the process, differs with each start or never.
var resourceTags = [...]string{"service.", "deployment.", "cloud.", "k8s.", "faas.", "host.name", "os.type", "container.name", "device.", "browser."}

func isResourceTag(key []byte) bool {
	for _, prefix := range resourceTags {
		if strings.HasPrefix(string(key), prefix) {
			return true
		}
	}
	return false
}

// platformOf returns the platform of a language as telemetry.sdk.language names it.
func platformOf(language string) string {
	switch language {
	case "nodejs":
		return "node"
	case "webjs":
		return "javascript"
	case "dotnet":
		return "csharp"
	case "cpp":
		return "native"
	case "erlang":
		return "elixir"
	case "swift":
		return "cocoa"
	}
	return language
}

// appendSDK returns the sdk of an event, or nil.
func appendSDK(texts map[string]string) []byte {
	w := objectWriter{dst: []byte("{")}
	w.text("name", texts["telemetry.sdk.name"])
	w.text("version", texts["telemetry.sdk.version"])
	w.text("language", texts["telemetry.sdk.language"])
	w.text("distro", texts["telemetry.distro.name"])
	w.text("distro_version", texts["telemetry.distro.version"])
	if len(w.dst) == 1 {
		return nil
	}
	return append(w.dst, '}')
}

// readScope reads the scope of an item, whose resource is read.
func (q *Request) readScope(it item) *scope {
	r := &q.reader
	r.reset()
	s := &scope{}
	var raw []byte
	for f := range r.fields(it.scope, scopeShapes[q.signal]) {
		if f.number == scopeScope {
			raw = f.bytes
		}
	}
	s.prefix = sum(append(q.record.resource.digest[:sha256.Size:sha256.Size], sum(raw)...))
	if len(raw) == 0 {
		return s
	}
	var version []byte
	var list []attribute
	for f := range r.fields(raw, scopeShape) {
		switch f.number {
		case 1:
			s.name = string(clip(f.bytes))
		case 2:
			version = f.bytes
		case 3:
			if a := r.attribute(f.bytes); len(list) < MaxAttributes {
				list = append(list, a)
			}
		}
	}
	w := objectWriter{dst: []byte("{")}
	w.text("name", s.name)
	w.text("version", clip(version))
	if len(list) > 0 {
		w.dst, _ = appendAttributes(appendKey(w.dst, "attributes"), list, MaxInherited, nil)
	}
	s.json = append(w.dst, '}')
	return s
}

// clip cuts what each event repeats to more bytes than an event keeps of it.
func clip[T string | []byte](text T) T {
	return text[:min(len(text), 2048)]
}

// first returns the first text that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
