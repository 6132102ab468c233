package grouping

import "bytes"

// jvm takes out what compilers and frameworks generate: proxies, lambdas, coroutines, accessors.
func (n *name) jvm() {
	for _, mark := range [...]string{
		"$$EnhancerBy", "$$FastClassBy", "$$SpringCGLIB$$", "CGLIB$$", "$HibernateProxy$", "$ByteBuddy$", "$$Lambda", "$$ExternalSynthetic",
		"GeneratedMethodAccessor", "GeneratedConstructorAccessor", "$MockitoMock$", "_$$_javassist", "_$$_jvst", "$$InlineCopy",
	} {
		if bytes.Contains(n.module, []byte(mark)) {
			n.sort = generated
			return
		}
	}
	if bytes.HasPrefix(n.function, []byte("access$")) || bytes.HasSuffix(n.function, []byte("$default")) || proxyClass(n.module) {
		n.sort = generated
		return
	}
	n.module, n.function = enclosing(n.module), lambda(n.function)
	switch string(n.function) { // what a closure's class calls its only method
	case "invokeSuspend", "invoke", "apply", "accept", "call", "run", "get", "emit":
		if i := bytes.LastIndexByte(n.module, '$'); i > 0 && i+1 < len(n.module) && isLower(n.module[i+1]) {
			n.module, n.function = n.module[:i], n.module[i+1:]
		}
	}
	if len(n.function) <= 2 && len(afterLast(n.module, ".")) <= 2 {
		n.sort = anonymous // R8 or ProGuard chose the names
	}
}

// proxyClass reports whether a class is one of java.lang.reflect.Proxy: com.sun.proxy.$Proxy12.
func proxyClass(module []byte) bool {
	class := afterLast(module, ".")
	return bytes.HasPrefix(class, []byte("$Proxy")) && len(withoutDigits(class)) == len("$Proxy")
}

// enclosing returns a class without the numbers of anonymous ones at its end: Main$1, Model$load$2$1.
func enclosing(module []byte) []byte {
	for {
		s := withoutDigits(module)
		if len(s) == len(module) || len(s) < 2 || s[len(s)-1] != '$' {
			return module
		}
		module = s[:len(s)-1]
	}
}

// lambda returns the method a lambda stands in: lambda$build$3, onViewCreated$lambda$2.
func lambda(function []byte) []byte {
	if rest, ok := bytes.CutPrefix(function, []byte("lambda$")); ok {
		function = rest
	}
	function = before(function, "$lambda$")
	if s := withoutDigits(function); len(s) > 1 && len(s) < len(function) && s[len(s)-1] == '$' {
		return s[:len(s)-1]
	}
	return function
}

// dotnet takes out type arguments, async state machines (<Post>d__3.MoveNext), closures (<>c, <Run>b__0) and the
// counters of local functions (<Read>g__Cell|3_0).
func (n *name) dotnet() {
	m, f := n.module, before(n.function, "(")
	if i := bytes.Index(m, []byte("<>c")); i > 1 {
		m = m[:i-1]
	}
	if i := bytes.IndexByte(m, '<'); i > 1 && (m[i-1] == '.' || m[i-1] == '+') {
		if string(f) == "MoveNext" {
			f = m[i:]
		}
		m = m[:i-1]
	}
	m = arity(without(m, '[', ']'))
	n.module, n.function = m, arity(without(method(f), '[', ']'))
}

// method returns the method that a name made by the C# compiler stands for, with the local function in it.
func method(f []byte) []byte {
	for len(f) > 1 && f[0] == '<' && f[1] == '<' {
		f = f[1:]
	}
	end := bytes.IndexByte(f, '>')
	if len(f) == 0 || f[0] != '<' || end < 2 {
		return f
	}
	if local, ok := bytes.CutPrefix(f[end+1:], []byte("g__")); ok {
		f[end] = '.'
		local = before(local, "|")
		return append(f[1:end+1], local...)
	}
	return f[1:end]
}

// arity takes the numbers of type parameters out, in place: Cache`1.
func arity(s []byte) []byte {
	i := bytes.IndexByte(s, '`')
	if i < 0 {
		return s
	}
	out := s[:i]
	for ; i < len(s); i++ {
		if s[i] != '`' {
			out = append(out, s[i])
			continue
		}
		for i+1 < len(s) && isDigit(s[i+1]) {
			i++
		}
	}
	return out
}

// rust takes out the hash of a symbol, closures and type arguments.
func (n *name) rust() {
	f := n.function
	if i := bytes.LastIndex(f, []byte("::h")); i > 0 && len(f)-i == len("::h0123456789abcdef") && hexRun(f[i+3:]) == 16 {
		f = f[:i]
	}
	if i := bytes.Index(f, []byte("::{")); i > 0 { // {{closure}}, {closure#0}, {async_fn#0}
		f = f[:i]
	}
	if len(f) > 0 && f[0] == '<' { // <Entry<V> as Display>::fmt
		f = f[:1+len(without(f[1:], '<', '>'))]
	} else if f = without(f, '<', '>'); bytes.Contains(f, []byte("::::")) { // parse::<u8>::go
		f = bytes.ReplaceAll(f, []byte("::::"), []byte("::"))
	}
	n.function = bytes.TrimSuffix(f, []byte("::"))
}

// native takes out parameters, template arguments, lambdas, anonymous namespaces and what an optimiser adds.
func (n *name) native() {
	f := n.function
	if bytes.Contains(f, []byte("thunk to ")) {
		n.sort = generated
		return
	}
	f = before(before(f, " [clone "), " (.")
	for _, mark := range [...]string{".cold", ".part.", ".isra.", ".constprop.", ".llvm."} {
		f = before(f, mark)
	}
	for _, unnamed := range [...]string{"(anonymous namespace)::", "`anonymous namespace'::", "{anonymous}::"} {
		if i := bytes.Index(f, []byte(unnamed)); i >= 0 {
			f = append(f[:i], f[i+len(unnamed):]...)
		}
	}
	for _, mark := range [...]string{"::{lambda", "::$_", "::<lambda", "::'lambda"} {
		f = before(f, mark)
	}
	if bytes.Contains(f, []byte("operator")) {
		n.function = before(f, "(")
		return
	}
	f = bytes.TrimRight(before(without(without(f, '<', '>'), '(', ')'), " const"), " ")
	if !bytes.HasPrefix(f, []byte("-[")) && !bytes.HasPrefix(f, []byte("+[")) {
		f = afterLast(f, " ") // the type it returns
	}
	n.function = f
}

// apple takes out closures, thunks and the stages of async functions.
func (n *name) apple() {
	f := n.function
	for _, mark := range [...]string{"partial apply for ", "thunk for ", "@objc ", "protocol witness for ", "outlined ", "reabstraction "} {
		if bytes.HasPrefix(f, []byte(mark)) {
			n.sort = generated
			return
		}
	}
	f = afterLast(f, " partial function for ")
	for _, prefix := range [...]string{"specialized ", "merged ", "static "} {
		f = bytes.TrimPrefix(f, []byte(prefix))
	}
	if bytes.HasPrefix(f, []byte("closure #")) || bytes.HasPrefix(f, []byte("implicit closure #")) {
		f = afterLast(f, " in ")
	}
	if len(f) > 1 && f[1] != '[' && bytes.Contains(f, []byte("::")) {
		n.native()
		return
	}
	n.function = f
}
