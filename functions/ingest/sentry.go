package ingest

import (
	"bytes"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/sentry"
	"github.com/mesherhq/mesher/shared/web"
)

// envelope takes an envelope of a Sentry SDK, whose key is in the request.
func (f *Function) envelope(w http.ResponseWriter, r *http.Request, number string) error {
	var id uuid.UUID
	in, err := f.receive(w, r, number, func(in *intake, body []byte) error {
		env, err := sentry.ReadEnvelope(body)
		if err != nil {
			return err
		}
		id = env.EventID
		return in.readEnvelope(env)
	})
	if err != nil {
		return err
	}
	return in.answerSentry(w, id)
}

// tunnel takes an envelope whose key is in its own header, as it comes from pages whose blockers know other addresses.
// Until it is read nobody knows whose it is: all of them share the memory of one project.
func (f *Function) tunnel(w http.ResponseWriter, r *http.Request) error {
	lease, release := f.shares.lease(uuid.Nil)
	defer release()
	body, err := f.body(w, r, lease)
	if err != nil {
		return err
	}
	env, err := sentry.ReadEnvelope(body)
	if err != nil {
		return err
	}
	if env.DSN == "" {
		return fault.New(fault.Unauthenticated, "no API key; the header of an envelope that comes through the tunnel must hold the dsn")
	}
	key, number, err := sentry.ParseDSN(env.DSN)
	if err != nil {
		return err
	}
	access, err := f.admitKey(r, key, number)
	if err != nil {
		return err
	}
	in, err := f.open(r, access)
	if err != nil {
		return err
	}
	defer in.close()
	if err := f.read(r.Context(), in, body, func(in *intake, _ []byte) error { return in.readEnvelope(env) }); err != nil {
		return err
	}
	lease.Release()
	f.publish(w, in)
	return in.answerSentry(w, env.EventID)
}

// store takes one event of an old Sentry SDK.
func (f *Function) store(w http.ResponseWriter, r *http.Request, number string) error {
	in, err := f.receive(w, r, number, (*intake).readStore)
	if err != nil {
		return err
	}
	return in.answerSentry(w, uuid.Nil)
}

// readEnvelope makes items of the events of an envelope, and counts what else is in it. What is wrong with one does not
// touch the others.
func (in *intake) readEnvelope(env sentry.Envelope) error {
	from := sentry.Source{EventID: env.EventID, ReceivedAt: in.now}
	for i, item := range env.Items {
		kind := sentry.TypeOf(item.Type)
		if kind.Action == sentry.Watched {
			in.watch(item.Payload)
		}
		if kind.Action != sentry.Stored {
			in.otherItem(kind, item)
			continue
		}
		from.Feedback = kind.Name == "feedback"
		if err := in.readSentry(i, item.Payload, from); err != nil {
			return err
		}
		// The id in the header is of one event: another one without an id is not the same.
		if n := len(in.accepted); n > 0 && in.accepted[n-1].EventID == env.EventID {
			from.EventID = uuid.Nil
		}
	}
	for range env.Broken {
		in.reject(len(env.Items), fault.New(fault.Invalid, "a part of the envelope is no item: it must begin with a line "+
			`such as {"type":"event"}`))
	}
	if env.More {
		in.reject(len(env.Items), fault.New(fault.TooLarge, "an envelope has at most %d items; the later ones are not read", sentry.MaxItems))
	}
	return nil
}

// otherItem counts an item that is no event: once, or as what the client says is in it. A log or span has more than one
// byte, so that nobody counts more of them than were sent. Unknown types count together, since anything may stand there.
func (in *intake) otherItem(kind sentry.ItemType, item sentry.Item) {
	name := kind.Name
	if kind.Category == unknownItem {
		name = unknownItem
	}
	in.other(name, int64(max(1, min(item.ItemCount, len(item.Payload)/2))))
}

// unknownItem is what items of unknown types are counted as.
const unknownItem = "unknown"

// readStore makes an item of the body of a request to the store endpoint.
func (in *intake) readStore(body []byte) error {
	most := int64(in.tools.limits.EventBytes)
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		// It is to be unpacked twice, the second time into a buffer that doubles as it grows.
		work := int64(len(body)) + 2*most
		if err := in.lease.Take(work); err != nil {
			return err
		}
		defer in.lease.Give(work)
	}
	raw, err := sentry.DecodeStore(body, most)
	if err != nil {
		in.reject(0, err)
		return nil
	}
	return in.readSentry(0, raw, sentry.Source{ReceivedAt: in.now})
}

// readSentry makes an item of an event as Sentry SDKs send it.
func (in *intake) readSentry(index int, raw []byte, from sentry.Source) error {
	native, replaced, err := in.tools.converter.AppendNative(in.tools.native[:0], raw, from)
	in.tools.native = native
	if err != nil {
		in.reject(index, err)
		return nil
	}
	return in.readClean(index, replaced)
}

// readClean makes an item of the event that a converter wrote to tools.native.
func (in *intake) readClean(index, replaced int) error {
	var e event.Event
	if err := in.tools.decoder.DecodeClean(in.tools.native, replaced, in.now, &e); err != nil {
		in.reject(index, err)
		return nil
	}
	return in.take(&e, index, nil)
}

// answerSentry tells an SDK that everything was taken, or that something was not. Nothing but an event that could not be
// published, or nothing to take at all, is a failure: an SDK has no use for details, and would not send anything again.
func (in *intake) answerSentry(w http.ResponseWriter, id uuid.UUID) error {
	if in.failure != nil || len(in.rejected) > 0 && len(in.accepted)+len(in.others) == 0 {
		return in.refusal()
	}
	if len(in.accepted) > 0 {
		id = in.accepted[0].EventID
	}
	var answer struct {
		ID string `json:"id,omitempty"`
	}
	if id != uuid.Nil {
		answer.ID = strings.ReplaceAll(id.String(), "-", "")
	}
	return web.JSON(w, http.StatusOK, answer)
}

// sentryError puts what went wrong into the header that some SDKs write to their log: one line of plain characters.
func sentryError(h http.Header, err error) {
	var e *fault.Error
	if !errors.As(err, &e) {
		return
	}
	h.Set("X-Sentry-Error", strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, e.Detail))
}
