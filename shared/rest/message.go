package rest

import (
	"fmt"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
)

const (
	mustBeUUID = "must be a UUID"
	mustBeTime = "write a time as RFC 3339, e.g. 2026-11-22T00:00:00Z"
)

// useMessages has huma say what is wrong as one person tells another how to put it right.
func useMessages() {
	huma.ErrorFormatter = formatMessage
	validation.MsgExpectedRFC3339DateTime = mustBeTime
	validation.MsgExpectedRFC4122UUID = mustBeUUID
	validation.MsgExpectedRFC5322Email = "must be an e-mail address"
	validation.MsgExpectedRFC3986URI = "must be a URI"
	validation.MsgExpectedBoolean = "must be true or false"
	validation.MsgExpectedNumber = "must be a number"
	validation.MsgExpectedInteger = "must be a whole number"
	validation.MsgExpectedString = "must be a string"
	validation.MsgExpectedArray = "must be an array"
	validation.MsgExpectedObject = "must be an object"
	validation.MsgExpectedOneOf = "must be one of %s"
	validation.MsgExpectedMinimumNumber = "must be %v or more"
	validation.MsgExpectedExclusiveMinimumNumber = "must be more than %v"
	validation.MsgExpectedMaximumNumber = "must be %v or less"
	validation.MsgExpectedExclusiveMaximumNumber = "must be less than %v"
	validation.MsgExpectedMinLength = "must have at least %d characters"
	validation.MsgExpectedMaxLength = "must have at most %d characters"
	validation.MsgExpectedMinItems = "must have at least %d items"
	validation.MsgExpectedMaxItems = "must have at most %d items"
	validation.MsgExpectedBePattern = "must be %s"
	validation.MsgExpectedMatchPattern = "must match the pattern %s"
	validation.MsgExpectedRequiredProperty = "%s is missing"
}

// formatMessage formats a message of huma's without the error that is the reason for it, which repeats the value.
func formatMessage(format string, args ...any) string {
	if len(args) == 1 && args[0] == 1 && format == validation.MsgExpectedMinLength {
		return "must not be empty"
	}
	for _, arg := range args {
		if _, is := arg.(error); is {
			text, _, _ := strings.Cut(format, ": %v")
			return text
		}
	}
	return fmt.Sprintf(format, args...)
}

// parsed are the beginnings of what huma says of a parameter that its type refused, and what is said instead. A type's own
// error comes after the first three; it may repeat the value.
func parsed() [][2]string {
	return [][2]string{
		{"invalid value: invalid UUID", mustBeUUID},
		{"invalid value: invalid urn prefix", mustBeUUID},
		{"invalid value: ", "not of the expected form"},
		{"invalid date/time", mustBeTime},
		{"invalid integer", "must be a whole number"},
		{"invalid float", "must be a number"},
		{"invalid boolean", "must be true or false"},
	}
}

// reworded says it so that no value is repeated.
func reworded(message string) string {
	for _, p := range parsed() {
		if strings.HasPrefix(message, p[0]) {
			return p[1]
		}
	}
	return message
}
