package objects

import (
	"iter"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// listed is the state to list, and what of it is not on earlier pages.
type listed struct {
	view    state.View
	entries iter.Seq[*state.Entry]
	passed  int64 // how many entries are on earlier pages, or unknown
}

// unknown is a count that is not known.
const unknown = -1

// collect returns a page of so many objects, or of all if limit is 0.
func (l listed) collect(t Target, sel *selector, limit int64) (Page, error) {
	page := Page{Revision: l.view.Revision()}
	var last *state.Entry
	var looked int64
	for e := range l.entries {
		if limit > 0 && int64(len(page.Items)) >= limit {
			page.Remaining = l.remaining(t, sel, looked)
			token, err := l.continuation(last, page.Remaining, t).encode()
			page.Continue = token
			return page, err
		}
		ok, err := sel.matches(e)
		if err != nil {
			return Page{}, err
		}
		looked++
		if last = e; ok {
			page.Items = append(page.Items, listedEntry(t.Kind, e))
		}
	}
	return page, nil
}

// remaining counts the entries behind a page, for which so many were looked at;
// nil where that would mean to look at all of them. Where it is known how many
// are before the page that takes no time: a namespace may hold a million.
func (l listed) remaining(t Target, sel *selector, looked int64) *int64 {
	if !sel.everything() {
		return nil
	}
	remaining := l.count(t) - l.passed - looked
	if l.passed == unknown {
		remaining = -looked
		for range l.entries {
			remaining++
		}
	}
	remaining = max(remaining, 1) // the token may tell anything
	return &remaining
}

func (l listed) count(t Target) int64 {
	return int64(l.view.Count(t.Kind.StoreResource(), t.Namespace))
}

// continuation is for the page behind an entry.
func (l listed) continuation(last *state.Entry, remaining *int64, t Target) continuation {
	c := continuation{Revision: int64(l.view.Revision()), Namespace: last.Key.Namespace, Name: last.Key.Name}
	if remaining != nil {
		c.Passed = max(l.count(t)-*remaining, 0)
	}
	return c
}
