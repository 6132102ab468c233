package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/tenant"
)

func keysList(ctx context.Context, db *postgres.Pool, o keysOptions, out io.Writer) error {
	keys, err := keysInScope(ctx, db, o)
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, append([]tenant.Key{}, keys...)) // an empty list, not null
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROJECT\tKEY\tSTATE\tLABEL\tENVIRONMENT\tCREATED\tLAST USED\tEXPIRES\tID")
	for _, k := range keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.Project, k.Name(), k.State, printable(k.Label), printable(k.Environment),
			shownTime(k.CreatedAt), shownTime(k.LastUsedAt), shownTime(k.ExpiresAt), k.ID)
	}
	if len(keys) == 0 {
		fmt.Fprintln(w, "(no keys)")
	}
	return w.Flush()
}

func keysCreate(ctx context.Context, db *postgres.Pool, o keysOptions, out io.Writer) error {
	if o.expires != "" {
		span, err := tenant.ParseSpan(o.expires)
		if err != nil {
			return fmt.Errorf("%w: -expires: %w", errUsage, err)
		}
		if span == 0 {
			return fmt.Errorf("%w: -expires: a key that expires at once is of no use", errUsage)
		}
		o.spec.Lifetime = span
	}
	p, err := tenant.PickProject(ctx, db, o.project)
	if err != nil {
		return fmt.Errorf("find the project (-project): %w", err)
	}
	var k tenant.Key
	var key string
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if k, key, err = tenant.IssueKey(ctx, tx, p.ID, o.spec); err != nil {
			return err
		}
		return recordKey(ctx, tx, p.OrganizationID, operator("keys"), "key.create", k,
			particulars{"environment": k.Environment, "expires_at": until(k.ExpiresAt)})
	})
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, struct {
			tenant.Key
			Secret string `json:"key"`
		}{k, key})
	}
	expires := "does not expire"
	if !k.ExpiresAt.IsZero() {
		expires = "expires " + shownTime(k.ExpiresAt) + " UTC"
	}
	_, err = fmt.Fprintf(out, "created %s for %s; it %s. This is the only time that the key is shown:\n\n%s\n", k.Name(), k.Project, expires, key)
	return err
}

func keysRotate(ctx context.Context, db *postgres.Pool, o keysOptions, out io.Writer) error {
	overlap, err := tenant.ParseSpan(o.overlap)
	if err != nil {
		return fmt.Errorf("%w: -overlap: %w", errUsage, err)
	}
	k, organization, err := keyInScope(ctx, db, o)
	if err != nil {
		return err
	}
	var r tenant.Rotation
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if r, err = tenant.RotateKey(ctx, tx, k.ProjectID, k.ID, overlap); err != nil {
			return err
		}
		return recordKey(ctx, tx, organization, operator("keys"), "key.rotate", r.Old, particulars{
			"expires_at": until(r.Old.ExpiresAt), "successor": particulars{"id": r.New.ID, "name": r.New.Name()},
		})
	})
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, struct {
			tenant.Key
			Secret string     `json:"key"`
			Old    tenant.Key `json:"replaces"`
		}{r.New, r.Secret, r.Old})
	}
	_, err = fmt.Fprintf(out, "%s of %s is replaced by %s and expires %s UTC; it was last used: %s. %s\n"+
		"This is the only time that the new key is shown:\n\n%s\n",
		r.Old.Name(), r.Old.Project, r.New.Name(), shownTime(r.Old.ExpiresAt), shownTime(r.Old.LastUsedAt), keysReminder, r.Secret)
	return err
}

func keysRevoke(ctx context.Context, db *postgres.Pool, o keysOptions, out io.Writer) error {
	k, organization, err := keyInScope(ctx, db, o)
	if err != nil {
		return err
	}
	var changed bool
	err = postgres.InTx(ctx, db, func(tx postgres.Tx) (err error) {
		if k, changed, err = tenant.RevokeKey(ctx, tx, k.ProjectID, k.ID); err != nil || !changed {
			return err
		}
		return recordKey(ctx, tx, organization, operator("keys"), "key.revoke", k, particulars{})
	})
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, struct {
			tenant.Key
			Changed bool `json:"changed"`
		}{k, changed})
	}
	text := "%s of %s is revoked; it was last used: %s. " + keysReminder + "\n"
	if !changed {
		text = "%s of %s was revoked already, " + shownTime(k.RevokedAt) + " UTC; it was last used: %s.\n"
	}
	_, err = fmt.Fprintf(out, text, k.Name(), k.Project, shownTime(k.LastUsedAt))
	return err
}

// keysInScope returns the keys of the project that is asked for, or of all.
func keysInScope(ctx context.Context, db *postgres.Pool, o keysOptions) ([]tenant.Key, error) {
	if o.project == "" {
		return tenant.ListAllKeys(ctx, db)
	}
	p, err := tenant.PickProject(ctx, db, o.project)
	if err != nil {
		return nil, fmt.Errorf("find the project (-project): %w", err)
	}
	return tenant.ListKeys(ctx, db, p.ID)
}

// keyInScope returns the one of them that is named, and its organization.
func keyInScope(ctx context.Context, db *postgres.Pool, o keysOptions) (tenant.Key, uuid.UUID, error) {
	keys, err := keysInScope(ctx, db, o)
	if err != nil {
		return tenant.Key{}, uuid.Nil, err
	}
	k, err := tenant.PickKey(keys, o.key)
	if err != nil {
		return tenant.Key{}, uuid.Nil, err
	}
	p, err := tenant.PickProject(ctx, db, k.ProjectID.String())
	return k, p.OrganizationID, err
}

// shownTime shows a time of the database, in UTC.
func shownTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.DateTime)
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
