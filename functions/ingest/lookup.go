package ingest

import (
	"context"

	"github.com/mesherhq/mesher/shared/batch"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/tenant"
)

// lookup is the question what one key opens, and its answer.
type lookup struct {
	hash    tenant.KeyHash
	finding tenant.Finding
}

const (
	lookupsMost    = 1000   // keys in one query
	lookupsWaiting = 10_000 // requests that may wait for one
)

// lookups returns a function that asks the database what a key opens. All keys that are asked for while a query
// runs go into the next one together: a flood of invented keys then costs one connection, and keeps neither
// known keys from being looked up again nor new ones from being found.
func lookups(db tenant.DB) func(context.Context, tenant.KeyHash) (tenant.Access, error) {
	b := batch.New(batch.Config{
		MaxCount: lookupsMost, MaxBytes: lookupsMost, BufferCount: lookupsWaiting, BufferBytes: lookupsWaiting,
		BufferCallers: lookupsWaiting, Attempt: lookupTimeout,
	}, func(ctx context.Context, _ struct{}, asked []*lookup) (int, error) {
		hashes := make([]tenant.KeyHash, len(asked))
		for i, l := range asked {
			hashes[i] = l.hash
		}
		found, err := tenant.FindAccesses(ctx, db, hashes)
		if err != nil {
			return 0, err
		}
		for i, l := range asked {
			l.finding = found[i]
		}
		return len(asked), nil
	})
	return func(_ context.Context, hash tenant.KeyHash) (tenant.Access, error) {
		l := &lookup{hash: hash}
		if errs := b.Do(struct{}{}, []batch.Item[*lookup]{{Value: l, Count: 1, Bytes: 1}}); errs != nil {
			return tenant.Access{}, fault.Wrap(errs[0], fault.Unavailable, "the API key cannot be looked up")
		}
		return l.finding.Access, l.finding.Err
	}
}
