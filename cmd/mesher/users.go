package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/postgres"
)

// usersAction is one subcommand of `mesher users`.
type usersAction struct {
	name, usage, doc string
	email            bool // takes the address to work on as an argument
	flags            func(*flag.FlagSet, *usersOptions)
	run              func(ctx context.Context, db *postgres.Pool, o usersOptions, out io.Writer) error
}

// usersOptions is what the flags say.
type usersOptions struct {
	email, organization, role string
	search                    string
	limit                     int
	link                      bool
	url                       string
	asJSON                    bool
	publish                   publish // nil: there is no queue to publish to
}

func usersActions() []usersAction {
	organization := func(f *flag.FlagSet, o *usersOptions, byDefault string) {
		f.StringVar(&o.organization, "organization", "", "slug of the organization; by default "+byDefault)
	}
	address := func(f *flag.FlagSet, o *usersOptions) {
		f.StringVar(&o.url, "url", "", "where Auth answers, such as https://auth.example.com; by default AUTH_URL, or the platform on this machine")
	}
	return []usersAction{
		{
			"list", "", "list the users of an organization, or of all", false,
			func(f *flag.FlagSet, o *usersOptions) {
				organization(f, o, "all")
				f.StringVar(&o.search, "search", "", "part of address or name, in any case")
				f.IntVar(&o.limit, "limit", 1000, "most users")
			}, usersList,
		},
		{
			"invite", " EMAIL", "offer a membership, by mail or as a link", true,
			func(f *flag.FlagSet, o *usersOptions) {
				organization(f, o, "the only one")
				f.StringVar(&o.role, "role", "member", "what the user may do there: owner, admin or member")
				f.BoolVar(&o.link, "link", false, "print a link that accepts the invitation, instead of sending a mail")
				address(f, o)
			}, usersInvite,
		},
		{
			"link", " EMAIL", "print a link that sets a password, for who gets no mail", true,
			address, usersLink,
		},
		{
			"revoke", " EMAIL", "end all sessions and personal access tokens of a user", true,
			func(*flag.FlagSet, *usersOptions) {}, usersRevoke,
		},
	}
}

func usersUsage() string {
	var b strings.Builder
	b.WriteString("mesher users <action> [flags]\n\n")
	for _, a := range usersActions() {
		fmt.Fprintf(&b, "  %-22s %s\n", a.name+a.usage, a.doc)
	}
	return b.String()
}

func runUsers(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		_, err := io.WriteString(out, usersUsage())
		return err
	}
	for _, a := range usersActions() {
		if a.name != args[0] {
			continue
		}
		o, err := a.options(args[1:])
		if err != nil {
			return err
		}
		if o.url == "" {
			o.url = authURL()
		}
		o.publish = queueOf(env.OS)
		db, err := openDatabase(ctx)
		if err != nil {
			return err
		}
		defer db.Close()
		ctx, cancel := context.WithTimeout(ctx, keysMost)
		defer cancel()
		return explainDatabase(a.run(ctx, db, o, out))
	}
	return fmt.Errorf("%w: mesher users has no action %q\n%s", errUsage, args[0], usersUsage())
}

// options reads the flags of an action; they may stand before and after the address.
func (a usersAction) options(args []string) (usersOptions, error) {
	var o usersOptions
	flags := flag.NewFlagSet("users "+a.name, flag.ContinueOnError)
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, for scripts")
	a.flags(flags, &o)
	if a.email {
		if err := flags.Parse(args); err != nil {
			return o, usageError(err)
		}
		if flags.NArg() == 0 {
			return o, fmt.Errorf("%w: mesher users %s EMAIL\n%s", errUsage, a.name, usersUsage())
		}
		o.email, args = flags.Arg(0), flags.Args()[1:]
	}
	if err := flags.Parse(args); err != nil {
		return o, usageError(err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%w: mesher users %s takes no further argument; it got %d", errUsage, a.name, flags.NArg())
	}
	if a.name == "list" && o.limit < 1 {
		return o, fmt.Errorf("%w: -limit must be at least 1", errUsage)
	}
	return o, nil
}

// authURL returns where Auth answers: the setting of the functions, or the platform on this machine, unless the
// database is another's.
func authURL() string {
	if v, ok := env.OS("AUTH_URL"); ok && v != "" {
		return v
	}
	if v, ok := env.OS("DATABASE_URL"); ok && v != "" {
		return ""
	}
	info, err := local.ReadInfo(home())
	if err != nil {
		return ""
	}
	return info.URL
}

// base checks where Auth answers, which links begin with.
func (o usersOptions) base() (string, error) {
	if o.url == "" {
		return "", fault.New(fault.Invalid, "where Auth answers is not known; set AUTH_URL or -url")
	}
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fault.New(fault.Invalid, "AUTH_URL or -url must be of the form https://auth.example.com")
	}
	return strings.TrimRight(u.String(), "/"), nil
}
