package auth

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/web"
)

//go:embed pages
var files embed.FS

// printer makes pages.
type printer struct {
	style  string
	policy string // the Content-Security-Policy
}

func newPrinter() (printer, error) {
	style, err := files.ReadFile("pages/style.css")
	if err != nil {
		return printer{}, fmt.Errorf("read the style of pages: %w", err)
	}
	sum := sha256.Sum256(style)
	return printer{
		style: string(style),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
	}, nil
}

// show writes a page.
type show func(w http.ResponseWriter, status int, v view) error

// page returns what writes the page of a link.
func (p printer) page(l link) (show, error) {
	t, err := template.ParseFS(files, "pages/layout.html", "pages/username.html", "pages/"+path.Base(l.path)+".html")
	if err != nil {
		return nil, fmt.Errorf("read the page %s: %w", l.path, err)
	}
	return func(w http.ResponseWriter, status int, v view) error {
		v.Title = l.title
		switch {
		case v.Done != "":
			v.Next = l.next
		case v.Dead:
			v.Next, v.Forgot = l.dead, l.forgot
		}
		var b bytes.Buffer
		err := t.Execute(&b, struct {
			view
			Style template.CSS
		}{v, template.CSS(p.style)}) //nolint:gosec // a file of this package
		if err != nil {
			return fmt.Errorf("write the page %s: %w", l.path, err)
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", p.policy)
		// The address of the page holds a secret.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = b.WriteTo(w)
		return nil
	}, nil
}

// open shows the form of a link. It changes nothing.
func (f *Function) open(l link, show show, w http.ResponseWriter, r *http.Request) error {
	v := view{Token: r.URL.Query().Get("token"), Form: true}
	if err := l.look(r.Context(), &v); err != nil {
		v.Form = false
		return f.showError(show, w, r, v, err)
	}
	return show(w, http.StatusOK, v)
}

// submit does what the form asks for and shows what happened. After an error the form is there again, unless the link is
// no longer good.
func (f *Function) submit(l link, show show, w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	v := view{Form: true}
	if err := parseForm(r); err != nil {
		v.Form = false
		return f.showError(show, w, r, v, err)
	}
	v.Token = r.PostForm.Get("token")
	done, session, err := l.act(ctx, r.PostForm, &v)
	if session != "" {
		w.Header().Set("Set-Cookie", f.setCookie(session))
	}
	if err != nil {
		v.Form = l.look(ctx, &v) == nil
		return f.showError(show, w, r, v, err)
	}
	v.Form, v.Done = false, done
	return show(w, http.StatusOK, v)
}

// parseForm reads a form as browsers send it; rest limits its size.
func parseForm(r *http.Request) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return fault.New(fault.Unsupported, "the form must be sent as application/x-www-form-urlencoded")
	}
	var most *http.MaxBytesError
	switch err := r.ParseForm(); {
	case errors.As(err, &most):
		return fault.New(fault.TooLarge, "the form is too large")
	case err != nil:
		return fault.Wrap(err, fault.Invalid, "the form could not be read")
	}
	for _, values := range r.PostForm {
		for _, s := range values {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				return fault.New(fault.Invalid, "the form holds a character that cannot be stored")
			}
		}
	}
	return nil
}

// busyWait is how long is asked to wait who meets a database that is busy or restarting.
const busyWait = time.Second

// showError says on the page what went wrong, as the API says it in a problem.
func (f *Function) showError(show show, w http.ResponseWriter, r *http.Request, v view, err error) error {
	if fault.KindOf(err) == fault.Internal && postgres.Transient(err) {
		err = fault.Wrap(err, fault.Unavailable, "the database is busy or away; try again").After(busyWait)
	}
	web.LogFailure(r.Context(), f.log, r.Method, r.URL.Path, err)
	v.Error = "Something went wrong on our side; it is logged."
	var e *fault.Error
	if errors.As(err, &e) {
		v.Error = sentence(e.Detail)
		if e.RetryAfter > 0 {
			w.Header().Set("Retry-After", web.RetryAfter(e.RetryAfter))
		}
	}
	code := fault.CodeOf(err)
	v.Dead = code == "token_invalid" || code == "invitation_closed"
	return show(w, fault.KindOf(err).Status(), v)
}

// refusePage answers what is refused before a page is found with a page; the API answers it as a problem.
func (f *Function) refusePage(front show) func(http.ResponseWriter, *http.Request, error) error {
	return func(w http.ResponseWriter, r *http.Request, err error) error {
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			return err
		}
		return f.showError(front, w, r, view{}, err)
	}
}

// sentence makes a sentence of an error's detail.
func sentence(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(s[n:], ".") + "."
}
