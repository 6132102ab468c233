package ingest

// countOthers counts what of a request is no event.
func (f *Function) countOthers(in *intake) {
	if len(in.others) > 0 {
		f.usage.items(in.access, in.others, in.now)
	}
}
