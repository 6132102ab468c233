package scheduler

// Every is every.
var Every = every //nolint:gochecknoglobals // for tests
