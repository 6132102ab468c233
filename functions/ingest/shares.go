package ingest

import (
	"sync"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/web"
)

// shareOf is the part of an instance's memory that one project's requests may hold: enough for the largest one,
// and never so much that nothing is left for others.
const shareOf = 2

// shares are the projects' parts of the instance's budget. A project has one while it has a request open, so
// there are never more than requests.
type shares struct {
	whole *web.Budget
	size  int64

	mu   sync.Mutex
	open map[uuid.UUID]*share
}

type share struct {
	budget   *web.Budget
	requests int
}

func newShares(whole *web.Budget, size int64) *shares {
	return &shares{whole: whole, size: size, open: make(map[uuid.UUID]*share)}
}

// lease returns a lease of the project's share, and the function that ends it with everything it holds.
func (s *shares) lease(project uuid.UUID) (*web.Lease, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.open[project]
	if mine == nil {
		mine = &share{budget: s.whole.Share(s.size)}
		s.open[project] = mine
	}
	mine.requests++
	lease := mine.budget.NewLease()
	return lease, func() {
		lease.Release()
		s.mu.Lock()
		defer s.mu.Unlock()
		if mine.requests--; mine.requests == 0 {
			delete(s.open, project)
		}
	}
}
