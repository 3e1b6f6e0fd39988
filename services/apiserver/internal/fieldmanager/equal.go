package fieldmanager

import "reflect"

// equal tells whether two values are the same in JSON.
func (d *differ) equal(s *shape, a, b in) bool {
	if a.null() || b.null() || !a.present || !b.present {
		return a.present == b.present && a.null() == b.null()
	}
	switch s.form {
	case leaf:
		return s.same(a.value, b.value)
	case record:
		for i := range s.fields {
			f := &s.fields[i]
			if !d.equal(f.shape, f.see(a.value), f.see(b.value)) {
				return false
			}
		}
		return true
	case mapping:
		return d.equalMaps(s, a.value, b.value)
	}
	if a.value.Len() != b.value.Len() {
		return false
	}
	for i := range a.value.Len() {
		if !d.equal(s.elem, see(a.value.Index(i)), see(b.value.Index(i))) {
			return false
		}
	}
	return true
}

func (d *differ) equalMaps(s *shape, a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for all := a.MapRange(); all.Next(); {
		other := b.MapIndex(all.Key())
		if !other.IsValid() || !d.equal(s.elem, see(all.Value()), see(other)) {
			return false
		}
	}
	return true
}
