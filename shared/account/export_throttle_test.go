package account

// Hold takes one of the hasher's turns until release is called.
func (h *Hasher) Hold() (release func()) {
	h.turns.common <- struct{}{}
	return func() { <-h.turns.common }
}
