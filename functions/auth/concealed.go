package auth

import "fmt"

// concealed is a password or token as it comes in. However it is printed or encoded, it does not show, so that no log
// line can hold it.
type concealed string

// Format prints a placeholder, whatever the verb.
func (concealed) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte("[concealed]")) }

// MarshalJSON encodes the same placeholder.
func (concealed) MarshalJSON() ([]byte, error) { return []byte(`"[concealed]"`), nil }
