package grouping

import "bytes"

// style is a family of platforms that name functions and files alike.
type style uint8

// The styles. The zero value is a platform nobody named.
const (
	unknown style = iota
	golang
	python
	browser
	node
	jvm
	dotnet
	ruby
	php
	rust
	native
	apple
	beam
)

// scripts reports whether s is JavaScript.
func (s style) scripts() bool { return s == browser || s == node }

// compiled reports whether s names functions as linkers do.
func (s style) compiled() bool { return s == native || s == apple }

// styleOf returns the style of a platform.
func styleOf(platform string) style {
	switch platform {
	case "go", "golang":
		return golang
	case "python":
		return python
	case "javascript", "browser", "react-native", "electron":
		return browser
	case "node", "nodejs", "deno", "bun":
		return node
	case "java", "kotlin", "scala", "android", "groovy", "clojure":
		return jvm
	case "csharp", "dotnet", "fsharp", "vb", "unity":
		return dotnet
	case "ruby":
		return ruby
	case "php":
		return php
	case "rust":
		return rust
	case "native", "c", "cpp", "c++":
		return native
	case "cocoa", "swift", "objc", "apple", "ios", "macos":
		return apple
	case "elixir", "erlang":
		return beam
	}
	return unknown
}

// styleOfFile returns the style that a file's ending speaks for, where the client named no platform.
func styleOfFile(file []byte) style {
	file = before(file, "?")
	dot := bytes.LastIndexByte(file, '.')
	if dot < 0 {
		return unknown
	}
	switch string(file[dot+1:]) {
	case "go":
		return golang
	case "py":
		return python
	case "js", "mjs", "cjs", "ts", "tsx", "jsx", "vue", "svelte":
		return browser
	case "java", "kt", "scala", "groovy":
		return jvm
	case "cs", "fs", "vb":
		return dotnet
	case "rb", "erb":
		return ruby
	case "php":
		return php
	case "rs":
		return rust
	case "c", "cc", "cpp", "cxx", "h", "hpp":
		return native
	case "swift", "m", "mm":
		return apple
	case "ex", "exs", "erl":
		return beam
	}
	return unknown
}
