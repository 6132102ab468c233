package check

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/outbound"
)

// refusals are what a refusal of the guard is called here.
var refusals = map[string]string{
	outbound.CodeAddress:  monitor.CodeRefusedAddress,
	outbound.CodePort:     monitor.CodeRefusedPort,
	outbound.CodeURL:      monitor.CodeRefusedURL,
	outbound.CodeHeader:   monitor.CodeRefusedHeader,
	outbound.CodeRedirect: monitor.CodeRedirect,
	outbound.CodeTooLarge: monitor.CodeTooLarge,
}

// failed says what an error means. Texts are our own throughout: those of errors repeat URLs, and what the service sent.
// otherwise is the code of an error that is none of connecting.
func (l *look) failed(err error, otherwise, format string) finding {
	var f *fault.Error
	if errors.As(err, &f) {
		if code, ok := refusals[f.Code]; ok {
			return down(code, "%s", f.Detail)
		}
	}
	if timedOut(err) {
		return l.late()
	}
	if f, ok := l.certificate(err); ok {
		return f
	}
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return down(monitor.CodeDNSNotFound, "the name does not exist, or has no address")
	case name != nil:
		return down(monitor.CodeDNS, "the name could not be looked up: the name server failed")
	case l.trace.Stage() == outbound.Connecting:
		return down(monitor.CodeConnect, "no connection could be made: %s", why(err))
	case l.trace.Stage() == outbound.Shaking:
		return down(monitor.CodeTLS, "no encrypted connection could be agreed on: %s", whyTLS(err))
	case broken(err):
		return down(monitor.CodeDisconnected, "the connection was ended before the answer was complete")
	}
	return down(otherwise, "%s", format)
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// broken reports that the other side went away.
func broken(err error) bool {
	for _, target := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// late is the finding of a look whose time was used up.
func (l *look) late() finding {
	during := "while waiting for the answer"
	switch l.trace.Stage() {
	case outbound.Looking:
		during = "while the name was looked up"
	case outbound.Connecting:
		during = "while connecting"
	case outbound.Shaking:
		during = "while agreeing on encryption"
	case outbound.Connected, "":
	}
	return down(monitor.CodeTimeout, "the time of %s was used up %s", l.timeout.Round(time.Millisecond), during)
}

// why says what of connecting failed.
func why(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{syscall.ECONNREFUSED, "nothing listens there"},
		{syscall.ECONNRESET, "it was refused"},
		{syscall.ENETUNREACH, "the network cannot be reached from here"},
		{syscall.EHOSTUNREACH, "the host cannot be reached"},
		{syscall.EADDRNOTAVAIL, "the network cannot be reached from here"},
		{syscall.ETIMEDOUT, "the host does not answer"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "the network refused it"
}

// detail returns what may be shown of an error of ours.
func detail(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Detail
	}
	return "it is not valid"
}
