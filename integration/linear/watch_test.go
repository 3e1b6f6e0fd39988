package linear_test

import (
	"testing"

	"github.com/musterhq/muster/integration/linear"
)

func event(kind linear.RecordKind, key, value string, at uint64) linear.Record {
	return linear.Record{Kind: kind, Item: item(key, value, at)}
}

func mark(kind linear.RecordKind, at uint64) linear.Record {
	return linear.Record{Kind: kind, Revision: at}
}

// all is what happened: x is created, changed and deleted, then y is created.
func all() []linear.Record {
	return []linear.Record{
		mark(linear.Begin, 0), mark(linear.Synced, 10),
		event(linear.Added, "a/x", "x1", 11), event(linear.Modified, "a/x", "x2", 13),
		event(linear.Deleted, "a/x", "x2", 14), event(linear.Added, "a/y", "y1", 17),
	}
}

func TestCheckWatches(t *testing.T) {
	anew := func(at uint64, records ...linear.Record) []linear.Record {
		return append(append(append(all()[:3], mark(linear.Expired, 0), mark(linear.Begin, 0)), records...), mark(linear.Synced, at))
	}
	for _, c := range []struct {
		name    string
		records []linear.Record
		want    string
	}{
		{"all", all(), ""},
		{"reconnected", insert(all(), 3, mark(linear.Resume, 11)), ""},
		{"bookmarks", append(insert(all(), 5, mark(linear.Bookmark, 16)), mark(linear.Bookmark, 17), mark(linear.Bookmark, 20)), ""},
		{"gap", without(all(), 3), "did not see a/x=x2 at 13: a gap between 11 and 14"},
		{"gap across a reconnect", insert(without(all(), 3), 3, mark(linear.Resume, 11)), "a gap between 11 and 14"},
		{"deletion not seen", without(all(), 4), "did not see deletion of a/x"},
		{"gap before a bookmark", append(without(all(), 5), mark(linear.Bookmark, 20)), "did not see a/y=y1 at 17"},
		{"end not seen", without(all(), 5), "came to revision 14 only, of 17"},
		{"twice", insert(all(), 3, event(linear.Added, "a/x", "x1", 11)), "twice, or out of order"},
		{"twice across a reconnect", insert(all(), 3, mark(linear.Resume, 11), event(linear.Added, "a/x", "x1", 11)), "twice, or out of order"},
		{"out of order", insert(without(all(), 3), 4, event(linear.Modified, "a/x", "x2", 13)), "twice, or out of order"},
		{"wrong value", replace(all(), 3, event(linear.Modified, "a/x", "x9", 13)), "revision 13 is"},
		{"wrong last value", replace(all(), 4, event(linear.Deleted, "a/x", "x1", 14)), "the last value was x2"},
		{"added, but there", replace(all(), 3, event(linear.Added, "a/x", "x2", 13)), "the key was there: true"},
		{"modified, but not there", replace(all(), 5, event(linear.Modified, "a/y", "y1", 17)), "the key was there: false"},
		{"bookmark goes back", append(all(), mark(linear.Bookmark, 12)), "got a bookmark at 12"},
		{"begun anew", append(anew(15), all()[5]), ""},
		{"begun anew, in between", append(anew(13, event(linear.Initial, "a/x", "x2", 13)), all()[4:]...), ""},
		{"begun anew in the past", append(anew(10), all()[2:]...), "began anew at revision 10, and had come to 11"},
		{"begun anew with what is gone", append(anew(15, event(linear.Initial, "a/x", "x2", 13)), all()[5]), "began at revision 15"},
		{"begun anew without what is there", append(anew(13), all()[4:]...), "began at revision 13"},
	} {
		t.Run(c.name, func(t *testing.T) {
			judge(t, &linear.History{Until: 17, Watches: []linear.Watch{
				{Name: "w1", Range: "a", Records: all()}, {Name: "w2", Range: "a", Records: c.records},
			}}, c.want)
		})
	}
}

// What a writer was told must be seen by every watcher, though none saw it.
func TestAcknowledgedWriteThatNoWatcherSaw(t *testing.T) {
	h := new(history).create("a/x", "x1", 11).create("a/z", "z1", 12)
	h.Until, h.Watches = 17, []linear.Watch{{Name: "w1", Range: "a", Records: all()}}
	judge(t, &h.History, "did not see a/z=z1 at 12")
}

// Where watchers saw everything, a write without an answer that none of them
// saw was not done.
func TestWatchersTellWhatWasNotDone(t *testing.T) {
	step := linear.Step{Verb: linear.Delete, Key: "a/x"}
	h := new(history).create("a/x", "x1", 11).update("a/x", "x2", 13).lost(step).get("a/x").create("a/y", "y1", 17)
	h.Until, h.Exclusive, h.Watches = 17, true, []linear.Watch{{Name: "w1", Range: "a", Records: all()}}
	judge(t, &h.History, "")
	h.Watches[0].Records = without(all(), 4)
	judge(t, &h.History, "no order")
}

// Watchers that all began anew cannot tell whether a write without an answer was done
// meanwhile.
func TestWatchersThatBeganAnew(t *testing.T) {
	step := linear.Step{Verb: linear.Delete, Key: "a/x"}
	h := new(history).create("a/x", "x1", 11).update("a/x", "x2", 13).lost(step).get("a/x").create("a/y", "y1", 17)
	h.Until, h.Exclusive = 17, true
	anew := append(append(all()[:4], mark(linear.Expired, 0), mark(linear.Begin, 0), mark(linear.Synced, 15)), all()[5])
	h.Watches = []linear.Watch{{Name: "w1", Range: "a", Records: anew}}
	judge(t, &h.History, "")
	h.Watches = append(h.Watches, linear.Watch{Name: "w2", Range: "a", Records: without(all(), 4)})
	judge(t, &h.History, "no order")
}

func insert(list []linear.Record, at int, more ...linear.Record) []linear.Record {
	return append(append(append([]linear.Record(nil), list[:at]...), more...), list[at:]...)
}

func without(list []linear.Record, at int) []linear.Record {
	return append(append([]linear.Record(nil), list[:at]...), list[at+1:]...)
}

func replace(list []linear.Record, at int, by linear.Record) []linear.Record {
	return insert(without(list, at), at, by)
}
