package postgres

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// OrNull returns a value as an argument: SQL's null for the zero value, such as uuid.Nil.
func OrNull[T comparable](v T) any {
	if v == *new(T) {
		return nil
	}
	return v
}

// TimeOrNull returns a time as an argument: null for the zero time, in whatever zone.
func TimeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// Time reads a time that may be null, which is the zero time, as UTC. Convert the pointer to a time.Time to scan into it.
type Time time.Time

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (t *Time) ScanTimestamptz(v pgtype.Timestamptz) error {
	*t = Time{}
	if v.Valid {
		*t = Time(v.Time.UTC())
	}
	return nil
}
