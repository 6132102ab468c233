package grouping

import (
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// collect gathers the parts of e and says what they are.
func (p *parts) collect(rules *Rules, e *event.Event) Reason {
	p.style = styleOf(e.Platform)
	p.chain.read(e.Exception, p.style)
	if p.custom(e) {
		return Custom
	}
	if p.rule = rules.first(p, e); p.rule != nil {
		for _, text := range p.rule.Fingerprint {
			p.given(text, fromRule, e)
		}
		return ByRule
	}
	return p.standard(e)
}

// custom gathers the parts of the client's fingerprint. It reports false, and gathers nothing, if there is none. A
// client that asks for nothing but the default gets what the others get.
func (p *parts) custom(e *event.Event) bool {
	own := false
	for _, raw := range rawjson.Array(e.ClientFingerprint) {
		own = own || !isDefault(inner(raw))
	}
	if !own {
		return false
	}
	for _, raw := range rawjson.Array(e.ClientFingerprint) {
		p.given(rawjson.Unquote(raw), fromFingerprint, e)
	}
	return true
}

// given adds a part that somebody wrote: the default parts where it asks for them, else its text.
func (p *parts) given(text string, from source, e *event.Event) {
	if isDefault(text) {
		p.standard(e)
		return
	}
	p.text = p.appendTemplate(p.text, text, e, false)
	p.end(from)
}

// standard gathers the parts that do not depend on what somebody wrote.
func (p *parts) standard(e *event.Event) Reason {
	p.notes.reset()
	if p.logged() {
		p.say(e.ExceptionValue)
		p.notes.because("the client made an exception up to give a message its stack, so the message decides")
		return Message
	}
	if p.stack() {
		if last := &p.chain.entries[len(p.chain.entries)-1]; p.style == golang && saysNothing(last.kind) {
			p.say(e.ExceptionValue)
		}
		return Frames
	}
	if len(e.Exception) == 0 || e.ExceptionType == "" && e.Message != "" {
		p.say(e.Message)
		return Message
	}
	p.values(e)
	return Exception
}

// logged reports whether the exception is a message that the client gave a stack to.
func (p *parts) logged() bool {
	n := len(p.chain.entries)
	if n == 0 || p.style.compiled() {
		return false
	}
	last := &p.chain.entries[n-1]
	return last.synthetic && !last.unhandled && last.value != nil
}

// saysNothing reports whether a type of Go tells no error from another.
func saysNothing(kind []byte) bool {
	switch string(inner(kind)) {
	case "*errors.errorString", "*fmt.wrapError", "*fmt.wrapErrors", "*errors.joinError", "*errors.fundamental", "*errors.withStack",
		"*errors.withMessage", "error", "*xerrors.wrapError", "*errors.Error", "errors.errorString":
		return true
	}
	return false
}

// values adds the types and values of the chain, and what is known of the place: the file of the innermost in-app
// frame, or the function of the innermost one that has a name.
func (p *parts) values(e *event.Event) {
	for i := range p.chain.entries {
		en := &p.chain.entries[i]
		if p.carries(i) {
			continue
		}
		p.text = p.appendType(p.text, en.kind)
		p.end(fromType)
		if i == len(p.chain.entries)-1 {
			p.say(e.ExceptionValue)
		} else {
			p.say(rawjson.Unquote(en.value))
		}
	}
	p.place()
}

// place adds the file of the innermost in-app frame, else the function of the innermost frame with a name. What the
// bundler or the engine adds differs between browsers.
func (p *parts) place() {
	for i := len(p.chain.frames) - 1; i >= 0; i-- {
		if f := &p.chain.frames[i]; f.inApp && f.file != nil {
			p.text = p.appendFile(p.text, f)
			p.end(fromFile)
			return
		}
	}
	for i := len(p.chain.frames) - 1; i >= 0; i-- {
		f := &p.chain.frames[i]
		if n := p.nameOf(f); n.sort == named && len(n.function) > 0 && f.library() != engine {
			p.text = appendPlain(p.text, n.function)
			p.end(fromFunction)
			return
		}
	}
}

// say adds a normalised text. The name of a variable that a minifier chose varies as well.
func (p *parts) say(text string) {
	if n := minifiedVariable(text); n > 0 && p.style.scripts() {
		p.text, text = append(p.text, "<var>"...), text[n:]
	}
	p.text = appendNoting(p.text, text, p.notes.replacer())
	p.end(fromText)
}

// minifiedVariable returns the length of a name of one or two letters at the start of a text, where a property or
// "is" follows it: "e.track is not a function".
func minifiedVariable(text string) int {
	n := 0
	for n < len(text) && n < 3 && (isWord(text[n]) || text[n] == '$') {
		n++
	}
	if n == 0 || n > 2 || n+3 >= len(text) || text[n] != '.' && text[n:n+4] != " is " {
		return 0
	}
	return n
}
