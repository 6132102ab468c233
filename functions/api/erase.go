package api

import (
	"context"
	"net/http"
	"time"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/issue"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// eraseMost is how long one call begins to erase days.
const eraseMost = 20 * time.Second

func (f *Function) eraseRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "erase-user", Method: http.MethodPost, Path: pathProject + "/erasures", Tag: tagEvents, Scope: account.ScopeAdmin,
		Role: string(tenant.Admin), Summary: "Erase a user's events",
		Doc: "Erases the events of a user, found by id, by e-mail address or by either, and what else is kept of the user. It begins at the " +
			"newest day and stops after about 20 s: unless done, call again with the same user and continue_before as before. Calling " +
			"again does no harm. Counts of events stay as they are, and a user who comes back counts as affected again from the next " +
			"hour on; the audit log gets a hash of the id or address.",
	}, f.eraseUser)
}

// EraseRequest says whose events are to be erased.
type EraseRequest struct {
	UserID string `json:"user_id,omitempty" maxLength:"500" doc:"the user's id in events"`
	Email  string `json:"email,omitempty" maxLength:"500" doc:"the user's address in events, in any case"`
	Before string `json:"before,omitempty" format:"date" example:"2026-11-01" doc:"only events received before this day (UTC): continue_before of the answer before"`
}

type eraseUserInput struct {
	OfProject
	Body EraseRequest
}

func (f *Function) eraseUser(ctx context.Context, in *eraseUserInput) (*rest.Body[issue.Erasure], error) {
	who := issue.Subject{UserID: in.Body.UserID, Email: in.Body.Email}
	before, err := readDay("body.before", in.Body.Before)
	if err != nil {
		return nil, err
	}
	if err := f.noteErasure(ctx, in, who); err != nil {
		return nil, err
	}
	out, err := issue.Erase(ctx, f.pool, in.ProjectID, who, before, eraseMost)
	if err != nil {
		return nil, err
	}
	return &rest.Body[issue.Erasure]{Body: out}, nil
}

// noteErasure authorizes the caller and notes in the audit log that it begins: what was erased cannot be taken back, also
// when the call fails then.
func (f *Function) noteErasure(ctx context.Context, in *eraseUserInput, who issue.Subject) error {
	return postgres.InTx(ctx, f.pool, func(tx postgres.Tx) error {
		p, err := authorizeProject(ctx, tx, in.ProjectID, tenant.Admin)
		if err != nil {
			return err
		}
		if who == (issue.Subject{}) {
			return fault.New(fault.Invalid, "say whose events are to be erased: user_id, email or both")
		}
		details := particulars{"user_hash": who.Pseudonym(p.ID)}
		if in.Body.Before != "" {
			details["before"] = in.Body.Before
		}
		return record(ctx, tx, p.OrganizationID, "events.erase", projectTarget(p), details)
	})
}

// readDay reads a date; the zero time for none.
func readDay(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, fault.New(fault.Invalid, "%s: write a day as 2026-11-22", field)
	}
	return t, nil
}
