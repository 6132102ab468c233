package grouping

import "bytes"

// origin is where frames come from that are not of the application.
type origin struct {
	name     string
	modules  []string // prefixes of modules, or of functions where linkers name them
	folders  []string // folders somewhere in the path of the file
	prefixes []string // of the path of the file, or of the image
}

// origins are the rules for the frames that a client says nothing about, by style.
var origins = [...][]origin{
	golang: {
		{name: "go module cache", folders: []string{"pkg/mod", "vendor"}},
		{name: "go standard library", folders: []string{"go/src/runtime", "src/net/http", "src/runtime", "libexec/src"}},
	},
	python: {
		{name: "python site-packages", folders: []string{"site-packages", "dist-packages", "opt/python"}},
		{name: "python standard library", folders: []string{"lib/python2.7", "lib/python3"}, prefixes: []string{"<frozen"}, modules: []string{
			"abc", "asyncio", "concurrent", "contextlib", "email", "encodings", "functools", "http", "importlib", "json", "logging",
			"multiprocessing", "runpy", "selectors", "shutil", "socket", "socketserver", "sqlite3", "ssl", "subprocess",
			"tempfile", "threading", "unittest", "urllib", "wsgiref", "xml",
		}},
		{name: "python package", modules: []string{
			"aiohttp", "asgiref", "boto3", "botocore", "bottle", "celery", "click", "django", "falcon", "fastapi", "flask", "greenlet",
			"gunicorn", "hypercorn", "jinja2", "kombu", "pandas", "psycopg", "psycopg2", "pydantic", "pymongo", "redis", "requests",
			"rq", "sanic", "sqlalchemy", "starlette", "tornado", "twisted", "urllib3", "uvicorn", "uwsgi", "werkzeug",
		}},
	},
	browser: scriptOrigins,
	node:    scriptOrigins,
	jvm: {
		{name: "java standard library", modules: []string{"java", "javax", "jdk", "sun", "com.sun"}},
		{name: "kotlin and scala libraries", modules: []string{"kotlin", "kotlinx", "scala", "akka", "groovy", "clojure", "org.codehaus.groovy"}},
		{name: "android", modules: []string{"android", "androidx", "com.android", "dalvik", "libcore", "com.google.android"}},
		{name: "java framework", modules: []string{
			"brave", "ch.qos", "com.fasterxml", "com.google.common", "com.google.inject", "com.mysql", "com.netflix", "com.zaxxer",
			"feign", "graphql", "io.grpc", "io.ktor", "io.micrometer", "io.micronaut", "io.netty", "io.opentelemetry", "io.quarkus",
			"io.reactivex", "io.undertow", "io.vertx", "jakarta", "net.bytebuddy", "okhttp3", "okio", "org.aopalliance", "org.apache",
			"org.aspectj", "org.eclipse", "org.flywaydb", "org.glassfish", "org.h2", "org.hibernate", "org.jboss", "org.jooq",
			"org.junit", "org.mockito", "org.postgresql", "org.slf4j", "org.springframework", "org.testng", "org.thymeleaf",
			"play", "reactor", "redis.clients", "retrofit2", "rx",
		}},
	},
	dotnet: {
		{name: ".NET", modules: []string{"System", "Microsoft", "Mono", "MS", "Windows", "Interop", "Internal"}},
		{name: ".NET package", modules: []string{
			"Autofac", "AutoMapper", "Azure", "Castle", "Dapper", "FluentValidation", "Grpc", "Hangfire", "MassTransit", "MediatR",
			"MongoDB", "Newtonsoft", "NHibernate", "Npgsql", "NUnit", "Polly", "Quartz", "Serilog", "StackExchange", "UnityEditor",
			"UnityEngine", "Xamarin", "Xunit",
		}},
	},
	ruby: {
		{name: "ruby gems", folders: []string{"gems", "rubygems", "vendor/bundle"}},
		{name: "ruby standard library", folders: []string{"lib/ruby", "rubies"}, prefixes: []string{"<internal:"}},
	},
	php: {{name: "php vendor", folders: []string{"vendor"}, prefixes: []string{"[internal]", "phar:"}}},
	rust: {
		{name: "rust standard library", folders: []string{"rustc", "rustlib"}, modules: []string{
			"std", "core", "alloc", "<std", "<core", "<alloc", "rust_begin_unwind", "rust_panic", "__rust_begin_short_backtrace",
			"__rust_end_short_backtrace", "__libc_start_main", "_start", "start_thread", "clone",
		}},
		{name: "cargo registry", folders: []string{"cargo/registry", ".cargo/registry", "cargo/git", ".cargo/git"}, modules: []string{"tokio", "rayon", "hyper", "futures", "futures_util", "tracing", "anyhow"}},
	},
	native: {
		{name: "system library", prefixes: systemImages[:], modules: []string{
			"__libc_start_main", "__libc_start_call_main", "_start", "start_thread", "clone", "clone3", "abort", "raise", "gsignal",
			"__pthread_kill", "pthread_kill", "__assert_fail", "BaseThreadInitThunk", "RtlUserThreadStart", "invoke_main", "__scrt_common_main_seh",
			"std", "__gnu_cxx", "__cxxabiv1", "__cxa_throw", "__cxa_rethrow", "operator new",
		}},
	},
	apple: {
		{name: "system framework", prefixes: systemImages[:], folders: []string{"Developer", "PrivateFrameworks"}, modules: []string{
			"UIApplicationMain", "NSApplicationMain", "start", "objc_exception_throw", "objc_msgSend", "swift_unexpectedError",
			"__pthread_kill", "abort", "_start", "start_wqthread", "_pthread_wqthread", "thread_start", "Swift", "_assertionFailure",
		}},
	},
	beam: {
		{name: "elixir and erlang", modules: []string{
			"Access", "Agent", "Application", "Code", "Enum", "Enumerable", "GenServer", "Kernel", "Keyword", "List", "Map", "Process",
			"Regex", "Registry", "Stream", "String", "Supervisor", "Task", "erlang", "gen", "gen_server", "gen_statem", "lists", "maps",
			"proc_lib", "supervisor", "timer", "erl_eval",
		}},
		{name: "elixir package", folders: []string{"deps"}, modules: []string{
			"Absinthe", "Bandit", "Broadway", "cowboy", "cowboy_handler", "cowboy_stream_h", "DBConnection", "Ecto", "Finch", "Hackney",
			"hackney", "Jason", "Mint", "Oban", "Phoenix", "Plug", "Postgrex", "Req", "Tesla", "ThousandIsland",
		}},
	},
}

// engine is the origin of JavaScript that nobody wrote.
const engine = "code of the bundler or the engine"

// scriptOrigins are the rules for JavaScript.
var scriptOrigins = []origin{
	{name: "browser extension", prefixes: []string{"chrome-extension:", "moz-extension:", "safari-extension:", "safari-web-extension:", "ms-browser-extension:", "webkit-masked-url:"}},
	{name: "node_modules", folders: []string{"node_modules", "bower_components"}},
	{name: "node standard library", prefixes: []string{"node:", "internal/", "net.js", "events.js", "_http_", "_stream_", "timers.js", "module.js"}},
	{name: engine, prefixes: []string{"webpack/runtime", "webpack/bootstrap", "(webpack)", "<anonymous>", "[native code]", "native"}},
}

// systemImages are where operating systems keep their libraries.
var systemImages = [...]string{"/lib/", "/lib64/", "/usr/lib", "/System/", "/Library/Apple", `C:\\Windows`, `C:\\WINDOWS`, "linux-vdso", "linux-gate", "ntdll", "KERNEL32", "../csu/", "../sysdeps/"}

// library returns the name of the rule by which a frame is not of the application, or nothing.
func (f *frame) library() string {
	module, path := inner(f.module), inner(f.abs)
	if path == nil {
		path = inner(f.file)
	}
	switch f.style {
	case golang:
		if standardPackage(module) {
			return "go standard library"
		}
		if bytes.Contains(path, []byte("@v")) {
			return "go module cache"
		}
	case beam:
		module = bytes.TrimPrefix(module, []byte("Elixir."))
	case rust, native, apple:
		if module == nil {
			module = inner(f.function)
		}
	}
	for i := range origins[f.style] {
		o := &origins[f.style][i]
		if len(module) > 0 && o.names(module) || o.keeps(path) || o.keeps(inner(f.file)) || o.keeps(inner(f.image)) {
			return o.name
		}
	}
	return ""
}

// names reports whether a module, or a function of a linker, is of this origin.
func (o *origin) names(module []byte) bool {
	for _, prefix := range o.modules {
		if prefix[0] == module[0] && begins(module, prefix) {
			return true
		}
	}
	return false
}

// keeps reports whether a path is of this origin.
func (o *origin) keeps(path []byte) bool {
	for _, prefix := range o.prefixes {
		if len(path) >= len(prefix) && string(path[:len(prefix)]) == prefix {
			return true
		}
	}
	for _, folder := range o.folders {
		if inFolder(path, folder) {
			return true
		}
	}
	return false
}

// begins reports whether a dotted or coloned name is prefix or begins with it.
func begins(name []byte, prefix string) bool {
	n := len(prefix)
	return len(name) >= n && string(name[:n]) == prefix && (len(name) == n || !isWord(name[n]))
}

// inFolder reports whether a path leads through a folder, whose name may go on with a version.
func inFolder(path []byte, folder string) bool {
	for from := 0; from < len(path); {
		i := bytes.Index(path[from:], []byte(folder))
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(folder)
		opened := start == 0 || path[start-1] == '/' || path[start-1] == '\\'
		if opened && end < len(path) && (path[end] == '/' || path[end] == '\\' || path[end] == '.') {
			return true
		}
		from = end
	}
	return false
}

// standardPackage reports whether a Go package is of the standard library: its first element has no dot and is
// not the program's own.
func standardPackage(module []byte) bool {
	first, rest, nested := bytes.Cut(module, []byte("/"))
	if len(first) == 0 || bytes.IndexByte(first, '.') >= 0 {
		return false
	}
	switch string(first) {
	case "main", "cmd", "command-line-arguments", "app", "src":
		return false
	case "archive", "bufio", "bytes", "compress", "container", "context", "crypto", "database", "embed", "encoding", "errors", "fmt",
		"go", "hash", "html", "image", "internal", "io", "iter", "log", "maps", "math", "mime", "net", "os", "path", "plugin",
		"reflect", "regexp", "runtime", "slices", "sort", "strconv", "strings", "sync", "syscall", "testing", "text", "time",
		"unicode", "unsafe", "vendor":
		return !nested || len(rest) > 0
	}
	return false
}
