package auth

import (
	"context"
	"net/http"
	"net/url"

	"github.com/mesherhq/mesher/shared/account"
)

// view is what a page shows.
type view struct {
	Title string
	Form  bool   // whether there is something left to do
	Error string // what went wrong, in words
	Done  string // what happened
	// Forgot: with a way to ask for a new password.
	Forgot bool

	Token string // of the link
	Offer offer
	Name  string // as it was typed
	User  string // address of whose session the browser has
}

// link is a page that a link in a mail opens.
type link struct {
	path, title string
	forgot      bool
	// look fills the view for the link, changing nothing: programs that scan mails open links. Its error closes the page.
	look func(ctx context.Context, v *view) error
	// act does what the form asks for and returns what happened, and the token of a session that began.
	act func(ctx context.Context, form url.Values, v *view) (done, session string, err error)
}

func (f *Function) links() []link {
	return []link{
		{path: "/auth/verify", title: "Verify your address", forgot: true, look: f.good(account.VerifyEmail), act: f.pageVerify},
		{path: "/auth/reset", title: "Set a new password", look: f.good(account.ResetPassword), act: f.pageReset},
		{path: "/auth/change-email", title: "Change your address", look: f.good(account.ChangeEmail), act: f.pageChangeEmail},
		{path: "/auth/invitation", title: "You are invited", look: f.lookInvitation, act: f.pageInvitation},
		{path: "/auth/forgot", title: "Ask for a new password", look: func(context.Context, *view) error { return nil }, act: f.pageForgot},
	}
}

// routePages adds the pages.
func (f *Function) routePages() error {
	p, err := newPrinter()
	if err != nil {
		return err
	}
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
		_, err := account.PeekOneTime(ctx, f.pool, p, v.Token)
		return err
	}
}

func (f *Function) lookInvitation(ctx context.Context, v *view) (err error) {
	if v.Offer, err = f.preview(ctx, concealed(v.Token)); err != nil {
		return err
	}
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

// pageInvitation accepts an invitation. Where the address has an account, the form asked for its password: there is no other page
// to log in with.
func (f *Function) pageInvitation(ctx context.Context, form url.Values, v *view) (done, session string, err error) {
	v.Name = form.Get("name")
	if err := f.lookInvitation(ctx, v); err != nil {
		return "", "", err
	}
	var m membership
	if v.User == "" && v.Offer.Account {
		m.entrance, err = f.login(ctx, v.Offer.Email, concealed(form.Get("password")))
		if err != nil {
			return "", "", err
		}
		session = m.token
		m, err = f.acceptAs(ctx, concealed(v.Token), m.user)
	} else {
		m, err = f.accept(ctx, newcomer{token: concealed(v.Token), name: v.Name, password: concealed(form.Get("password"))})
		session = m.token
	}
	return "You are a member of " + v.Offer.Organization + " now, as " + m.user.Email + ".", session, err
}
