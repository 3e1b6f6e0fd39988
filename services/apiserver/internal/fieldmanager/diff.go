package fieldmanager

import (
	"reflect"
	"slices"
	"strconv"
)

// differ finds out which fields differ between two objects of one type.
type differ struct {
	arena
	scratch []byte
	// lost is set when something was met that only the library can tell: a key that
	// needs escaping, a list with two items of one key.
	lost bool
}

// changes are the fields that differ. A node is without kind and key: these are the
// caller's to give.
type changes struct {
	set     *node // added, or of another value
	removed *node
}

// in is a value as JSON shows it.
type in struct {
	value   reflect.Value // no pointer; invalid where there is nothing or null
	present bool
}

// see returns the value of a field that is not left out.
func see(v reflect.Value) in {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return in{present: true}
		}
		v = v.Elem()
	case reflect.Map, reflect.Slice:
		if v.IsNil() {
			return in{present: true}
		}
	}
	return in{v, true}
}

// null tells whether the value is there and null.
func (v in) null() bool { return v.present && !v.value.IsValid() }

// diff compares a value of a shape before and after; one of them is present.
func (d *differ) diff(s *shape, before, after in) changes {
	if s.form == leaf || s.atomic || d.empty(s, before) && d.empty(s, after) {
		return d.whole(s, before, after)
	}
	var c changes
	switch s.form {
	case record:
		c = d.fields(s, before.value, after.value)
	case mapping:
		c = d.entries(s, before.value, after.value)
	case members:
		c = d.members(before.value, after.value)
	case keyed:
		c = d.items(s, before.value, after.value)
	}
	if !before.present {
		c.set = d.mark(c.set)
	}
	if !after.present {
		c.removed = d.mark(c.removed)
	}
	return c
}

// mark makes the node itself a member.
func (d *differ) mark(n *node) *node {
	if n == nil {
		n = d.new(0, "")
	}
	n.member = true
	return n
}

// whole compares a value whose fields are not told apart.
func (d *differ) whole(s *shape, before, after in) changes {
	switch {
	case !before.present:
		return changes{set: d.mark(nil)}
	case !after.present:
		return changes{removed: d.mark(nil)}
	case !d.equal(s, before, after):
		return changes{set: d.mark(nil)}
	}
	return changes{}
}

// empty tells whether nothing is in a value that is no leaf.
func (d *differ) empty(s *shape, v in) bool {
	if !v.value.IsValid() {
		return true
	}
	if s.form != record {
		return v.value.Len() == 0
	}
	for i := range s.fields {
		if f := &s.fields[i]; !f.left(f.of(v.value)) {
			return false
		}
	}
	return true
}

// of returns the field of a struct.
func (f *fieldShape) of(v reflect.Value) reflect.Value {
	for _, i := range f.path {
		v = v.Field(i)
	}
	return v
}

// left tells whether JSON leaves the field out.
func (f *fieldShape) left(v reflect.Value) bool {
	if f.omitEmpty {
		switch v.Kind() {
		case reflect.Map, reflect.Slice, reflect.String:
			if v.Len() == 0 {
				return true
			}
		case reflect.Struct:
		default:
			if v.IsZero() {
				return true
			}
		}
	}
	return f.omitZero != nil && f.omitZero(v)
}

func (f *fieldShape) see(v reflect.Value) in {
	if !v.IsValid() {
		return in{}
	}
	field := f.of(v)
	if f.left(field) {
		return in{}
	}
	return see(field)
}

func (d *differ) fields(s *shape, before, after reflect.Value) changes {
	var set, removed list
	for i := range s.fields {
		f := &s.fields[i]
		was, is := f.see(before), f.see(after)
		if was.present || is.present {
			d.collect(d.diff(f.shape, was, is), 'f', f.name, &set, &removed)
		}
	}
	return d.changes(set, removed)
}

func (d *differ) changes(set, removed list) changes {
	var c changes
	if set.first != nil {
		c.set = d.new(0, "")
		c.set.first = set.first
	}
	if removed.first != nil {
		c.removed = d.new(0, "")
		c.removed.first = removed.first
	}
	return c
}

// collect adds what changed of a path element.
func (d *differ) collect(c changes, kind byte, key string, set, removed *list) {
	if c.set != nil {
		c.set.kind, c.set.key = kind, key
		set.add(c.set)
	}
	if c.removed != nil {
		c.removed.kind, c.removed.key = kind, key
		removed.add(c.removed)
	}
}

func (d *differ) entries(s *shape, before, after reflect.Value) changes {
	keys := mapKeys(before, after)
	var set, removed list
	for _, key := range keys {
		if !plain(key) {
			d.lost = true
			return changes{}
		}
		d.collect(d.diff(s.elem, entry(before, key), entry(after, key)), 'f', key, &set, &removed)
	}
	return d.changes(set, removed)
}

func entry(m reflect.Value, key string) in {
	if !m.IsValid() {
		return in{}
	}
	v := m.MapIndex(reflect.ValueOf(key).Convert(m.Type().Key()))
	if !v.IsValid() {
		return in{}
	}
	return see(v)
}

// mapKeys returns the keys of both, sorted.
func mapKeys(before, after reflect.Value) []string {
	var keys []string
	for _, m := range []reflect.Value{before, after} {
		if !m.IsValid() {
			continue
		}
		for _, k := range m.MapKeys() {
			keys = append(keys, k.String())
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (d *differ) members(before, after reflect.Value) changes {
	was, is := d.written(before), d.written(after)
	var set, removed list
	for _, value := range is {
		if _, found := slices.BinarySearchFunc(was, value, compareKeyed); !found {
			set.add(d.member(value))
		}
	}
	for _, value := range was {
		if _, found := slices.BinarySearchFunc(is, value, compareKeyed); !found {
			removed.add(d.member(value))
		}
	}
	return d.changes(set, removed)
}

func (d *differ) member(value string) *node {
	n := d.new('v', value)
	n.member = true
	return n
}

// written returns the items of a list as path elements have them, sorted.
func (d *differ) written(list reflect.Value) []string {
	if !list.IsValid() {
		return nil
	}
	out := make([]string, list.Len())
	for i := range out {
		d.scratch = d.appendValue(d.scratch[:0], list.Index(i))
		out[i] = string(d.scratch)
	}
	slices.SortFunc(out, compareKeyed)
	for i := 1; i < len(out); i++ {
		d.lost = d.lost || out[i] == out[i-1]
	}
	return out
}

// item is one of a list, with its key as it is written.
type item struct {
	key   string
	value in
}

func (d *differ) items(s *shape, before, after reflect.Value) changes {
	was, is := d.sorted(s, before), d.sorted(s, after)
	if d.lost {
		return changes{}
	}
	var set, removed list
	for len(was) > 0 || len(is) > 0 {
		var left, right item
		c := orderItems(was, is)
		if c >= 0 {
			right, is = is[0], is[1:]
			left.key = right.key
		}
		if c <= 0 {
			left, was = was[0], was[1:]
		}
		d.collect(d.diff(s.elem, left.value, right.value), 'k', left.key, &set, &removed)
	}
	return d.changes(set, removed)
}

// orderItems tells which of two sorted lists has the next item, or that both have.
func orderItems(a, b []item) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return compareKeyed(a[0].key, b[0].key)
}

// sorted returns the items of a list by their keys.
func (d *differ) sorted(s *shape, list reflect.Value) []item {
	if !list.IsValid() {
		return nil
	}
	out := make([]item, list.Len())
	for i := range out {
		value := see(list.Index(i))
		if value.null() {
			d.lost = true
			return nil
		}
		out[i] = item{d.keyOf(s, value.value), value}
	}
	slices.SortFunc(out, func(a, b item) int { return compareKeyed(a.key, b.key) })
	for i := 1; i < len(out); i++ {
		d.lost = d.lost || out[i].key == out[i-1].key
	}
	return out
}

// keyOf writes the key of a list item.
func (d *differ) keyOf(s *shape, v reflect.Value) string {
	out := append(d.scratch[:0], '{')
	for i := range s.keys {
		key := &s.keys[i]
		field := key.field.see(v)
		if !field.present && key.fallback == "" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, `\"`...)
		out = append(out, key.name...)
		out = append(out, `\":`...)
		if field.present {
			out = d.appendValue(out, field.value)
		} else {
			out = append(out, key.fallback...)
		}
	}
	d.lost = d.lost || len(out) == 1
	out = append(out, '}')
	d.scratch = out
	return string(out)
}

// appendValue writes a value within a path element.
func (d *differ) appendValue(out []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.String:
		d.lost = d.lost || !plain(v.String())
		return append(append(append(out, `\"`...), v.String()...), `\"`...)
	case reflect.Int32, reflect.Int64:
		return strconv.AppendInt(out, v.Int(), 10)
	}
	d.lost = true
	return out
}
