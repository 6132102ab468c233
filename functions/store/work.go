package store

import "github.com/google/uuid"

// work is what a transaction writes besides rows, as statements in their order and as what there is to remember
// once it is committed.
type work struct {
	statements []string
	tags       []tagValue
	users      []userValue
	releases   []release
	ruleUsers  []ruleUser

	candidates    []candidate // alerts that are raised if they come true
	raised        []uuid.UUID // notifications to be published, after the commit
	refusedAlerts error       // why the database refuses what is done for alerts, if it does
}

// plan returns the work about rows, with up to tagsMost values of tags. Issues come last of what others may edit
// as well: the locks on them are held for the shortest time.
func plan(project uuid.UUID, rows []row, found look, known *memory, tagsMost int) (w work, err error) {
	if len(rows) == 0 {
		return w, nil
	}
	add := func(sql string, e error) {
		w.statements = append(w.statements, sql)
		if err == nil {
			err = e
		}
	}
	if w.releases = known.pickReleases(project, rows); len(w.releases) > 0 {
		add(releasesSQL(project, w.releases))
	}
	if w.tags, err = known.pickTags(rows, found, tagsMost); err != nil {
		return w, err
	}
	if len(w.tags) > 0 {
		add(tagsSQL(project, w.tags))
	}
	for _, part := range found.parts(rows) {
		if heirs := found.heirsOf(part); len(heirs) > 0 {
			add(bindSQL(project, heirs), nil)
		}
		users := known.pickUsers(part, found)
		s, e := tally(part, found)
		if e != nil {
			return w, e
		}
		add(countersSQL(project, s, users))
		w.candidates = append(w.candidates, found.watches.openings(part, s, found)...)
		w.users = append(w.users, users...)
	}
	seen, e := sightings(rows, found)
	if e != nil {
		return w, e
	}
	if len(seen) > 0 {
		add(statusSQL(project, seen, found.at))
		w.candidates = append(w.candidates, found.watches.returns(rows, seen)...)
	}
	return w, err
}

// add takes note of more work that is done.
func (w *work) add(more work) {
	w.tags = append(w.tags, more.tags...)
	w.users = append(w.users, more.users...)
	w.releases = append(w.releases, more.releases...)
	w.candidates = append(w.candidates, more.candidates...)
}
