package main

import (
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/page"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// The pages of Auth that links lead to, as those in mails do.
const (
	acceptPage = "/auth/invitation?token="
	resetPage  = "/auth/reset?token="
)

func usersLink(ctx context.Context, db *postgres.Pool, o usersOptions, out io.Writer) error {
	base, err := o.base()
	if err != nil {
		return err
	}
	var u account.User
	var link string
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if u, err = pickUser(ctx, tx, o.email); err != nil {
			return err
		}
		token, err := account.IssueOneTime(ctx, tx, account.ResetPassword, u.ID, u.Email)
		if err != nil {
			return err
		}
		link = base + resetPage + token
		return recordUser(ctx, tx, operator("users"), "password.link", u, userTarget(u), nil)
	})
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, struct {
			account.User
			Link string `json:"link"`
		}{u, link})
	}
	_, err = fmt.Fprintf(out, "Whoever opens this link within an hour sets the password of %s. It is shown this once; give it to nobody else:\n\n%s\n",
		printable(u.Email), link)
	return err
}

func usersRevoke(ctx context.Context, db *postgres.Pool, o usersOptions, out io.Writer) error {
	var u account.User
	var sessions, tokens int
	err := postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if u, err = pickUser(ctx, tx, o.email); err != nil {
			return err
		}
		if sessions, err = endSessions(ctx, tx, u); err != nil {
			return err
		}
		tokens, err = revokeTokens(ctx, tx, u)
		return err
	})
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, struct {
			account.User
			Sessions int `json:"sessions_ended"`
			Tokens   int `json:"tokens_revoked"`
		}{u, sessions, tokens})
	}
	_, err = fmt.Fprintf(out, "%s is logged out everywhere: %d sessions ended, %d personal access tokens revoked. "+
		"The password stays, and so do API keys, which belong to projects.\n", printable(u.Email), sessions, tokens)
	return err
}

// endSessions ends all sessions of a user, and returns how many. That it was asked for is recorded even when there is none:
// what else is revoked belongs to it.
func endSessions(ctx context.Context, tx postgres.Tx, u account.User) (int, error) {
	n, err := account.RevokeSessions(ctx, tx, u.ID, uuid.Nil)
	if err != nil {
		return n, err
	}
	return n, recordUser(ctx, tx, operator("users"), "session.revoke", u, userTarget(u), particulars{"sessions": n})
}

// revokeTokens revokes all tokens of a user that are still good, and returns how many.
func revokeTokens(ctx context.Context, tx postgres.Tx, u account.User) (n int, err error) {
	r := page.Request{Limit: 100}
	for {
		found, err := account.ListTokens(ctx, tx, u.ID, account.TokenFilter{State: "active"}, r)
		if err != nil {
			return n, err
		}
		for _, t := range found.Rows {
			if err := revokeToken(ctx, tx, u, t); err != nil {
				return n, err
			}
			n++
		}
		if r.After = found.Next; r.After == (page.Mark{}) {
			return n, nil
		}
	}
}

func revokeToken(ctx context.Context, tx postgres.Tx, u account.User, t account.PersonalToken) error {
	is, changed, err := account.RevokeToken(ctx, tx, u.ID, t.ID)
	if err != nil || !changed { // the user did so a moment ago
		return err
	}
	target := tenant.Target{Kind: "token", ID: t.ID, Name: t.Label}
	details := map[string]tenant.Change{"state": {From: t.State, To: is.State}}
	if t.OrganizationID != uuid.Nil {
		return tenant.Record(ctx, tx, t.OrganizationID, operator("users"), "token.revoke", target, details)
	}
	return recordUser(ctx, tx, operator("users"), "token.revoke", u, target, details)
}
