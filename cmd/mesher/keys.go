package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// keysMost bounds one command's work on the database.
const keysMost = 30 * time.Second

// keysReminder says how long Ingest takes a key that has become worthless: it asks the database once a minute.
const keysReminder = "Instances remember a key for up to 60 s, and may take it until then."

// keysAction is one subcommand of `mesher keys`.
type keysAction struct {
	name, usage, doc string
	key              bool // takes the key to work on as an argument
	flags            func(*flag.FlagSet, *keysOptions)
	run              func(ctx context.Context, db *postgres.Pool, o keysOptions, out io.Writer) error
}

// keysOptions is what the flags say.
type keysOptions struct {
	key, project     string
	spec             tenant.KeySpec
	expires, overlap string
	asJSON           bool
}

func keysActions() []keysAction {
	return []keysAction{
		{
			"list", "", "list the keys of a project, or of all", false,
			func(*flag.FlagSet, *keysOptions) {}, keysList,
		},
		{
			"create", " -label LABEL", "create a key and show it, once", false,
			func(f *flag.FlagSet, o *keysOptions) {
				f.StringVar(&o.spec.Label, "label", "", "what people know the key by, such as who uses it; at most 100 characters")
				f.StringVar(&o.spec.Environment, "environment", "", "given to events that name none; at most 64 characters")
				f.StringVar(&o.expires, "expires", "", "after this time, such as 90d, 12h or 30m, the key is refused; by default never")
			}, keysCreate,
		},
		{
			"rotate", " KEY", "give a key a successor, and let it live for a while", true,
			func(f *flag.FlagSet, o *keysOptions) {
				f.StringVar(&o.overlap, "overlap", "24h", "how long the old key is taken beside the new one: days, hours or minutes")
			}, keysRotate,
		},
		{
			"revoke", " KEY", "have a key refused from now on", true,
			func(*flag.FlagSet, *keysOptions) {}, keysRevoke,
		},
	}
}

func keysUsage() string {
	var b strings.Builder
	b.WriteString("mesher keys <action> [flags]\n\n")
	for _, a := range keysActions() {
		fmt.Fprintf(&b, "  %-22s %s\n", a.name+a.usage, a.doc)
	}
	b.WriteString("\nKEY is a key's id, or its start and end as lists show it: mshr_AbCd…WxYz (three dots will do).\n")
	return b.String()
}

func runKeys(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		_, err := io.WriteString(out, keysUsage())
		return err
	}
	for _, a := range keysActions() {
		if a.name != args[0] {
			continue
		}
		o, err := a.options(args[1:])
		if err != nil {
			return err
		}
		if o.project == "" {
			o.project = localProject()
		}
		db, err := openDatabase(ctx)
		if err != nil {
			return err
		}
		defer db.Close()
		ctx, cancel := context.WithTimeout(ctx, keysMost)
		defer cancel()
		return explainDatabase(a.run(ctx, db, o, out))
	}
	return fmt.Errorf("%w: mesher keys has no action %q\n%s", errUsage, args[0], keysUsage())
}

// options reads the flags of an action; they may stand before and after the key.
func (a keysAction) options(args []string) (keysOptions, error) {
	var o keysOptions
	flags := flag.NewFlagSet("keys "+a.name, flag.ContinueOnError)
	flags.StringVar(&o.project, "project", "", "id or slug of the project, or organization/project; by default that of the platform on this machine, else all or the only one")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, for scripts")
	a.flags(flags, &o)
	if a.key {
		if err := flags.Parse(args); err != nil {
			return o, usageError(err)
		}
		if flags.NArg() == 0 {
			return o, fmt.Errorf("%w: mesher keys %s KEY\n%s", errUsage, a.name, keysUsage())
		}
		o.key, args = flags.Arg(0), flags.Args()[1:]
	}
	if err := flags.Parse(args); err != nil {
		return o, usageError(err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%w: mesher keys %s takes no further argument; it got %d", errUsage, a.name, flags.NArg())
	}
	return o, nil
}

func usageError(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w: %w", errUsage, err)
}

// localProject returns the project of the platform on this machine, unless the database is another.
func localProject() string {
	if url, ok := env.OS("DATABASE_URL"); ok && url != "" {
		return ""
	}
	info, err := local.ReadInfo(home())
	if err != nil {
		return ""
	}
	return info.ProjectID.String()
}

// explainDatabase says what to do about an error of the database.
func explainDatabase(err error) error {
	switch postgres.SQLState(err) {
	case "42P01", "3F000":
		return fmt.Errorf("the database has no schema yet, run mesher setup or mesher migrate: %w", err)
	case "":
		if v, _ := env.OS("DATABASE_URL"); v == "" && errors.As(err, new(*pgconn.ConnectError)) {
			return fmt.Errorf("the database of the platform on this machine does not answer; is it running (make run)? %w", err)
		}
	case "42501":
		return fmt.Errorf("the user of DATABASE_URL may not do this; connect as the one who migrates: %w", err)
	}
	if fault.Is(err, fault.Invalid) {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return err
}
