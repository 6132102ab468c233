// Package sentry reads the wire formats of the Sentry SDKs and turns their events into the native format.
//
// ReadEnvelope cuts an envelope into its items, DecodeStore unpacks the body of the older store endpoint, and
// a Converter rewrites one event so that an event.Decoder takes it. Whatever an SDK sends in a place where the
// native format wants something else is repaired where its meaning is plain, and otherwise moved to extra under
// its own name: an event is never refused, and nothing of it dropped, because one field of it is odd.
package sentry
