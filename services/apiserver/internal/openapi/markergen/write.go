package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"regexp"
	"strconv"
	"strings"
)

// extensions are the markers that become extensions of a schema; all have the same
// name in the table.
var extensions = []string{"listMapKey", "listType", "mapType", "structType"}

// write appends the package's lines to the table:
//
//	p path            the package, for all lines below
//	e type            an enum, and below it
//	v value text      its values
//	t type markers    a type, and below it
//	d text            its documentation where the type does not know it, quoted
//	f field markers   its fields, by name in JSON
//
// Words are parted by tabs.
func (p *pkg) write(out *bytes.Buffer, path string, all map[string]*pkg) error {
	fmt.Fprintf(out, "p\t%s\n", path)
	for _, name := range names(p.types) {
		t := p.types[name]
		if !ast.IsExported(name) {
			continue
		}
		if _, enum := markers(t.doc)["enum"]; enum && !t.spec.Assign.IsValid() {
			if err := p.writeEnum(out, name, all); err != nil {
				return fmt.Errorf("enum %s: %w", name, err)
			}
		}
		s, ok := t.spec.Type.(*ast.StructType)
		if !ok || !p.models[name] {
			continue
		}
		if err := p.writeStruct(out, name, t, s); err != nil {
			return fmt.Errorf("type %s: %w", name, err)
		}
	}
	return nil
}

var spaces = regexp.MustCompile(`\s+`)

// writeEnum writes the values of an enum; of two names for one the longer text counts.
func (p *pkg) writeEnum(out *bytes.Buffer, name string, all map[string]*pkg) error {
	texts := map[string]string{}
	for _, c := range p.values[name] {
		value := c.value
		if c.same != "" {
			from := p
			if c.from != "" {
				from = all[c.from]
			}
			if from == nil || from.constants[c.same] == "" {
				return fmt.Errorf("%s is %s of %q, which is not known", c.name, c.same, c.from)
			}
			value = from.constants[c.same]
		}
		text := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(c.text), c.name))
		text = spaces.ReplaceAllString(text, " ")
		if known, ok := texts[value]; !ok || len(known) < len(text) {
			texts[value] = text
		}
	}
	if len(texts) == 0 {
		return errors.New("it has no values")
	}
	fmt.Fprintf(out, "e\t%s\n", name)
	for _, value := range names(texts) {
		fmt.Fprintf(out, "v\t%s\t%s\n", value, texts[value])
	}
	return nil
}

func (p *pkg) writeStruct(out *bytes.Buffer, name string, t *typeDecl, s *ast.StructType) error {
	var body bytes.Buffer
	if !p.documented[name] {
		if text := description(t.doc); text != "" {
			fmt.Fprintf(&body, "d\t%s\n", strconv.Quote(text))
		}
	}
	for _, f := range s.Fields.List {
		field, omitted := jsonName(f)
		if field == "" || field == "-" {
			continue
		}
		found, err := p.fieldMarkers(markers(lines(f.Doc)), omitted)
		if err != nil {
			return fmt.Errorf("field %s: %w", field, err)
		}
		if len(found) > 0 {
			fmt.Fprintf(&body, "f\t%s\t%s\n", field, strings.Join(found, "\t"))
		}
	}
	own := listed(markers(t.doc))
	if _, union := markers(t.doc)["union"]; union {
		own = append(own, "union")
	}
	if body.Len() > 0 || len(own) > 0 {
		fmt.Fprintf(out, "t\t%s\n%s", strings.Join(append([]string{name}, own...), "\t"), &body)
	}
	return nil
}

// fieldMarkers returns a field's markers as the table has them; optional and
// required only where the tag says otherwise.
func (p *pkg) fieldMarkers(m map[string][]string, omitted bool) ([]string, error) {
	out := listed(m)
	_, optional := m["optional"]
	_, required := m["required"]
	switch {
	case optional && required:
		return nil, fmt.Errorf("is optional and required")
	case optional && !omitted:
		out = append(out, "optional")
	case required && omitted:
		out = append(out, "required")
	}
	if _, ok := m["unionDiscriminator"]; ok {
		out = append(out, "unionDiscriminator")
	}
	if values := m["default"]; len(values) == 1 {
		value, err := p.literal(values[0])
		if err != nil {
			return nil, err
		}
		out = append(out, "default="+value)
	}
	return out, nil
}

func listed(m map[string][]string) []string {
	var out []string
	for _, name := range extensions {
		for _, value := range m[name] {
			out = append(out, name+"="+value)
		}
	}
	return out
}

// literal returns a default in JSON; ref(Name) is the constant of that name.
func (p *pkg) literal(text string) (string, error) {
	if name, ok := strings.CutPrefix(text, "ref("); ok {
		name = strings.TrimSuffix(name, ")")
		value, known := p.constants[name]
		if !known {
			return "", fmt.Errorf("default refers to %s, which is no string constant of the package", name)
		}
		text = strconv.Quote(value)
	}
	if !json.Valid([]byte(text)) {
		return "", fmt.Errorf("default %q is not in JSON", text)
	}
	return text, nil
}

// description makes prose of a comment as the authors of the OpenAPI documents do:
// lines are joined to paragraphs, indented ones stay, markers go.
func description(doc []string) string {
	var out strings.Builder
	trim := func() {
		if text := out.String(); text != "" {
			out.Reset()
			out.WriteString(text[:len(text)-1])
		}
	}
	for _, line := range doc {
		if line == "---" {
			break
		}
		line = strings.TrimRight(line, " ")
		start := strings.TrimLeft(line, " ")
		switch {
		case line == "":
			trim()
			out.WriteString("\n\n")
		case strings.HasPrefix(start, "TODO"), strings.HasPrefix(start, "+"):
		case strings.HasPrefix(line, " "), strings.HasPrefix(line, "\t"):
			trim()
			out.WriteString("\n" + line + "\n")
		default:
			out.WriteString(line + " ")
		}
	}
	return strings.TrimSpace(out.String())
}
