package stack

import "strings"

// originOf says whose code f is, by rules that are sure of themselves. It wants the platform because the same
// path means something else elsewhere.
func originOf(platform string, f *Frame) Origin {
	path := f.file()
	if strings.IndexByte(path, '\\') >= 0 {
		path = strings.ReplaceAll(path, `\`, "/")
	}
	switch platform {
	case "javascript", "node":
		return originOfScript(path)
	case "python":
		return byPath(path, pythonPaths)
	case "go":
		return originOfGo(path, f.Module)
	case "java":
		return byName(f.Module, javaPackages, Unknown)
	case "csharp":
		return byName(f.Module, dotnetNames, appIf(path != ""))
	case "ruby":
		return byPath(path, rubyPaths)
	case "php":
		if path == "" && f.Function != "{main}" {
			return Library
		}
		return byPath(path, phpPaths)
	case "rust":
		if byName(f.Function, rustNames, Unknown) == Library {
			return Library
		}
		return byPath(path, rustPaths)
	}
	return Unknown
}

// Parts of paths that only libraries have, and prefixes of names.
var (
	scriptPaths   = []string{"/node_modules/", "webpack/bootstrap", "webpack/runtime", "-extension://", "moz-extension:"}
	pythonPaths   = []string{"/site-packages/", "/dist-packages/", "/lib/python", "/Lib/asyncio/", "/Lib/threading.py", "/Lib/concurrent/", "/lib64/python"}
	rubyPaths     = []string{"/gems/", "/lib/ruby/", "/rubygems/", "/vendor/bundle/"}
	phpPaths      = []string{"/vendor/", "phar://"}
	rustPaths     = []string{"/rustc/", "/.cargo/registry/", "/.cargo/git/", "/rustlib/", "/library/std/src/", "/library/core/src/"}
	rustNames     = []string{"std::", "core::", "alloc::", "<std::", "<core::", "<alloc::", "rust_begin_unwind", "__rust_", "_start", "__libc_start", "_Unwind_", "tokio::", "futures_util::"}
	dotnetNames   = []string{"System.", "Microsoft.", "Npgsql.", "Newtonsoft.Json.", "StackExchange.Redis.", "Serilog."}
	elixirRuntime = []string{"elixir", "stdlib", "kernel", "logger", "ex_unit", "mix", "phoenix", "plug", "plug_cowboy", "cowboy", "bandit", "thousand_island", "ecto", "ecto_sql", "db_connection", "postgrex", "absinthe", "oban"}
	javaPackages  = []string{
		"java.", "javax.", "jakarta.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.", "scala.", "groovy.", "clojure.",
		"android.", "androidx.", "dalvik.", "com.android.internal.", "org.springframework.", "org.apache.", "org.hibernate.", "org.eclipse.",
		"org.jboss.", "org.junit.", "org.postgresql.", "com.mysql.", "com.zaxxer.hikari.", "com.fasterxml.", "com.google.common.", "com.google.gson.",
		"io.netty.", "io.vertx.", "io.undertow.", "io.quarkus.", "io.micrometer.", "io.micronaut.", "io.opentelemetry.", "io.grpc.", "io.ktor.", "io.reactivex.",
		"reactor.", "rx.", "okhttp3.", "retrofit2.", "akka.", "ch.qos.logback.",
	}
	goStandard = []string{
		"archive", "bufio", "builtin", "bytes", "cmp", "compress", "container", "context", "crypto", "database", "debug", "embed", "encoding",
		"errors", "expvar", "flag", "fmt", "go", "hash", "html", "image", "index", "internal", "io", "iter", "log", "maps", "math", "mime", "net", "os",
		"path", "plugin", "reflect", "regexp", "runtime", "slices", "sort", "strconv", "strings", "structs", "sync", "syscall", "testing", "text",
		"time", "unicode", "unique", "unsafe", "weak",
	}
)

// byPath says Library for a path that holds one of parts, which begin where a folder does, and App for any
// other path of a file.
func byPath(path string, parts []string) Origin {
	if path == "" || path[0] == '<' && !strings.HasPrefix(path, "<frozen") && !strings.HasPrefix(path, "<internal:") || path[0] == '(' {
		return Unknown
	}
	if path[0] == '<' {
		return Library
	}
	for _, part := range parts {
		if strings.Contains(path, part) || part[0] == '/' && strings.HasPrefix(path, part[1:]) {
			return Library
		}
	}
	return App
}

// byName says Library for a name that begins with one of prefixes, otherwise what else is given.
func byName(name string, prefixes []string, otherwise Origin) Origin {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return Library
		}
	}
	return otherwise
}

// appIf returns App if the condition holds, else Unknown.
func appIf(condition bool) Origin {
	if condition {
		return App
	}
	return Unknown
}

// originOfScript knows Node's own modules and packages. What a page loads from a URL may be anybody's.
func originOfScript(path string) Origin {
	switch {
	case path == "" || path == "<anonymous>" || path == "native" || path == "[native code]",
		strings.HasPrefix(path, "node:"), strings.HasPrefix(path, "internal/"), strings.HasPrefix(path, "index "):
		return Library
	case byPath(path, scriptPaths) == Library:
		return Library
	case strings.HasPrefix(path, "http:"), strings.HasPrefix(path, "https:"), strings.HasPrefix(path, "wasm:"):
		return Unknown
	}
	return App
}

// originOfGo knows the module cache by the version in its paths, vendored packages, and the standard library.
func originOfGo(path, module string) Origin {
	root, _, _ := strings.Cut(module, "/")
	standard := false
	for _, name := range goStandard {
		standard = standard || root == name
	}
	switch {
	case strings.Contains(path, "@v") || strings.Contains(path, "/vendor/"):
		return Library
	case strings.HasPrefix(module, "golang.org/x/"), strings.HasPrefix(module, "vendor/"):
		return Library
	case standard && (!isAbsolute(path) || strings.Contains(path, "/src/"+root+"/")):
		return Library
	case module == "" && strings.HasPrefix(path, "runtime/"), strings.Contains(path, "/src/runtime/"):
		return Library
	case path == "" || module == "":
		return Unknown
	}
	return App
}

// originOfApplication knows the usual applications of Elixir by name.
func originOfApplication(name string) Origin {
	for _, known := range elixirRuntime {
		if name == known {
			return Library
		}
	}
	return Unknown
}
