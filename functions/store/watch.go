package store

import (
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/alert"
	"github.com/mesherhq/mesher/shared/event"
	"github.com/mesherhq/mesher/shared/rawjson"
)

// watch is an alert rule as rows are held against it.
type watch struct {
	alert.Watch
	columns []alert.Tag // tags of the filter that are columns of an event, but not of a row
	tags    []alert.Tag // the others
}

// watches is the alert rules of a project, by what is done for them. The zero value does nothing.
type watches struct {
	opened, regressed []watch // tell of issues
	counted           []watch // count events
	users             []watch // count users
}

func newWatches(rules []alert.Watch) *watches {
	w := new(watches)
	for _, r := range rules {
		v := watch{Watch: r}
		for _, t := range r.Filter.Tags {
			if isColumn(t.Key) {
				v.columns = append(v.columns, t)
			} else {
				v.tags = append(v.tags, t)
			}
		}
		switch r.Kind {
		case alert.NewIssue:
			w.opened = append(w.opened, v)
		case alert.Regression:
			w.regressed = append(w.regressed, v)
		case alert.EventCount, alert.ReleaseErrorRate:
			w.counted = append(w.counted, v)
		case alert.UserCount:
			if !r.Crowded {
				w.users = append(w.users, v)
			}
		case alert.Spike, alert.MonitorStatus:
		}
	}
	return w
}

// passes reports whether a row meets the rule's filter.
func (w *watch) passes(r *row) bool {
	f := &w.Filter
	return (len(f.Levels) == 0 || slices.Contains(f.Levels, string(r.level))) &&
		(len(f.Environments) == 0 || slices.Contains(f.Environments, r.environment)) &&
		(len(f.Releases) == 0 || slices.Contains(f.Releases, r.release)) &&
		(len(w.tags) == 0 || hasTags(r.tags, w.tags)) &&
		(len(w.columns) == 0 || hasColumns(r, w.columns))
}

// hasTags reports whether an event's tags have all the values.
func hasTags(tags []byte, want []alert.Tag) bool {
	found := 0
	for key, value := range rawjson.Object(tags) {
		name := rawjson.Unquote(key)
		for i := range want {
			if want[i].Key == name && rawjson.KindOf(value) == rawjson.String && rawjson.Unquote(value) == want[i].Value {
				found++ // a key occurs once in an event, and once in a filter
			}
		}
	}
	return found == len(want)
}

// hasColumns reports whether an event has all the values where what counts as a tag is a column. Rows do not carry those: few
// rules ask for them. They are read once for all rules.
func hasColumns(r *row, want []alert.Tag) bool {
	if r.columns == nil {
		r.columns = []alert.Tag{}
		var e event.Event
		if event.DecodeLine(r.line, &e) == nil {
			for key, value := range columnTags(&e) {
				r.columns = append(r.columns, alert.Tag{Key: key, Value: value})
			}
		}
	}
	return !slices.ContainsFunc(want, func(t alert.Tag) bool { return !slices.Contains(r.columns, t) })
}

// watchMost is for how many projects an instance keeps rules as they were read.
const watchMost = 1000

// watchCache keeps rules as long as the database gives the same ones, so that they are not read anew for each transaction.
type watchCache struct {
	mu       sync.Mutex
	projects map[uuid.UUID]cachedWatches
}

type cachedWatches struct {
	text string
	*watches
}

// read returns what text says. Rules that cannot be read, such as those of a later version, are an error; there are none then.
func (c *watchCache) read(project uuid.UUID, text []byte) (*watches, error) {
	if len(text) == 0 {
		return new(watches), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, ok := c.projects[project]; ok && kept.text == string(text) {
		return kept.watches, nil
	}
	rules, err := alert.ReadWatches(text)
	if err != nil {
		return new(watches), err
	}
	if c.projects == nil || len(c.projects) >= watchMost {
		c.projects = make(map[uuid.UUID]cachedWatches)
	}
	w := newWatches(rules)
	c.projects[project] = cachedWatches{string(text), w}
	return w, nil
}
