package store

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/event"
)

// CopySQL is the statement that takes CopyHeader, tuples and CopyTrailer. Its columns are in the order in which
// AppendTuple writes them.
const CopySQL = "copy mesher.events (" + copyColumns + ") from stdin with (format binary)"

const copyColumns = `project_id, received_at, id, event_id, fingerprint, occurred_at, level, message, ` +
	`exception_type, exception_value, culprit, environment, release, platform, transaction, server_name, ` +
	`logger, user_id, trace_id, tags, extra, exception, threads, breadcrumbs, user_info, contexts, request, ` +
	`sdk, client_fingerprint, meta`

const copyFields = 30

// CopyHeader starts a binary COPY stream, and CopyTrailer ends it.
// https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
const (
	CopyHeader  = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	CopyTrailer = "\xff\xff"
)

// AppendTuple appends e as one tuple of binary COPY. The texts of e hold no NUL.
func AppendTuple(dst []byte, project uuid.UUID, e *event.Event) []byte {
	dst = binary.BigEndian.AppendUint16(dst, copyFields)
	dst = appendBytes(dst, project[:])
	dst = appendTime(dst, e.ReceivedAt)
	dst = appendBytes(dst, e.ID[:])
	dst = appendBytes(dst, e.EventID[:])
	dst = appendBytes(dst, e.Fingerprint[:])
	dst = appendTime(dst, e.OccurredAt)
	dst = appendText(dst, string(e.Level))
	dst = appendText(dst, e.Message)
	for _, s := range [...]string{
		e.ExceptionType, e.ExceptionValue, e.Culprit, e.Environment, e.Release, e.Platform, e.Transaction,
		e.ServerName, e.Logger, e.UserID, e.TraceID,
	} {
		if s == "" {
			dst = appendNull(dst)
		} else {
			dst = appendText(dst, s)
		}
	}
	for _, j := range [...][]byte{e.Tags, e.Extra} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(j)+1))
		dst = append(dst, 1) // the version of jsonb's binary form
		dst = append(dst, j...)
	}
	for _, j := range [...][]byte{
		e.Exception, e.Threads, e.Breadcrumbs, e.UserInfo, e.Contexts, e.Request, e.SDK, e.ClientFingerprint, e.Meta,
	} {
		if len(j) == 0 {
			dst = appendNull(dst)
		} else {
			dst = appendBytes(dst, j)
		}
	}
	return dst
}

func appendNull(dst []byte) []byte { return append(dst, 0xff, 0xff, 0xff, 0xff) }

func appendBytes(dst, b []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b)))
	return append(dst, b...)
}

func appendText(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}

// appendTime appends a timestamptz: microseconds since 2000-01-01 UTC.
func appendTime(dst []byte, t time.Time) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 8)
	return binary.BigEndian.AppendUint64(dst, uint64(t.UnixMicro()-pgEpoch))
}

// pgEpoch is 2000-01-01 UTC in microseconds of Unix time.
const pgEpoch = 946_684_800_000_000
