package event

import (
	"encoding/hex"
	"strconv"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/rawjson"
)

// Schema is the version of the line format. It goes up when a line means something that a reader of the
// version before would misread; a new optional field is no reason, since readers pass over fields unknown to
// them.
const Schema = 1

// AppendLine appends the event to dst as one line of compact JSON, without a newline. Members of the line:
//
//	v                      the schema, 1
//	id, eid, fp            ID, EventID, Fingerprint
//	rcv                    ReceivedAt, milliseconds since the epoch
//	occ                    OccurredAt, microseconds since the epoch
//	lvl                    Level
//	was                    Former
//	msg, xtype, xval       Message, ExceptionType, ExceptionValue
//	title, culprit         Title, Culprit
//	env, rel, plat, tx     Environment, Release, Platform, Transaction
//	host, logger           ServerName, Logger
//	uid, trace             UserID, TraceID
//	tags, extra            Tags, Extra
//	exc, thr, crumbs       Exception, Threads, Breadcrumbs
//	user, ctx, req, sdk    UserInfo, Contexts, Request, SDK
//	cfp, meta              ClientFingerprint, Meta
//
// Those up to lvl, tags and extra are always there, the others unless empty.
func (e *Event) AppendLine(dst []byte) []byte {
	dst = append(dst, `{"v":1,"id":"`...)
	dst = appendUUID(dst, e.ID)
	dst = appendUUID(append(dst, `","eid":"`...), e.EventID)
	dst = appendUUID(append(dst, `","fp":"`...), e.Fingerprint)
	dst = strconv.AppendInt(append(dst, `","rcv":`...), e.ReceivedAt.UnixMilli(), 10)
	dst = strconv.AppendInt(append(dst, `,"occ":`...), e.OccurredAt.UnixMicro(), 10)
	dst = append(append(append(dst, `,"lvl":"`...), e.Level...), '"')
	if e.Former != uuid.Nil {
		dst = append(appendUUID(append(dst, `,"was":"`...), e.Former), '"')
	}
	for i := range texts {
		if text := *texts[i].of(e); text != "" {
			dst = append(append(append(dst, ',', '"'), texts[i].name...), '"', ':')
			dst = rawjson.AppendString(dst, text)
		}
	}
	for i := range pieces {
		if piece := e.piece(i); len(piece) > 0 {
			dst = append(append(append(dst, ',', '"'), pieces[i].name...), '"', ':')
			dst = append(dst, piece...)
		}
	}
	return append(dst, '}')
}

// LineSize returns the number of bytes that AppendLine appends. It reads the texts but not the JSON, so it
// costs next to nothing.
func (e *Event) LineSize() int {
	var digits [20]byte
	size := len(`{"v":1,"id":"","eid":"","fp":"","rcv":,"occ":,"lvl":""}`) + 3*len(uuidForm) + len(e.Level) +
		len(strconv.AppendInt(digits[:0], e.ReceivedAt.UnixMilli(), 10)) +
		len(strconv.AppendInt(digits[:0], e.OccurredAt.UnixMicro(), 10))
	if e.Former != uuid.Nil {
		size += len(`,"was":""`) + len(uuidForm)
	}
	for i := range texts {
		if text := *texts[i].of(e); text != "" {
			size += len(`,"":`) + len(texts[i].name) + rawjson.StringSize(text)
		}
	}
	for i := range pieces {
		if piece := e.piece(i); len(piece) > 0 {
			size += len(`,"":`) + len(pieces[i].name) + len(piece)
		}
	}
	return size
}

// piece returns what a line holds of piece i.
func (e *Event) piece(i int) []byte {
	piece := *pieces[i].of(e)
	if piece == nil && i < alwaysThere {
		return []byte("{}")
	}
	return piece
}

// texts are the members of a line that are text, in their order.
var texts = [...]struct {
	name string
	of   func(*Event) *string
}{
	{"msg", func(e *Event) *string { return &e.Message }},
	{"xtype", func(e *Event) *string { return &e.ExceptionType }},
	{"xval", func(e *Event) *string { return &e.ExceptionValue }},
	{"title", func(e *Event) *string { return &e.Title }},
	{"culprit", func(e *Event) *string { return &e.Culprit }},
	{"env", func(e *Event) *string { return &e.Environment }},
	{"rel", func(e *Event) *string { return &e.Release }},
	{"plat", func(e *Event) *string { return &e.Platform }},
	{"tx", func(e *Event) *string { return &e.Transaction }},
	{"host", func(e *Event) *string { return &e.ServerName }},
	{"logger", func(e *Event) *string { return &e.Logger }},
	{"uid", func(e *Event) *string { return &e.UserID }},
	{"trace", func(e *Event) *string { return &e.TraceID }},
}

// alwaysThere is how many of the pieces stand in each line.
const alwaysThere = 2

// pieces are the members of a line that are JSON, in their order, with the kind each must be of.
var pieces = [...]struct {
	name string
	kind rawjson.Kind
	of   func(*Event) *[]byte
}{
	{"tags", rawjson.ObjectKind, func(e *Event) *[]byte { return &e.Tags }},
	{"extra", rawjson.ObjectKind, func(e *Event) *[]byte { return &e.Extra }},
	{"exc", rawjson.ArrayKind, func(e *Event) *[]byte { return &e.Exception }},
	{"thr", rawjson.ArrayKind, func(e *Event) *[]byte { return &e.Threads }},
	{"crumbs", rawjson.ArrayKind, func(e *Event) *[]byte { return &e.Breadcrumbs }},
	{"user", rawjson.ObjectKind, func(e *Event) *[]byte { return &e.UserInfo }},
	{"ctx", rawjson.ObjectKind, func(e *Event) *[]byte { return &e.Contexts }},
	{"req", rawjson.ObjectKind, func(e *Event) *[]byte { return &e.Request }},
	{"sdk", rawjson.ObjectKind, func(e *Event) *[]byte { return &e.SDK }},
	{"cfp", rawjson.ArrayKind, func(e *Event) *[]byte { return &e.ClientFingerprint }},
	{"meta", rawjson.ObjectKind, func(e *Event) *[]byte { return &e.Meta }},
}

// uuidForm is as long as the text of an id.
const uuidForm = "00000000-0000-0000-0000-000000000000"

// appendUUID appends the canonical text of id.
func appendUUID(dst []byte, id uuid.UUID) []byte {
	dst = append(hex.AppendEncode(dst, id[0:4]), '-')
	dst = append(hex.AppendEncode(dst, id[4:6]), '-')
	dst = append(hex.AppendEncode(dst, id[6:8]), '-')
	dst = append(hex.AppendEncode(dst, id[8:10]), '-')
	return hex.AppendEncode(dst, id[10:16])
}
