package api

import (
	"context"
	"strings"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/rest"
)

// roleOperator is what the document calls the role that no organization gives: of whoever runs the installation.
const roleOperator = "operator"

// operators are the addresses of OPERATORS, in lower case.
type operators map[string]bool

// readOperators returns the operators that a setting lists; what is no address is a fault.NotConfigured.
func readOperators(list []string) (operators, error) {
	o := operators{}
	for _, text := range list {
		if strings.TrimSpace(text) == "" {
			continue
		}
		email, err := account.NormalEmail(text)
		if err != nil {
			return nil, fault.Wrap(err, fault.NotConfigured, "setting OPERATORS holds what is no e-mail address; write addresses with commas between them")
		}
		o[strings.ToLower(email)] = true
	}
	return o, nil
}

// operator refuses callers who do not run the installation. Whoever does is named by OPERATORS, has shown that the address
// is the own one, and calls with a session or with a token of the scope admin that reaches all organizations.
func (f *Function) operator(ctx context.Context) error {
	who := rest.Who(ctx)
	if !who.User.Verified || !f.operators[strings.ToLower(who.User.Email)] {
		return fault.New(fault.Forbidden, "this is for the operators of the installation, whom its setting OPERATORS names").Named("not_operator")
	}
	if !who.Scope.Allows(account.ScopeAdmin) {
		return fault.New(fault.Forbidden, "the token's scope is %s; this needs %s", who.Scope, account.ScopeAdmin).Named("scope_too_low")
	}
	return unbound(ctx)
}
