package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

// ingestPlaceholder stands in a DSN for the host of Ingest, which is not known before that is deployed.
const ingestPlaceholder = "INGEST_HOST"

// seed makes sure that there is an organization, a project and a key to send a first event with.
func (s *setup) seed(ctx context.Context, tx pgx.Tx, _ *pgTarget) ([]string, error) {
	slug := tenant.Slug(s.organization)
	o, err := tenant.FindOrganization(ctx, tx, slug)
	created := fault.Is(err, fault.NotFound)
	if created {
		o, err = tenant.EnsureOrganization(ctx, tx, s.organization, slug)
	}
	if err != nil {
		return nil, err
	}
	s.report.Organization = setupTenant{ID: o.ID.String(), Name: o.Name, Slug: o.Slug, Created: created}
	lines := []string{fmt.Sprintf("organization %s (%s) %s", o.Slug, printable(o.Name), madeOrFound(created))}

	slug = tenant.Slug(s.project)
	p, err := tenant.FindProject(ctx, tx, o.ID, slug)
	if created = fault.Is(err, fault.NotFound); created {
		p, err = tenant.EnsureProject(ctx, tx, o.ID, s.project, slug)
	}
	if err != nil {
		return nil, err
	}
	s.report.Project = setupTenant{ID: p.ID.String(), Name: p.Name, Slug: p.Slug, Number: p.Number, Created: created}
	lines = append(lines, fmt.Sprintf("project %s/%s (%s), number %d, %s", o.Slug, p.Slug, printable(p.Name), p.Number, madeOrFound(created)))

	line, err := s.seedKey(ctx, tx, p.ID, p.Number)
	return append(lines, line), err
}

// seedKey creates the project's first key. A project that has or had one gets no other: it may have been revoked
// for a reason.
func (s *setup) seedKey(ctx context.Context, tx pgx.Tx, project uuid.UUID, number int64) (string, error) {
	keys, err := tenant.ListKeys(ctx, tx, project)
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
	k, key, err := tenant.IssueKey(ctx, tx, project, tenant.KeySpec{Label: "mesher setup"})
	if err != nil {
		return "", err
	}
	s.report.APIKey = &k
	s.secrets = append(
		s.secrets,
		secret{name: "MESHER_API_KEY", value: key},
		secret{name: "MESHER_DSN", value: "https://" + key + "@" + ingestPlaceholder + "/" + strconv.FormatInt(number, 10)},
	)
	return "API key " + k.Name() + " created", nil
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
	text := "\n# What the functions need. It is shown this once: keep it where secrets are kept.\n" + envLines(s.secrets)
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
		return errors.Join(errors.New("the secrets could not be printed; -rotate-passwords and mesher keys create make others"), err)
	}
	return nil
}
