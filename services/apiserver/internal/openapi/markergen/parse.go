package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// pkg is what was found in one package.
type pkg struct {
	types      map[string]*typeDecl
	constants  map[string]string // values of string constants
	values     map[string][]constant
	documented map[string]bool // types with a SwaggerDoc method
	models     map[string]bool // types with an OpenAPIModelName method
}

type typeDecl struct {
	spec *ast.TypeSpec
	doc  []string
}

// constant is one of an enum: its value, or which other constant has the same.
type constant struct{ name, text, value, from, same string }

func parse(dir string) (*pkg, error) {
	p := &pkg{
		types: map[string]*typeDecl{}, constants: map[string]string{}, values: map[string][]constant{},
		documented: map[string]bool{}, models: map[string]bool{},
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file) //nolint:gosec // a file of the module cache
		if err != nil {
			return nil, fmt.Errorf("read source: %w", err)
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse source: %w", err)
		}
		for _, decl := range tree.Decls {
			p.add(decl, importsOf(tree))
		}
	}
	return p, nil
}

func (p *pkg) add(decl ast.Decl, imports map[string]string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		switch {
		case d.Recv == nil:
		case d.Name.Name == "SwaggerDoc":
			p.documented[receiver(d)] = true
		case d.Name.Name == "OpenAPIModelName":
			p.models[receiver(d)] = true
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				doc := s.Doc
				if doc == nil {
					doc = d.Doc
				}
				p.types[s.Name.Name] = &typeDecl{s, lines(doc)}
			case *ast.ValueSpec:
				if d.Tok == token.CONST {
					p.constant(d, s, imports)
				}
			}
		}
	}
}

func receiver(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	name, _ := t.(*ast.Ident)
	if name == nil {
		return ""
	}
	return name.Name
}

// constant remembers a string constant, and of which type it is.
func (p *pkg) constant(d *ast.GenDecl, s *ast.ValueSpec, imports map[string]string) {
	if len(s.Values) != 1 {
		return
	}
	of, typed := s.Type.(*ast.Ident)
	given := s.Values[0]
	if call, ok := given.(*ast.CallExpr); ok && len(call.Args) == 1 { // Name = Type("text")
		if fun, ok := call.Fun.(*ast.Ident); ok && !typed {
			of, typed = fun, true
		}
		given = call.Args[0]
	}
	doc := s.Doc
	if doc == nil && !d.Lparen.IsValid() {
		doc = d.Doc
	}
	c := constant{name: s.Names[0].Name, text: strings.Join(lines(doc), " ")}
	switch e := given.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			c.value = text
			p.constants[c.name] = text
		}
	case *ast.Ident:
		c.same = e.Name
	case *ast.SelectorExpr:
		if from, ok := e.X.(*ast.Ident); ok {
			c.from, c.same = imports[from.Name], e.Sel.Name
		}
	}
	if typed {
		p.values[of.Name] = append(p.values[of.Name], c)
	}
}

// importsOf returns the import paths of a file by the names it uses for them.
func importsOf(file *ast.File) map[string]string {
	out := map[string]string{}
	for _, i := range file.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndex(path, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		out[name] = path
	}
	return out
}

// lines returns a comment's lines without the slashes.
func lines(group *ast.CommentGroup) []string {
	if group == nil {
		return nil
	}
	var out []string
	for _, c := range group.List {
		text, line := strings.CutPrefix(c.Text, "//")
		if !line {
			text = strings.TrimSuffix(strings.TrimPrefix(text, "/*"), "*/")
		}
		for _, l := range strings.Split(text, "\n") {
			out = append(out, strings.TrimPrefix(l, " "))
		}
	}
	return out
}

// markers returns the values of the markers in a comment, by name.
func markers(doc []string) map[string][]string {
	out := map[string][]string{}
	for _, line := range doc {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "+"); ok {
			name, value, _ := strings.Cut(text, "=")
			out[name] = append(out[name], value)
		}
	}
	return out
}

// jsonName returns the name of a field in JSON, and whether it is left out when empty.
func jsonName(f *ast.Field) (name string, omitted bool) {
	if f.Tag == nil {
		return "", false
	}
	tag, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return "", false
	}
	name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	return name, strings.Contains(","+options+",", ",omitempty,")
}

func names[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}
