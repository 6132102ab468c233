package scrub_test

import (
	"testing"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/scrub"
)

func TestScrub_JSONInText(t *testing.T) {
	t.Parallel()
	s := scrubber(t, scrub.DefaultRules())
	for _, tt := range []struct{ in, want string }{
		{"{\"password\":\n \"S\"}", `{"password":"[Filtered]"}`},
		{` [ ["password", "S"] ] `, `[["password","[Filtered]"]]`},
		{`{"pin": 1234, "b": 1}`, `{"pin":"[Filtered]","b":1}`},
		{`{"auth":{"a":[1,{}]},"b":1}`, `{"auth":"[Filtered]","b":1}`},
		{`{"a":[{"Value":["S"],"Name":"Authorization"}]}`, `{"a":[{"Value":"[Filtered]","Name":"Authorization"}]}`},
		{`{"a":"[[\"password\", \"S\"]]"}`, `{"a":"[[\"password\",\"[Filtered]\"]]"}`},
		{`{"password=type":1}`, `{"password=[Filtered]":"[Filtered]"}`},
	} {
		e := event.Event{Message: tt.in, Extra: []byte(`{"x":` + string(rawjson.AppendString(nil, tt.in)) + `}`)}
		s.Scrub(&e)
		if got := rawjson.Unquote(rawjson.Lookup(e.Extra, "x")); e.Message != tt.want || got != tt.want || e.Meta == nil {
			t.Errorf("%q became\n%q, in JSON\n%q, want\n%q", tt.in, e.Message, got, tt.want)
		}
		scrubTwice(t, scrub.DefaultRules(), &e)
	}
}
