package auth

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/mesherhq/mesher/shared/account"
)

// view is what a page shows.
type view struct {
	Title string
	Form  bool   // whether there is something left to do
	Error string // what went wrong, in words
	Done  string // what happened
	Next  string // what to do then, or with a link that is no longer good
	Dead  bool   // whether the link is no longer good, whoever opens it
	// Forgot: with a way to ask for a new password.
	Forgot bool

	Token   string // of the link
	Address string // of the account that a password is for
	Offer   offer
	Name    string // as it was typed
	User    string // address of whose session the browser has
}

// Mine reports whether the session of the browser is that of the invited address.
func (v view) Mine() bool { return strings.EqualFold(v.User, v.Offer.Email) }

// link is a page that a link in a mail opens.
type link struct {
	path, title string
	// next is what to do when it is done, dead what to do when the link is no longer good. forgot: a new password helps then.
	next, dead string
	forgot     bool
	// look fills the view for the link, changing nothing: programs that scan mails open links. Its error closes the page.
	look func(ctx context.Context, v *view) error
	// act does what the form asks for and returns what happened, and the token of a session that began.
	act func(ctx context.Context, form url.Values, v *view) (done, session string, err error)
}

func (f *Function) links() []link {
	return []link{
		{
			path: "/auth/verify", title: "Verify your address", next: nextIn, forgot: true,
			look: f.good(account.VerifyEmail), act: f.pageVerify,
		},
		{
			path: "/auth/reset", title: "Set a new password", next: nextIn, forgot: true,
			look: f.good(account.ResetPassword), act: f.pageReset,
		},
		{
			path: "/auth/change-email", title: "Change your address", next: nextIn, dead: "Ask for the change again, where you asked for it.",
			look: f.good(account.ChangeEmail), act: f.pageChangeEmail,
		},
		{
			path: "/auth/invitation", title: "You are invited", next: nextIn, dead: "Ask who invited you for a new one.",
			look: f.lookInvitation, act: f.pageInvitation,
		},
		{
			path: "/auth/forgot", title: "Ask for a new password", next: "You can close this page; the link in the mail opens another.",
			look: func(context.Context, *view) error { return nil }, act: f.pageForgot,
		},
	}
}

// nextIn is what to do for who can log in: there is no page that does.
const nextIn = "You can close this page. Programs log in at POST /auth/v1/login, as /auth/v1/openapi.json describes."

// routePages adds the pages.
func (f *Function) routePages(p printer, front show) error {
	f.api.Page("GET "+Path+"{$}", func(w http.ResponseWriter, _ *http.Request) error {
		return front(w, http.StatusOK, view{Form: true})
	})
	for _, l := range f.links() {
		show, err := p.page(l)
		if err != nil {
			return err
		}
		f.api.Page("GET "+l.path, func(w http.ResponseWriter, r *http.Request) error { return f.open(l, show, w, r) })
		f.api.Page("POST "+l.path, func(w http.ResponseWriter, r *http.Request) error { return f.submit(l, show, w, r) })
	}
	return nil
}

// good looks whether the link's token is.
func (f *Function) good(p account.Purpose) func(context.Context, *view) error {
	return func(ctx context.Context, v *view) error {
		l, err := account.PeekOneTime(ctx, f.pool, p, v.Token)
		v.Address = l.Email
		return err
	}
}

func (f *Function) lookInvitation(ctx context.Context, v *view) (err error) {
	if v.Offer, err = f.preview(ctx, concealed(v.Token)); err != nil {
		return err
	}
	v.Address = v.Offer.Email
	if who, ok := f.session(ctx); ok {
		v.User = who.User.Email
	}
	return nil
}

func (f *Function) pageVerify(ctx context.Context, form url.Values, v *view) (done, session string, err error) {
	e, err := f.verify(ctx, concealed(v.Token), concealed(form.Get("password")))
	return "Your address is verified, and you are logged in.", e.token, err
}

func (f *Function) pageReset(ctx context.Context, form url.Values, v *view) (done, session string, err error) {
	e, err := f.reset(ctx, concealed(v.Token), concealed(form.Get("password")))
	return "The new password is set, and you are logged in. Everywhere else you are logged out.", e.token, err
}

func (f *Function) pageChangeEmail(ctx context.Context, _ url.Values, v *view) (done, session string, err error) {
	return "The new address is yours. Log in with it from now on.", "", f.confirmEmail(ctx, concealed(v.Token))
}

func (f *Function) pageForgot(ctx context.Context, form url.Values, _ *view) (done, session string, err error) {
	return saidMail, "", f.forgot(ctx, form.Get("email"))
}

// pageInvitation accepts an invitation for the invited address, whoever else's session the browser has. Where the address has an
// account, the form asked for its password: there is no other page to log in with.
func (f *Function) pageInvitation(ctx context.Context, form url.Values, v *view) (done, session string, err error) {
	v.Name = form.Get("name")
	if err := f.lookInvitation(ctx, v); err != nil {
		return "", "", err
	}
	m, session, err := f.acceptOnPage(ctx, newcomer{token: concealed(v.Token), name: v.Name, password: concealed(form.Get("password"))}, v)
	return "You are a member of " + m.invitation.Organization + " now, as " + m.user.Email + ", with the role " + string(m.invitation.Is) + ".", session, err
}

// acceptOnPage accepts for the session of the browser if it is that of the invited address, and logs in to that address otherwise.
func (f *Function) acceptOnPage(ctx context.Context, n newcomer, v *view) (m membership, session string, err error) {
	switch {
	case v.Mine():
		m, err = f.accept(ctx, n)
	case v.Offer.Account:
		e, err := f.login(ctx, v.Offer.Email, n.password)
		if err != nil {
			return m, "", err
		}
		m, err = f.acceptAs(ctx, n.token, e.user)
		return m, e.token, err
	default:
		m, err = f.acceptNew(ctx, n)
	}
	return m, m.token, err
}
