package ingest

import (
	"context"
	"net/http"

	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/sentry"
	"github.com/mesherhq/mesher/shared/tenant"
)

// receive takes a request from its key to the published events. Number is that of the project in its path, if there is one;
// read makes items of the body.
func (f *Function) receive(w http.ResponseWriter, r *http.Request, number string, read readFunc) (*intake, error) {
	access, err := f.admit(r, number)
	if err != nil {
		return nil, err
	}
	in, err := f.open(r, access)
	if err != nil {
		return nil, err
	}
	defer in.close()
	body, err := f.body(w, r, in.lease)
	if err != nil {
		return nil, err
	}
	if err := f.read(r.Context(), in, body, read); err != nil {
		return nil, err
	}
	// What was made of the body is held while it waits to be published, not the body.
	in.lease.Give(int64(cap(body)))
	f.publish(w, in)
	return in, nil
}

// open begins the intake of a request that may write to the project of access. Its close is to be called.
func (f *Function) open(r *http.Request, access tenant.Access) (*intake, error) {
	in := &intake{access: access, now: f.now().UTC(), from: r, hops: f.cfg.Hops}
	in.reported, in.unread = f.usage.start(r.Context(), &in.access, in.now)
	if f.batcher.Full(access.ProjectID) {
		f.usage.add(access, tenant.Usage{Dropped: 1}, in.now) // at least: the body is not read
		in.reported()
		return nil, fault.New(fault.Unavailable, "the project sends faster than its events can be published; none of this request was taken").After(busy)
	}
	in.lease, in.release = f.shares.lease(access.ProjectID)
	return in, nil
}

func (in *intake) close() {
	in.release()
	in.reported()
}

// readFunc makes items of the events of a body. An event that is refused is noted; an error means that nothing of the
// request is taken.
type readFunc func(in *intake, body []byte) error

// tools are what reading events takes; they keep their buffers.
type tools struct {
	limits    event.Limits
	decoder   *event.Decoder
	converter *sentry.Converter
	native    []byte // an event of another format, in the native one
}

// nativeKept is how many bytes of tools.native are kept for the next request: a single huge event must not swell it for
// good.
const nativeKept = 256 << 10

// read has a body read with tools of the pool. They are held for no longer: publishing takes its time.
func (f *Function) read(ctx context.Context, in *intake, body []byte, read readFunc) (err error) {
	in.refuse = f.limits.check(&in.access, in.now)
	if in.treat, err = f.treatmentOf(ctx, in.access); err != nil {
		return err
	}
	defer in.treat.end()
	t, ok := f.tools.Get().(*tools)
	if !ok {
		limits := event.DefaultLimits()
		t = &tools{limits: limits, decoder: event.NewDecoder(limits), converter: sentry.NewConverter(limits)}
	}
	in.tools = t
	defer func() {
		in.tools = nil
		if cap(t.native) > nativeKept {
			t.native = nil
		}
		f.tools.Put(t)
	}()
	return read(in, body)
}

// publish publishes the items that the limits leave room for and waits for it, stores check-ins, then counts what became of
// everything.
// What the client is to know of limits is in the header of w then, whatever is answered.
func (f *Function) publish(w http.ResponseWriter, in *intake) {
	if in.unread {
		in.reported()
	}
	admitted, why := f.limits.admit(&in.access, len(in.items), len(in.items)+in.shed, in.now)
	in.cut(admitted, why)
	in.settle(f.batcher.Do(in.access.ProjectID, in.items))
	f.storeCheckIns(in)
	f.limits.release(&in.access, admitted-int(in.usage.Accepted), in.now)
	in.conclude(w.Header())
	f.usage.add(in.access, in.usage, in.now)
	f.countOthers(in)
	in.reported()
}
