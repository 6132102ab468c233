package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

// setupLock makes one setup of a database wait for another: "setup" as a number.
const setupLock = 0x7365747570

// setup is one run of `mesher setup`.
type setup struct {
	organization, project string
	owner                 setupOwner
	rotate                bool
	file                  secretFile
	cfg                   postgres.Config
	admin                 *url.URL
	say                   func(format string, args ...any)
	report                setupReport
	secrets               []secret
	who                   tenant.Actor
	in                    tenant.Organization
	first                 tenant.Project
}

// setupReport says what a run found and did, without any secret but those in Env.
type setupReport struct {
	Migrations   []string          `json:"migrations"` // applied by this run
	Partitions   int               `json:"partitions"` // made by this run
	Roles        []setupRole       `json:"roles"`
	Organization setupTenant       `json:"organization"`
	Project      setupTenant       `json:"project"`
	APIKey       *tenant.Key       `json:"api_key,omitempty"` // only when this run created it
	Owner        *setupUser        `json:"owner,omitempty"`   // only when -owner names one
	Env          map[string]string `json:"env,omitempty"`
	File         string            `json:"file,omitempty"`
	Notes        []string          `json:"notes,omitempty"`
}

type setupRole struct {
	Name     string `json:"name"`
	Password string `json:"password"` // first, new or kept
	URL      string `json:"url"`      // with a placeholder for the password
}

type setupTenant struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Slug    string `json:"slug"`
	Number  int64  `json:"number,omitempty"`
	Created bool   `json:"created"`
}

type setupUser struct {
	ID      string `json:"id"`
	Email   string `json:"email"`
	Created bool   `json:"created"`
}

func runSetup(ctx context.Context, args []string, out io.Writer) error {
	return setupWith(ctx, env.OS, args, out)
}

// setupWith runs the command with settings from anywhere.
func setupWith(ctx context.Context, lookup env.Lookup, args []string, out io.Writer) error {
	s := setup{who: operator("setup")}
	flags := flag.NewFlagSet("setup", flag.ContinueOnError)
	flags.StringVar(&s.organization, "organization", "Default", "name of the first organization")
	flags.StringVar(&s.project, "project", "Default", "name of the first project")
	flags.StringVar(&s.owner.email, "owner", "", "address of the organization's owner, who is created with a password unless there is such a user")
	flags.StringVar(&s.owner.name, "owner-name", "", "name of the owner, when created")
	flags.BoolVar(&s.rotate, "rotate-passwords", false, "give the functions' roles new passwords even if they have some")
	flags.StringVar(&s.file.path, "out", "", "write the secrets to this file, readable by its owner only, instead of printing them")
	flags.BoolVar(&s.file.force, "force", false, "let -out replace a file")
	asJSON := flags.Bool("json", false, "print one JSON object, for scripts")
	if err := parse(flags, args); err != nil {
		return err
	}
	s.say = func(format string, args ...any) {
		if !*asJSON {
			fmt.Fprintf(out, format+"\n", args...)
		}
	}
	if err := s.check(lookup); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("set up the database: %w", err)
	}
	if !*asJSON {
		return s.print(out)
	}
	return printJSON(out, s.report)
}

// check refuses, before anything is changed, what could not be finished.
func (s *setup) check(lookup env.Lookup) error {
	if err := errors.Join(tenant.CheckName("organization's name", s.organization), tenant.CheckName("project's name", s.project)); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err := s.owner.check(lookup); err != nil {
		return err
	}
	if err := env.Read(lookup, &s.cfg); err != nil {
		return fmt.Errorf("find the database to set up: %w", err)
	}
	u, err := url.Parse(s.cfg.URL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && !u.Query().Has("host") {
		// Without the cause, which repeats the password.
		return fault.New(fault.NotConfigured, "setup derives other connection strings from DATABASE_URL, "+
			"so that must be of the form postgres://user:password@host:port/database")
	}
	s.admin = u
	return s.file.check()
}

func (s *setup) run(ctx context.Context) error {
	pool, err := postgres.Open(ctx, s.cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	c, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Release()
	conn := c.Conn()
	to, err := newTarget(ctx, conn, s.admin)
	if err != nil {
		return err
	}
	s.report.Notes = to.notes(s.cfg)
	if err := s.mayDo(ctx, conn); err != nil {
		return err
	}
	if err := s.migrate(ctx, conn); err != nil {
		return err
	}
	// Passwords, key, owner and the file that holds their secrets come into being together or not at all.
	var done []string
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "select pg_advisory_xact_lock("+strconv.Itoa(setupLock)+")"); err != nil {
			return fmt.Errorf("wait for another setup: %w", err)
		}
		for _, step := range []func(context.Context, pgx.Tx, *pgTarget) ([]string, error){s.letIn, s.seed} {
			lines, err := step(ctx, tx, to)
			if err != nil {
				return err
			}
			done = append(done, lines...)
		}
		return s.file.stage(s.secrets)
	})
	if err != nil {
		return errors.Join(err, s.file.discard())
	}
	for _, line := range done {
		s.say("%s", line)
	}
	return s.finish()
}

// migrate brings the schema up to date and makes the partitions of the days around now.
func (s *setup) migrate(ctx context.Context, conn *pgx.Conn) error {
	report, err := postgres.Migrate(ctx, conn, migrations.FS, postgres.MigrateOptions{})
	s.report.Migrations = make([]string, 0, len(report.Applied))
	for _, m := range report.Applied {
		s.report.Migrations = append(s.report.Migrations, m.Name)
		s.say("applied %s", m.Name)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if len(report.Applied) == 0 {
		s.say("the schema is up to date")
	}
	first, last, made, err := postgres.PreparePartitions(ctx, conn, time.Now())
	if err != nil {
		return err
	}
	s.report.Partitions = made
	s.say("made %d partitions; every day from %s to %s has its own", made, first.Format(time.DateOnly), last.Format(time.DateOnly))
	return nil
}

// letIn gives the functions' roles LOGIN and a password. Migrations create them without LOGIN, so a role that has
// it has been given a password.
func (s *setup) letIn(ctx context.Context, tx pgx.Tx, to *pgTarget) (lines []string, err error) {
	for _, role := range []struct{ name, variable string }{
		{postgres.RoleIngest, "DATABASE_URL_INGEST"}, {postgres.RoleStore, "DATABASE_URL_STORE"}, {postgres.RoleApp, "DATABASE_URL_APP"},
	} {
		r := setupRole{Name: role.name, Password: "first", URL: to.url(role.name, passwordPlaceholder)}
		line := role.name + " can log in now"
		var login bool
		if err := tx.QueryRow(ctx, "select rolcanlogin from pg_catalog.pg_roles where rolname = $1", role.name).Scan(&login); err != nil {
			return nil, fmt.Errorf("look for the role %s: %w", role.name, err)
		}
		if login {
			r.Password = "new"
			line = role.name + " has a new password; whatever connects with the one before is refused from now on"
		}
		if login && !s.rotate {
			r.Password = "kept"
			line = role.name + " can log in already; its password is left alone (-rotate-passwords makes a new one)"
			s.secrets = append(s.secrets, secret{name: role.variable, value: r.URL, unknown: true})
		} else {
			password := rand.Text() // letters and digits, 130 bits
			if err := postgres.LetLogin(ctx, tx, role.name, password); err != nil {
				return nil, explainRole(err)
			}
			s.secrets = append(s.secrets, secret{name: role.variable, value: to.url(role.name, password)})
		}
		s.report.Roles = append(s.report.Roles, r)
		lines = append(lines, line)
	}
	return lines, nil
}

// explainRole says what a user lacks who may not change a role.
func explainRole(err error) error {
	if postgres.SQLState(err) != "42501" {
		return err
	}
	return fmt.Errorf("%w: the user of DATABASE_URL needs CREATEROLE and, from PostgreSQL 16 on, the admin option for the role, "+
		"which whoever created it has and can grant", err)
}
