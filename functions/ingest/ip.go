package ingest

import (
	"bytes"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
	"github.com/mesherhq/mesher/shared/web"
)

// auto is what SDKs write as a user's ip_address that the server shall fill in.
const auto = `"{{auto}}"`

// fillAddress writes the address that the request comes from where the SDK left that to the server. The scrub rules of the
// project see it like one that was sent. Where the address is not known, the place is left out.
func (in *intake) fillAddress(e *event.Event) {
	if !bytes.Contains(e.UserInfo, []byte(auto)) || string(rawjson.Lookup(e.UserInfo, "ip_address")) != auto {
		return
	}
	ip := web.ClientIP(in.from, in.hops)
	dst := append(make([]byte, 0, len(e.UserInfo)+40), '{')
	for key, value := range rawjson.Object(e.UserInfo) {
		if string(key) == "ip_address" {
			if value = nil; ip.IsValid() {
				value = rawjson.AppendString(nil, ip.String())
			}
		}
		if value == nil {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(append(append(dst, '"'), key...), `":`...), value...)
	}
	e.UserInfo = append(dst, '}')
}
