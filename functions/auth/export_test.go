package auth

// Compose makes the function on a pool and an outbox of the test's.
var Compose = compose

// Concealed is how a password comes in.
type Concealed = concealed
