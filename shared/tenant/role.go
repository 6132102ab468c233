package tenant

import "github.com/mesherhq/mesher/shared/fault"

// Role is what a member may do in an organization.
type Role string

// The roles; each may do what those below it may. A member reads and works on issues, an admin manages projects, keys,
// members and invitations, an owner besides that owners, the organization itself and its audit log.
const (
	Owner  Role = "owner"
	Admin  Role = "admin"
	Member Role = "member"
)

// Allows reports whether the role may do what needs the role needed. A role that does not exist allows nothing, and
// nothing allows what needs one.
func (r Role) Allows(needed Role) bool { return needed.rank() > 0 && r.rank() >= needed.rank() }

func (r Role) rank() int {
	switch r {
	case Owner:
		return 3
	case Admin:
		return 2
	case Member:
		return 1
	}
	return 0
}

func (r Role) check() error {
	if r.rank() == 0 {
		return fault.New(fault.Invalid, "%q is no role; choose %s, %s or %s", r, Owner, Admin, Member)
	}
	return nil
}

// require refuses somebody whose role is below needed.
func (r Role) require(needed Role) error {
	if r.Allows(needed) {
		return nil
	}
	return fault.New(fault.Forbidden, "this needs the role %s, and yours is %s", needed, r).Named("role_too_low")
}

// requireFor refuses somebody who may not give, take or offer any of the roles: owners are the business of owners,
// everybody else that of admins.
func (r Role) requireFor(roles ...Role) error {
	needed := Admin
	for _, role := range roles {
		if role == Owner {
			needed = Owner
		}
	}
	return r.require(needed)
}
