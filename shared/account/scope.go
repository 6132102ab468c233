package account

// Scope is how much a credential may do in the name of its user.
type Scope string

// The scopes; each includes the one before. A session has ScopeSession, which a token never has: what a token could
// use to outlive its own revocation asks for it.
const (
	ScopeRead    Scope = "read"
	ScopeWrite   Scope = "write"
	ScopeAdmin   Scope = "admin"
	ScopeSession Scope = "session"
)

// Allows reports whether a credential with the scope s may do what needs the scope needed. A scope that is none of these
// allows nothing and is allowed to none.
func (s Scope) Allows(needed Scope) bool {
	return needed.rank() > 0 && s.rank() >= needed.rank()
}

func (s Scope) rank() int {
	switch s {
	case ScopeRead:
		return 1
	case ScopeWrite:
		return 2
	case ScopeAdmin:
		return 3
	case ScopeSession:
		return 4
	}
	return 0
}
