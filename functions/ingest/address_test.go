package ingest

import "testing"

func TestAddressOf(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]address{
		"/v1/events":                          {to: toNative},
		"/v1/events/":                         {to: toNative},
		"/v1/logs":                            {to: toLogs},
		"/v1/logs/":                           {to: toLogs},
		"/v1/traces":                          {to: toTraces},
		"/api/1/envelope":                     {toEnvelope, "1"},
		"/api/1/envelope/":                    {toEnvelope, "1"},
		"/api/99999999999999999999/envelope/": {toEnvelope, "99999999999999999999"},
		"/errors/api/1/envelope/":             {toEnvelope, "1"},
		"/a/b-c/api/12/store/":                {toStore, "12"},
		"/api/7/api/8/store":                  {toStore, "8"},
		"//api//1//envelope//":                {toEnvelope, "1"},
		"/tunnel/api/1/envelope/":             {toEnvelope, "1"},
		"/tunnel":                             {to: toTunnel},
		"/tunnel/":                            {to: toTunnel},
		"/tunnel/any/thing":                   {to: toTunnel},
		"/shop/tunnel/":                       {to: toTunnel},
		"/":                                   {},
		"":                                    {},
		"/tunnels":                            {},
		"/v1":                                 {},
		"/v1/metrics":                         {},
		"/v1/events/x":                        {},
		"/api/envelope/":                      {},
		"/api/1/":                             {},
		"/api/1/envelope/x":                   {},
		"/api/1/minidump/":                    {},
		"/api/x/envelope/":                    {},
		"/api/1x/envelope/":                   {},
		"/api/-1/envelope/":                   {},
		"/api/١/envelope/":                    {},
		"/apis/1/envelope/":                   {},
		"/1/envelope/":                        {},
		"api/1/envelope/":                     {},
		"/api/01234567-0123-0123-0123-0123/store/": {},
	} {
		if got := addressOf(path); got != want {
			t.Errorf("%q is %+v, want %+v", path, got, want)
		}
	}
}

func TestIsNumber(t *testing.T) {
	t.Parallel()
	for digits, want := range map[string]bool{"12": true, "0012": true, "1": false, "9223372036854775820": false, "": false, "x": false} {
		if got := isNumber(digits, 12); got != want {
			t.Errorf("%q: %t", digits, got)
		}
	}
}
