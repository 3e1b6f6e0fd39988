package state

// namesKept bounds the strings that are remembered.
const namesKept = 1 << 14

// names has one string for all that are equal, of those that many entries have
// in common. It only spares memory: what it forgets is kept twice.
type names map[string]string

func (n names) of(s string) string {
	if s == "" {
		return ""
	}
	if known, ok := n[s]; ok {
		return known
	}
	if len(n) >= namesKept {
		clear(n)
	}
	n[s] = s
	return s
}

// key returns the key with the strings of others.
func (n names) key(k Key) Key {
	return Key{Resource: n.of(k.Resource), Namespace: n.of(k.Namespace), Name: k.Name}
}

// index replaces the values by the strings of others.
func (n names) index(values []string) []string {
	for i, v := range values {
		values[i] = n.of(v)
	}
	return values
}
