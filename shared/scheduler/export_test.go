package scheduler

// Every is every.
var Every = every
