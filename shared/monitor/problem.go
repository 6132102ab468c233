package monitor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mesherhq/mesher/shared/fault"
)

// problem is what is wrong with a field of what somebody asked for.
type problem struct{ path, text string }

func (p *problem) Error() string {
	if p.path == "" {
		return p.text
	}
	return p.path + ": " + p.text
}

// invalid says what is wrong with a field, and how it would be right.
func invalid(field, format string, args ...any) error {
	return &problem{field, fmt.Sprintf(format, args...)}
}

// at puts the name of what a field belongs to in front of it.
func at(err error, format string, args ...any) error {
	var p *problem
	if !errors.As(err, &p) {
		return err
	}
	path := fmt.Sprintf(format, args...)
	if p.path != "" {
		path += "." + p.path
	}
	return &problem{path, p.text}
}

// refused returns a problem as the fault that a client is told.
func refused(err error) error {
	var p *problem
	if !errors.As(err, &p) {
		return err
	}
	return fault.New(fault.Invalid, "%s", p.Error())
}

// clip shortens a text for a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
