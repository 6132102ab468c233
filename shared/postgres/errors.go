package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATE codes and classes that decide what happens to a failed transaction. A class is the first two
// characters of a code.
const (
	stateUnique   = "23505"
	stateLock     = "55P03"
	stateCheck    = "23514"
	stateInternal = "XX000"
)

// transientStates come and go with load, restarts and fail-overs, not with the data.
var transientStates = []string{
	"25006", // read-only: a replica that is about to be promoted, or a disk that is about to be grown
	"25P03", // idle in transaction for too long: this process was not given time
	"25P04", // transaction timeout
	"55P03", // lock not available
	"57014", // cancelled: statement timeout, or our own context
	"57P01", // admin shutdown
	"57P02", // crash shutdown
	"57P03", // cannot connect now
	"57P05", // idle session timeout
}

// SQLState returns the code that the server gave err, "" when err does not come from the server.
func SQLState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Transient reports whether the same work may succeed when it is tried again: the connection was lost or could
// not be made, the server restarts, is overloaded or gave up on a lock, or ctx ended. It says nothing about
// whether a commit that was under way has happened.
func Transient(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code[:min(2, len(e.Code))] {
		case "08", "40", "53", "58":
			return true
		}
		// A pooler reports its own trouble, such as too many clients, as a fatal internal error.
		return slices.Contains(transientStates, e.Code) || e.Code == stateInternal && e.Severity == "FATAL"
	}
	if permanent(err) {
		return false
	}
	var netErr net.Error
	var connErr *pgconn.ConnectError
	return pgconn.SafeToRetry(err) ||
		errors.As(err, &netErr) ||
		errors.As(err, &connErr) ||
		isAny(err, context.DeadlineExceeded, context.Canceled, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
			syscall.ECONNRESET, syscall.ECONNREFUSED, syscall.EPIPE)
}

// permanent reports failures to connect that need an operator: a certificate that is not the server's.
func permanent(err error) bool {
	var cert *tls.CertificateVerificationError
	return errors.As(err, &cert)
}

// Data reports whether the server refused the values themselves: they will be refused every time. Duplicate and
// MissingPartition are not among them.
func Data(err error) bool {
	state := SQLState(err)
	switch state[:min(2, len(state))] {
	case "22", "54":
		return true
	case "23":
		return !Duplicate(err) && !MissingPartition(err)
	}
	return false
}

// Duplicate reports a violation of a unique constraint: somebody else was first.
func Duplicate(err error) bool { return SQLState(err) == stateUnique }

// LockNotAvailable reports that a lock was waited for in vain.
func LockNotAvailable(err error) bool { return SQLState(err) == stateLock }

// MissingPartition reports a row of a partitioned table that no partition takes. The server reports it as a
// check violation without the name of a constraint.
func MissingPartition(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == stateCheck && e.ConstraintName == ""
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
