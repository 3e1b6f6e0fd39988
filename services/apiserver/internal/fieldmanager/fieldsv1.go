package fieldmanager

import "strings"

// appendFields writes the set whose first node is n as FieldsV1. The keys need no
// escaping: what does is left to the library.
func appendFields(out []byte, n *node, self bool) []byte {
	out = append(out, '{')
	if self && n != nil {
		out = append(out, `".":{},`...)
	}
	for ; n != nil; n = n.next {
		out = append(out, '"', n.kind, ':')
		out = append(out, n.key...)
		out = append(out, '"', ':')
		out = appendFields(out, n.first, n.member)
		if n.next != nil {
			out = append(out, ',')
		}
	}
	return append(out, '}')
}

// plain tells whether a text is written in FieldsV1 as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			return false
		}
	}
	return true
}

// parser reads FieldsV1.
type parser struct {
	text  string
	at    int
	arena *arena
}

// parseFields reads a set that was written in canonical form; false is that it was not.
func (a *arena) parseFields(text string) (*node, bool) {
	p := parser{text: text, arena: a}
	var top node
	ok := p.object(&top)
	return top.first, ok && p.at == len(text) && !top.member && top.first != nil
}

// object reads what is below a node: {} is that it is a member and nothing is.
func (p *parser) object(into *node) bool {
	if !p.take("{") {
		return false
	}
	if p.take("}") {
		into.member = true
		return true
	}
	var children list
	if p.take(`".":{}`) {
		into.member = true
		if !p.take(",") {
			return false // It would have been written as {}.
		}
	}
	for {
		child := p.key()
		if child == nil || !p.take(":") || !p.object(child) {
			return false
		}
		if children.last != nil && compare(children.last, child) >= 0 {
			return false
		}
		children.add(child)
		if p.take("}") {
			into.first = children.first
			return true
		}
		if !p.take(",") {
			return false
		}
	}
}

func (p *parser) take(text string) bool {
	if !strings.HasPrefix(p.text[p.at:], text) {
		return false
	}
	p.at += len(text)
	return true
}

// key reads the name of a path element: "f:name", or JSON within JSON.
func (p *parser) key() *node {
	start := p.at + 3
	if start > len(p.text) || p.text[p.at] != '"' || strings.IndexByte(kinds, p.text[p.at+1]) < 0 || p.text[p.at+2] != ':' {
		return nil
	}
	kind := p.text[p.at+1]
	for i := start; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			p.at = i + 1
			return p.arena.new(kind, p.text[start:i])
		case c == '\\':
			// Only the quotes of a key's texts: what is escaped otherwise is not read.
			if kind != 'k' && kind != 'v' || i+1 == len(p.text) || p.text[i+1] != '"' {
				return nil
			}
			i++
		case c < ' ' || c > '~':
			return nil
		}
	}
	return nil
}
