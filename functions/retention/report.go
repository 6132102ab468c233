package retention

// Report is what a run reports besides numbers of rows. Bytes given back to the disk are those of tables that were dropped.
// What is deleted row by row gives back nothing at once: its place is used again by the same table, after the server has
// cleaned up; how many bytes that are is estimated from the table's size and rows.
type Report struct {
	BytesReturned int64    `json:"bytes_returned"`
	BytesReusable int64    `json:"bytes_reusable"` // about
	Steps         []Freed  `json:"steps"`
	Days          []string `json:"days"` // whose events were dropped; the first hundred
}

// Freed is what one step removed.
type Freed struct {
	Step          string `json:"step"`
	Rows          int64  `json:"rows"`
	BytesReturned int64  `json:"bytes_returned,omitempty"`
	BytesReusable int64  `json:"bytes_reusable,omitempty"`
}

// listedMost bounds the list of a report, which is kept with the run.
const listedMost = 100

func newReport() *Report { return &Report{Steps: []Freed{}, Days: []string{}} }

// add counts what a step removed, once or more.
func (r *Report) add(n Freed) {
	r.BytesReturned += n.BytesReturned
	r.BytesReusable += n.BytesReusable
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Step == n.Step {
			s.Rows += n.Rows
			s.BytesReturned += n.BytesReturned
			s.BytesReusable += n.BytesReusable
			return
		}
	}
	if n.Rows > 0 || n.BytesReturned > 0 {
		r.Steps = append(r.Steps, n)
	}
}
