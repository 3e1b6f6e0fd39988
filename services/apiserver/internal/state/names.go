package state

import "strings"

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
	s = strings.Clone(s)
	n[s] = s
	return s
}

// key returns a copy of the key, with the strings of others.
func (n names) key(k Key) Key {
	return Key{Resource: n.of(k.Resource), Namespace: n.of(k.Namespace), Name: strings.Clone(k.Name)}
}

// index returns a copy of the values, with the strings of others.
func (n names) index(values []string) []string {
	if len(values) == 0 {
		return nil
	}
	kept := make([]string, len(values))
	for i, v := range values {
		kept[i] = n.of(v)
	}
	return kept
}
