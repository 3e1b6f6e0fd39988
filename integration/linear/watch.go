package linear

import (
	"fmt"
	"slices"
)

// RecordKind is what a watcher noted.
type RecordKind string

// The kinds of records.
const (
	// Begin starts anew: the present state follows, then Synced.
	Begin RecordKind = "begin"
	// Initial is an item of the present state.
	Initial RecordKind = "initial"
	// Synced ends the present state, as of a revision.
	Synced RecordKind = "synced"
	// Added, Modified and Deleted are changes; a deleted Item holds the last
	// value, and the revision of the deletion.
	Added    RecordKind = "added"
	Modified RecordKind = "modified"
	Deleted  RecordKind = "deleted"
	// Bookmark says that everything up to a revision was sent.
	Bookmark RecordKind = "bookmark"
	// Resume goes on elsewhere, behind a revision.
	Resume RecordKind = "resume"
	// Expired is the typed answer that the revision is no longer kept.
	Expired RecordKind = "expired"
)

// Record is one note of a watcher.
type Record struct {
	Kind     RecordKind `json:"kind"`
	Item     Item       `json:"item,omitzero"`
	Revision uint64     `json:"revision,omitempty"`
	// Server that was asked, for the reader.
	Server string `json:"server,omitempty"`
}

// Watch is what one watcher of a range noted, in order.
type Watch struct {
	Name    string   `json:"name"`
	Range   string   `json:"range"`
	Records []Record `json:"records"`
}

// change is something that is known to have happened at a revision.
type change struct {
	Item
	deleted bool
}

// changes is all that anybody learned, by range and ordered by revision.
type changes struct {
	at      map[uint64]change
	byRange map[string][]change
	faults  []string
}

func (h *History) changes() *changes {
	c := &changes{at: map[uint64]change{}, byRange: map[string][]change{}}
	for _, op := range h.Operations {
		for _, item := range op.Response.Items {
			c.add(change{Item: item}, op.Request.String())
		}
		for i, revision := range op.Response.Revisions {
			if s := op.Request.Steps[i]; revision != 0 && s.Verb != Delete {
				c.add(change{Item: Item{s.Key, s.Value, revision}}, "the answer to "+op.Request.String())
			}
		}
	}
	for _, w := range h.Watches {
		for _, r := range w.Records {
			switch r.Kind {
			case Initial, Added, Modified, Deleted:
				c.add(change{r.Item, r.Kind == Deleted}, "watcher "+w.Name)
			}
		}
	}
	for _, one := range c.at {
		c.byRange[rangeOf(one.Key)] = append(c.byRange[rangeOf(one.Key)], one)
	}
	for _, list := range c.byRange {
		slices.SortFunc(list, func(a, b change) int { return int(a.Revision) - int(b.Revision) })
	}
	return c
}

func (c *changes) add(one change, by string) {
	if before, known := c.at[one.Revision]; known && before != one {
		c.faults = append(c.faults, fmt.Sprintf("revision %d is %v for %s, and %v for others", one.Revision, one, by, before))
		return
	}
	c.at[one.Revision] = one
}

// String tells the change.
func (c change) String() string {
	if c.deleted {
		return fmt.Sprintf("deletion of %s (was %s) at %d", c.Key, c.Value, c.Revision)
	}
	return fmt.Sprintf("%s=%s at %d", c.Key, c.Value, c.Revision)
}

func (h *History) checkWatches() []string {
	all, open := h.changes(), h.openDeletions()
	faults := all.faults
	for _, w := range h.Watches {
		f := &follower{all: all.byRange[w.Range], known: all.at, until: h.Until, open: open}
		faults = append(faults, f.follow(w)...)
	}
	return faults
}

// openDeletions are the keys that a request has removed, or may have, in ranges of which
// nobody saw all: answers do not tell the revision of a deletion.
func (h *History) openDeletions() map[string]bool {
	watched, open := h.watched(), map[string]bool{}
	for _, op := range h.Operations {
		for _, s := range op.Request.Steps {
			if op.Response.Outcome != Refused && s.Verb == Delete && !watched[rangeOf(s.Key)] {
				open[s.Key] = true
			}
		}
	}
	return open
}

// follower goes through the notes of a watcher and knows what must come next.
type follower struct {
	all   []change
	known map[uint64]change
	until uint64
	open  map[string]bool // keys that may have been removed unseen

	synced   bool
	position uint64            // up to which everything was seen
	view     map[string]string // what is there, by key
	name     string
	faults   []string
}

func (f *follower) fault(format string, args ...any) {
	f.faults = append(f.faults, fmt.Sprintf("watcher %s: ", f.name)+fmt.Sprintf(format, args...))
}

func (f *follower) follow(w Watch) []string {
	f.name, f.view = w.Name, map[string]string{}
	for _, r := range w.Records {
		switch r.Kind {
		case Begin:
			f.synced, f.view = false, map[string]string{}
		case Initial:
			f.view[r.Item.Key] = r.Item.Value
		case Synced:
			f.sync(r.Revision)
		case Added, Modified, Deleted:
			f.change(r)
		case Bookmark:
			f.bookmark(r.Revision)
		case Resume:
			if r.Revision != f.position {
				f.fault("went on behind %d, and had come to %d: the record is at fault", r.Revision, f.position)
			}
		}
	}
	if f.position < f.until {
		f.fault("came to revision %d only, of %d", f.position, f.until)
	}
	return f.faults
}

// sync compares the present state that was sent with what is known of it.
func (f *follower) sync(revision uint64) {
	if revision < f.position {
		f.fault("began anew at revision %d, and had come to %d", revision, f.position)
	}
	last := map[string]change{}
	for _, c := range f.all {
		if c.Revision <= revision {
			last[c.Key] = c
		}
	}
	for key, c := range last {
		if got := f.view[key]; !c.deleted && got != c.Value && !(got == "" && f.open[key]) {
			f.fault("began at revision %d with %s=%q, and there is %v", revision, key, got, c)
		} else if c.deleted && got != "" {
			f.fault("began at revision %d with %s=%q, and there is %v", revision, key, got, c)
		}
	}
	f.synced, f.position = true, revision
}

// passed finds what lies between the position and a revision, and was not sent.
func (f *follower) passed(before uint64) {
	i, _ := slices.BinarySearchFunc(f.all, f.position+1, func(c change, r uint64) int { return int(c.Revision) - int(r) })
	for ; i < len(f.all) && f.all[i].Revision < before; i++ {
		f.fault("did not see %v: a gap between %d and %d", f.all[i], f.position, before)
	}
}

func (f *follower) change(r Record) {
	item := r.Item
	if !f.synced {
		f.fault("saw %s of %v before the present state was complete", r.Kind, item)
	}
	if item.Revision <= f.position {
		f.fault("saw %s of %v, and had come to %d: twice, or out of order", r.Kind, item, f.position)
		return
	}
	f.passed(item.Revision)
	before, there := f.view[item.Key]
	if there != (r.Kind != Added) {
		f.fault("saw %s of %v, and the key was there: %t", r.Kind, item, there)
	}
	if r.Kind == Deleted {
		if there && before != item.Value {
			f.fault("saw the deletion of %v, and the last value was %s", item, before)
		}
		delete(f.view, item.Key)
	} else {
		f.view[item.Key] = item.Value
	}
	f.position = item.Revision
}

func (f *follower) bookmark(revision uint64) {
	if revision < f.position {
		f.fault("got a bookmark at %d, and had come to %d", revision, f.position)
		return
	}
	f.passed(revision + 1)
	f.position = revision
}
