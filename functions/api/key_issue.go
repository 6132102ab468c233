package api

import (
	"context"

	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/rest"
	"github.com/mesherhq/mesher/shared/tenant"
)

// NewKey is what somebody asks for who wants an API key.
type NewKey struct {
	Label         string `json:"label" minLength:"1" maxLength:"100" doc:"what it is for"`
	Environment   string `json:"environment,omitempty" maxLength:"64" example:"production" doc:"given to events that name none"`
	ExpiresInDays int    `json:"expires_in_days,omitempty" minimum:"1" maximum:"3650" doc:"after how many days it expires; none: never"`
	RateLimit     int    `json:"rate_limit,omitempty" minimum:"0" maximum:"2147483647" doc:"most events a minute with it; 0: only the project's limit holds"`
}

// IssuedKey is a new API key.
type IssuedKey struct {
	Key    tenant.Key `json:"key"`
	Secret string     `json:"secret" doc:"the key itself, mshr_…; it is shown now and never again"`
}

type createKeyInput struct {
	OfProject
	rest.Idempotent
	Body NewKey
}

func (f *Function) createKey(ctx context.Context, in *createKeyInput) (*rest.Created[IssuedKey], error) {
	return rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, func(tx postgres.Tx) error {
		_, err := keeper(ctx, tx, in.ProjectID)
		return err
	}, func(tx postgres.Tx) (IssuedKey, error) {
		p, err := keeper(ctx, tx, in.ProjectID)
		if err != nil {
			return IssuedKey{}, err
		}
		k, secret, err := tenant.IssueKey(ctx, tx, p.ID, tenant.KeySpec{
			Label: in.Body.Label, Environment: in.Body.Environment, Lifetime: lifetime(in.Body.ExpiresInDays),
			RateLimit: in.Body.RateLimit,
		})
		if err != nil {
			return IssuedKey{}, err
		}
		return IssuedKey{k, secret}, record(ctx, tx, p.OrganizationID, "key.create", keyTarget(k), particulars{
			"project": k.Project, "label": k.Label, "environment": k.Environment, "expires_at": until(k.ExpiresAt),
			"rate_limit": k.RateLimit,
		})
	})
}

// KeyRotation is how an API key is to be replaced.
type KeyRotation struct {
	Overlap string `json:"overlap,omitempty" maxLength:"32" example:"24h" doc:"how long the old key lives on, in days, hours and minutes as in 7d, 24h or 1d12h; 0m: not at all; none: 24h"`
}

// overlap is how long a key that is replaced lives on when the call does not say.
const overlap = day

func (r *KeyRotation) change(ctx context.Context, tx postgres.Tx, in OfKey) (tenant.Rotation, error) {
	span := overlap
	if r != nil && r.Overlap != "" {
		var err error
		if span, err = tenant.ParseSpan(r.Overlap); err != nil {
			return tenant.Rotation{}, err
		}
	}
	return tenant.RotateKey(ctx, tx, in.ProjectID, in.KeyID, span)
}

// RotatedKey is an API key that was replaced, and its successor.
type RotatedKey struct {
	Old    tenant.Key `json:"old"`
	New    tenant.Key `json:"new"`
	Secret string     `json:"secret" doc:"the new key itself, mshr_…; it is shown now and never again"`
}

type rotateKeyInput struct {
	OfKey
	rest.Idempotent
	Body *KeyRotation `required:"false"`
}

func (f *Function) rotateKey(ctx context.Context, in *rotateKeyInput) (*rest.Created[RotatedKey], error) {
	return rest.Once(ctx, f.pool, in.IdempotencyKey, in.Body, func(tx postgres.Tx) error {
		_, err := keeper(ctx, tx, in.ProjectID)
		return err
	}, func(tx postgres.Tx) (RotatedKey, error) {
		p, err := keeper(ctx, tx, in.ProjectID)
		if err != nil {
			return RotatedKey{}, err
		}
		r, err := in.Body.change(ctx, tx, in.OfKey)
		if err != nil {
			return RotatedKey{}, err
		}
		return RotatedKey{r.Old, r.New, r.Secret}, record(ctx, tx, p.OrganizationID, "key.rotate", keyTarget(r.Old), particulars{
			"project": r.Old.Project, "label": r.Old.Label, "expires_at": until(r.Old.ExpiresAt),
			"successor": particulars{"id": r.New.ID, "name": r.New.Name()},
		})
	})
}
