package fieldmanager

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// mostUpdaters is how many entries of updates an object may have; what to do with
// more is left to the library.
const mostUpdaters = 10

const (
	fieldsV1 = "FieldsV1"
	unknown  = "unknown" // manager who has no name
)

// walk sets obj's managed fields; false is that only the library can.
func (k *kind) walk(d *differ, live, obj registry.Object, manager string, now time.Time) bool {
	if manager == "" {
		manager = unknown
	}
	before, entries := k.zero, []metav1.ManagedFieldsEntry(nil)
	if live != nil {
		before, entries = reflect.ValueOf(live).Elem(), live.GetManagedFields()
	}
	if sent := obj.GetManagedFields(); k.sub == "" && sent != nil && !sameEntries(sent, entries) {
		return false // A client changes them.
	}
	if live != nil && len(entries) == 0 {
		obj.SetManagedFields(nil) // Nobody began to track it.
		return true
	}
	if slices.ContainsFunc(entries, func(e metav1.ManagedFieldsEntry) bool { return !k.readable(e) }) {
		return false
	}
	c := d.diff(k.shape, in{before, true}, in{reflect.ValueOf(obj).Elem(), true})
	if d.lost {
		return false
	}
	if c.set == nil && c.removed == nil {
		obj.SetManagedFields(entries)
		return true
	}
	return k.write(d, c, entries, obj, metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: k.version,
		Time: &metav1.Time{Time: now.UTC()}, FieldsType: fieldsV1, Subresource: k.sub,
	})
}

// readable tells whether an entry is one that walk would write.
func (k *kind) readable(e metav1.ManagedFieldsEntry) bool {
	return e.APIVersion == k.version && e.FieldsType == fieldsV1 && len(e.FieldsV1.GetRawBytes()) > len("{}") &&
		(e.Operation == metav1.ManagedFieldsOperationUpdate || e.Operation == metav1.ManagedFieldsOperationApply)
}

func sameEntries(a, b []metav1.ManagedFieldsEntry) bool {
	return slices.EqualFunc(a, b, func(x, y metav1.ManagedFieldsEntry) bool {
		return identity(x) == identity(y) && x.FieldsType == y.FieldsType && x.Time.Equal(y.Time) &&
			string(x.FieldsV1.GetRawBytes()) == string(y.FieldsV1.GetRawBytes())
	})
}

// entryID is what tells entries apart.
type entryID struct {
	manager, version, sub string
	operation             metav1.ManagedFieldsOperationType
}

func identity(e metav1.ManagedFieldsEntry) entryID {
	return entryID{e.Manager, e.APIVersion, e.Subresource, e.Operation}
}

// write makes the entries after a change: who made it owns what was set, and nobody
// what was set or removed by him.
func (k *kind) write(d *differ, c changes, entries []metav1.ManagedFieldsEntry, obj registry.Object, own metav1.ManagedFieldsEntry) bool {
	out := make([]metav1.ManagedFieldsEntry, 0, len(entries)+1)
	found := c.set == nil // Who only removed something gets no entry.
	for _, e := range entries {
		fields, ok := d.parseFields(e.FieldsV1.GetRawString())
		if !ok {
			return false
		}
		left := d.without(fields, c.removed.children())
		if mine := identity(e) == identity(own) && c.set != nil; mine {
			left, found = d.with(left, c.set.first), true
			e.Time = own.Time
		} else {
			left = d.without(left, c.set.children())
		}
		if left == nil {
			continue
		}
		if left != fields {
			e.FieldsV1 = d.encode(left)
		}
		out = append(out, e)
	}
	if !found {
		own.FieldsV1 = d.encode(c.set.first)
		out = append(out, own)
	}
	if countUpdaters(out) > mostUpdaters {
		return false
	}
	slices.SortFunc(out, compareEntries)
	if len(out) == 0 {
		out = nil
	}
	obj.SetManagedFields(out)
	return true
}

// children of a node, or of none.
func (n *node) children() *node {
	if n == nil {
		return nil
	}
	return n.first
}

func (d *differ) encode(first *node) *metav1.FieldsV1 {
	d.scratch = appendFields(d.scratch[:0], first, false)
	out := &metav1.FieldsV1{}
	out.SetRawBytes(d.scratch)
	return out
}

func countUpdaters(entries []metav1.ManagedFieldsEntry) int {
	n := 0
	for i := range entries {
		if entries[i].Operation == metav1.ManagedFieldsOperationUpdate {
			n++
		}
	}
	return n
}

// compareEntries orders entries as Kubernetes stores them.
func compareEntries(a, b metav1.ManagedFieldsEntry) int {
	return cmp.Or(
		strings.Compare(string(a.Operation), string(b.Operation)),
		cmp.Compare(seconds(a.Time), seconds(b.Time)),
		strings.Compare(a.Manager, b.Manager),
		strings.Compare(a.APIVersion, b.APIVersion),
		strings.Compare(a.Subresource, b.Subresource),
	)
}

func seconds(t *metav1.Time) int64 {
	if t == nil {
		return 0
	}
	return t.Unix()
}
