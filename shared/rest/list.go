package rest

import (
	"github.com/mesherhq/mesher/shared/page"
)

// Paging is what part of a list is asked for. Embed it into a list's input.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"most items of the answer"`
	Cursor string `query:"cursor" maxLength:"200" doc:"next of the answer before; leave it out to begin at the start"`
}

// Request returns the page that is asked for. A cursor that no list returned is a fault.Invalid.
func (p Paging) Request() (page.Request, error) {
	after, err := page.Parse(p.Cursor)
	return page.Request{Limit: p.Limit, After: after}, err
}

// List is one page of a list.
type List[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"cursor of the next page; missing on the last"`
}

// Listed returns a page as it is answered.
func Listed[T any](p page.Of[T]) *Body[List[T]] {
	l := List[T]{Items: p.Rows, Next: p.Next.String()}
	if l.Items == nil {
		l.Items = []T{}
	}
	return &Body[List[T]]{Body: l}
}
