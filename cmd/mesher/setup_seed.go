package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/monitor"
	"github.com/mesherhq/mesher/shared/tenant"
)

// ingestPlaceholder stands in a DSN for the host of Ingest, which is not known before that is deployed.
const ingestPlaceholder = "INGEST_HOST"

// seed makes sure that there is an organization, a project and a key to send a first event with, and an owner if one
// is asked for.
func (s *setup) seed(ctx context.Context, tx pgx.Tx, _ *pgTarget) (lines []string, err error) {
	for _, step := range []func(context.Context, pgx.Tx) (string, error){
		s.seedOrganization, s.seedProject, s.seedKey, s.seedOwner, s.seedMonitors,
	} {
		line, err := step(ctx, tx)
		if err != nil {
			return nil, err
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

func (s *setup) seedOrganization(ctx context.Context, tx pgx.Tx) (string, error) {
	slug := tenant.Slug(s.organization)
	o, err := tenant.FindOrganization(ctx, tx, slug)
	created := fault.Is(err, fault.NotFound)
	if created {
		if o, err = tenant.EnsureOrganization(ctx, tx, s.organization, slug); err == nil {
			err = tenant.Record(ctx, tx, o.ID, s.who, "organization.create",
				tenant.Target{Kind: "organization", ID: o.ID, Name: o.Name}, particulars{"slug": o.Slug})
		}
	}
	if err != nil {
		return "", err
	}
	s.in = o
	s.report.Organization = setupTenant{ID: o.ID.String(), Name: o.Name, Slug: o.Slug, Created: created}
	return fmt.Sprintf("organization %s (%s) %s", o.Slug, printable(o.Name), madeOrFound(created)), nil
}

func (s *setup) seedProject(ctx context.Context, tx pgx.Tx) (string, error) {
	slug := tenant.Slug(s.project)
	p, err := tenant.FindProject(ctx, tx, s.in.ID, slug)
	created := fault.Is(err, fault.NotFound)
	if created {
		if p, err = tenant.EnsureProject(ctx, tx, s.in.ID, s.project, slug); err == nil {
			err = tenant.Record(ctx, tx, s.in.ID, s.who, "project.create",
				tenant.Target{Kind: "project", ID: p.ID, Name: p.Name}, particulars{"slug": p.Slug})
		}
	}
	if err != nil {
		return "", err
	}
	s.first = p
	s.report.Project = setupTenant{ID: p.ID.String(), Name: p.Name, Slug: p.Slug, Number: p.Number, Created: created}
	return fmt.Sprintf("project %s/%s (%s), number %d, %s", s.in.Slug, p.Slug, printable(p.Name), p.Number, madeOrFound(created)), nil
}

// seedKey creates the project's first key. A project that has or had one gets no other: it may have been revoked
// for a reason.
func (s *setup) seedKey(ctx context.Context, tx pgx.Tx) (string, error) {
	keys, err := tenant.ListKeys(ctx, tx, s.first.ID)
	if err != nil {
		return "", err
	}
	if len(keys) > 0 {
		active := 0
		for _, k := range keys {
			if k.State == tenant.KeyActive {
				active++
			}
		}
		return fmt.Sprintf("the project has API keys already, %d active of %d (mesher keys create makes another)", active, len(keys)), nil
	}
	k, key, err := tenant.IssueKey(ctx, tx, s.first.ID, tenant.KeySpec{Label: "mesher setup"})
	if err != nil {
		return "", err
	}
	if err := recordKey(ctx, tx, s.in.ID, s.who, "key.create", k,
		particulars{"environment": k.Environment, "expires_at": until(k.ExpiresAt)}); err != nil {
		return "", err
	}
	s.report.APIKey = &k
	s.secrets = append(
		s.secrets,
		secret{name: "MESHER_API_KEY", value: key},
		secret{name: "MESHER_DSN", value: "https://" + key + "@" + ingestPlaceholder + "/" + strconv.FormatInt(s.first.Number, 10)},
	)
	return "API key " + k.Name() + " created", nil
}

// seedMonitors has the platform's own parts watched.
func (s *setup) seedMonitors(ctx context.Context, tx pgx.Tx) (string, error) {
	made, err := monitor.EnsurePlatform(ctx, tx, s.in.ID, time.Now())
	if err != nil {
		return "", err
	}
	for _, m := range made {
		if err := tenant.Record(ctx, tx, s.in.ID, s.who, "monitor.create", tenant.Target{Kind: "monitor", ID: m.ID, Name: m.Name},
			particulars{"kind": m.Kind, "config": m.Config}); err != nil {
			return "", err
		}
	}
	if len(made) == 0 {
		return "all parts of the platform are watched already", nil
	}
	return fmt.Sprintf("monitors of %d parts of the platform created", len(made)), nil
}

func madeOrFound(created bool) string {
	if created {
		return "created"
	}
	return "exists already"
}

// finish puts the secrets where they were asked for.
func (s *setup) finish() error {
	if s.file.path == "" {
		s.report.Env = map[string]string{}
		for _, v := range s.secrets {
			if !v.unknown {
				s.report.Env[v.name] = v.value
			}
		}
		return nil
	}
	written, err := s.file.commit()
	if written {
		s.report.File = s.file.path
	}
	return err
}

// print ends the report for people: the secrets, or where they are.
func (s *setup) print(out io.Writer) error {
	text := "\n# What the functions and the owner need. It is shown this once: keep it where secrets are kept.\n" + envLines(s.secrets)
	switch {
	case s.report.File != "":
		text = "the secrets are in " + s.report.File + ", which only its owner can read\n"
	case s.file.path != "":
		text = "there is no new secret; " + s.file.path + " is not written\n"
	case len(s.report.Env) == 0:
		text = "\n# There is no new secret.\n" + envLines(s.secrets)
	}
	for _, note := range s.report.Notes {
		text += "\nNote: " + note + "\n"
	}
	if _, err := io.WriteString(out, text); err != nil {
		return errors.Join(errors.New("the secrets could not be printed; -rotate-passwords, mesher keys create and mesher users link make others"), err)
	}
	return nil
}
