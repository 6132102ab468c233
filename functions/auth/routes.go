package auth

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/account"
	"github.com/mesherhq/mesher/shared/rest"
)

// message is the answer to what is done out of the caller's sight.
type message struct {
	Message string `json:"message"`
}

// say answers the same whatever the address is.
func say(text string, err error) (*rest.Body[message], error) {
	if err != nil {
		return nil, err
	}
	return &rest.Body[message]{Body: message{text}}, nil
}

// left is the answer to who has no session any more.
type left struct {
	SetCookie string `header:"Set-Cookie" doc:"has a browser forget the session token"`
}

func gone(err error) (*left, error) {
	if err != nil {
		return nil, err
	}
	return &left{SetCookie: clearCookie()}, nil
}

// entered answers with a session.
func (f *Function) entered(e entrance, cookie bool, err error) (*entered, error) {
	if err != nil {
		return nil, err
	}
	return f.answer(e, cookie), nil
}

// Sentences that answer whatever becomes of a request.
const (
	saidRegistered = "Look into your mailbox: the mail that we sent says how to go on."
	saidMail       = "If there is an account that it helps, a mail with a link is on its way."
	saidEmail      = "A mail with a link is on its way to the new address; until it is opened nothing changes."
)

func (f *Function) routes() {
	f.accountRoutes()
	f.passwordRoutes()
	f.sessionRoutes()
	f.invitationRoutes()
}

func (f *Function) accountRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "register", Method: http.MethodPost, Path: "/register", Tag: "account", Status: http.StatusAccepted,
		Summary: "Register", Doc: "Sends a mail with a link to verify the address. The answer is the same whether or not the address has an account.",
	}, func(ctx context.Context, in *registerInput) (*rest.Body[message], error) {
		return say(saidRegistered, f.register(ctx, applicant{email: in.Body.Email, name: in.Body.Name, password: in.Body.Password}))
	})
	rest.Handle(f.api, rest.Route{
		ID: "verify", Method: http.MethodPost, Path: "/verify", Tag: "account",
		Summary: "Verify an address and log in", Doc: "Takes the password of the registration besides the link, so that nobody verifies an account that a stranger made. Who does not know it resets it, which verifies the address too.",
	}, func(ctx context.Context, in *verifyInput) (*entered, error) {
		e, err := f.verify(ctx, in.Body.Token, in.Body.Password)
		return f.entered(e, in.Body.Cookie, err)
	})
	rest.Handle(f.api, rest.Route{
		ID: "resend-verification", Method: http.MethodPost, Path: "/verify/resend", Tag: "account", Status: http.StatusAccepted,
		Summary: "Send the link to verify an address again",
	}, func(ctx context.Context, in *emailInput) (*rest.Body[message], error) {
		return say(saidMail, f.resend(ctx, in.Body.Email))
	})
	rest.Handle(f.api, rest.Route{
		ID: "change-email", Method: http.MethodPost, Path: "/email", Tag: "account", Status: http.StatusAccepted, Scope: account.ScopeSession,
		Summary: "Ask for another address", Doc: "Sends a link to the new address, which confirms it.",
	}, func(ctx context.Context, in *changeEmailInput) (*rest.Body[message], error) {
		return say(saidEmail, f.askEmail(ctx, in.Body.Email, in.Body.Password))
	})
	rest.Handle(f.api, rest.Route{
		ID: "confirm-email", Method: http.MethodPost, Path: "/email/confirm", Tag: "account", Status: http.StatusNoContent,
		Summary: "Confirm another address", Doc: "Sessions stay. The former address is told.",
	}, func(ctx context.Context, in *tokenInput) (*rest.None, error) {
		return &rest.None{}, f.confirmEmail(ctx, in.Body.Token)
	})
	rest.Handle(f.api, rest.Route{
		ID: "delete-account", Method: http.MethodPost, Path: "/account/delete", Tag: "account", Status: http.StatusNoContent, Scope: account.ScopeSession,
		Summary: "Delete the account", Doc: "Refused with the code last_owner while it is the only owner of an organization.",
	}, func(ctx context.Context, in *passwordInput) (*left, error) {
		return gone(f.deleteAccount(ctx, in.Body.Password))
	})
}

func (f *Function) passwordRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "change-password", Method: http.MethodPost, Path: "/password", Tag: "password", Scope: account.ScopeSession,
		Summary: "Change the password", Doc: "All sessions end; the answer has a new one, as a cookie when the request came by cookie.",
	}, func(ctx context.Context, in *changePasswordInput) (*entered, error) {
		e, err := f.changePassword(ctx, in.Body.Current, in.Body.New)
		return f.entered(e, byCookie(ctx), err)
	})
	rest.Handle(f.api, rest.Route{
		ID: "forgot-password", Method: http.MethodPost, Path: "/password/forgot", Tag: "password", Status: http.StatusAccepted,
		Summary: "Ask for a link to set a new password", Doc: "The answer is the same whether or not the address has an account.",
	}, func(ctx context.Context, in *emailInput) (*rest.Body[message], error) {
		return say(saidMail, f.forgot(ctx, in.Body.Email))
	})
	rest.Handle(f.api, rest.Route{
		ID: "reset-password", Method: http.MethodPost, Path: "/password/reset", Tag: "password",
		Summary: "Set a new password and log in", Doc: "Takes the token of the link. All other sessions end, and the address is verified.",
	}, func(ctx context.Context, in *verifyInput) (*entered, error) {
		e, err := f.reset(ctx, in.Body.Token, in.Body.Password)
		return f.entered(e, in.Body.Cookie, err)
	})
}

func (f *Function) sessionRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "login", Method: http.MethodPost, Path: "/login", Tag: "session",
		Summary: "Log in", Doc: "A session that the request carries ends. Too many attempts are answered 429 with Retry-After.",
	}, func(ctx context.Context, in *loginInput) (*entered, error) {
		e, err := f.login(ctx, in.Body.Email, in.Body.Password)
		return f.entered(e, in.Body.Cookie, err)
	})
	rest.Handle(f.api, rest.Route{
		ID: "logout", Method: http.MethodPost, Path: "/logout", Tag: "session", Status: http.StatusNoContent, Scope: account.ScopeSession,
		Summary: "Log out",
	}, func(ctx context.Context, _ *struct{}) (*left, error) { return gone(f.logout(ctx)) })
	rest.Handle(f.api, rest.Route{
		ID: "logout-all", Method: http.MethodPost, Path: "/logout-all", Tag: "session", Status: http.StatusNoContent, Scope: account.ScopeSession,
		Summary: "Log out everywhere",
	}, func(ctx context.Context, _ *struct{}) (*left, error) { return gone(f.logoutAll(ctx)) })
	rest.Handle(f.api, rest.Route{
		ID: "get-session", Method: http.MethodGet, Path: "/session", Tag: "session", Scope: account.ScopeSession,
		Summary: "Show who is logged in",
	}, func(ctx context.Context, _ *struct{}) (*rest.Body[whoami], error) {
		s, err := f.currentSession(ctx)
		return &rest.Body[whoami]{Body: whoami{rest.Who(ctx).User, s}}, err
	})
	rest.Handle(f.api, rest.Route{
		ID: "list-sessions", Method: http.MethodGet, Path: "/sessions", Tag: "session", Scope: account.ScopeSession,
		Summary: "List the sessions, the newest first",
	}, func(ctx context.Context, in *struct{ rest.Paging }) (*rest.Body[rest.List[account.Session]], error) {
		r, err := in.Request()
		if err != nil {
			return nil, err
		}
		found, err := f.listSessions(ctx, r)
		return rest.Listed(found), err
	})
	rest.Handle(f.api, rest.Route{
		ID: "end-session", Method: http.MethodDelete, Path: "/sessions/{session_id}", Tag: "session", Status: http.StatusNoContent, Scope: account.ScopeSession,
		Summary: "End a session",
	}, func(ctx context.Context, in *struct {
		SessionID uuid.UUID `path:"session_id" format:"uuid"`
	},
	) (*rest.None, error) {
		return &rest.None{}, f.endSession(ctx, in.SessionID)
	})
}

func (f *Function) invitationRoutes() {
	rest.Handle(f.api, rest.Route{
		ID: "preview-invitation", Method: http.MethodPost, Path: "/invitations/preview", Tag: "invitation",
		Summary: "Show an invitation", Doc: "Changes nothing.",
	}, func(ctx context.Context, in *tokenInput) (*rest.Body[offer], error) {
		if _, err := f.peek(ctx, account.Invitation, in.Body.Token); err != nil {
			return nil, err
		}
		o, err := f.preview(ctx, in.Body.Token)
		return &rest.Body[offer]{Body: o}, err
	})
	rest.Handle(f.api, rest.Route{
		ID: "accept-invitation", Method: http.MethodPost, Path: "/invitations/accept", Tag: "invitation",
		Summary: "Accept an invitation", Doc: "With a session its user becomes a member; another address than the invited one is answered 403 with the code invitation_of_another. Without, an account is made for the invited address, with the name and the password that are given, and logged in; when the address has a verified account, or no password is given, the answer is 401 with the code login_required.",
	}, func(ctx context.Context, in *acceptInput) (*joined, error) {
		m, err := f.accept(ctx, newcomer{token: in.Body.Token, name: in.Body.Name, password: in.Body.Password})
		if err != nil {
			return nil, err
		}
		return f.answerJoined(m, in.Body.Cookie), nil
	})
}
