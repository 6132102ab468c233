package rest

import (
	"net/http"
	"time"

	"github.com/mesherhq/mesher/shared/account"
)

// SetBodyTime changes how long a client may take to send a body.
func (a *API) SetBodyTime(d time.Duration) { a.bodyTime = d }

// ClientOf is clientOf.
func ClientOf(r *http.Request, hops int) account.Client { return clientOf(r, hops) }

// Decode is decode.
func Decode(data []byte, v any) error { return decode(data, v) }

// BodyMost is bodyMost.
const BodyMost = bodyMost
