package openapi

import (
	_ "embed" // for the table
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
)

//go:generate go run ./markergen -o markers.txt

// table says what the sources of the types tell in comments only; markergen/write.go
// describes its form.
//
//go:embed markers.txt
var table string

// markers are what the table says, by package path and name of the type.
type markers map[string]*typeMarkers

type typeMarkers struct {
	words  []string // of the type itself
	doc    string
	fields map[string][]string // by name in JSON
	values []enumValue
}

type enumValue struct{ value, text string }

// readMarkers reads the table, which the generator wrote and is trusted.
func readMarkers() markers {
	out := markers{}
	var path string
	var in *typeMarkers
	at := func(name string) *typeMarkers {
		key := path + "." + name
		if out[key] == nil {
			out[key] = &typeMarkers{}
		}
		return out[key]
	}
	for line := range strings.Lines(table) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch words[0] {
		case "p":
			path = words[1]
		case "e":
			in = at(words[1])
		case "v":
			in.values = append(in.values, enumValue{words[1], words[2]})
		case "t":
			in = at(words[1])
			in.words, in.fields = words[2:], map[string][]string{}
		case "d":
			in.doc, _ = strconv.Unquote(words[1])
		case "f":
			in.fields[words[1]] = words[2:]
		}
	}
	return out
}

// of returns what is known of a type; never nil.
func (m markers) of(t reflect.Type) *typeMarkers {
	if found := m[t.PkgPath()+"."+t.Name()]; found != nil {
		return found
	}
	return &typeMarkers{}
}

// enum returns the values of an enum, and the text about them; nil of other types.
func (t *typeMarkers) enum() ([]any, string) {
	if len(t.values) == 0 {
		return nil, ""
	}
	values := make([]any, len(t.values))
	text := "\n\nPossible enum values:"
	for i, v := range t.values {
		values[i] = v.value
		text += "\n" + strings.TrimRight(" - `"+strconv.Quote(v.value)+"` "+v.text, " ")
	}
	return values, text
}

// extensionOf names the extension that a marker or a tag of a field becomes.
var extensionOf = map[string]string{
	"listMapKey":    "x-kubernetes-list-map-keys",
	"listType":      "x-kubernetes-list-type",
	"mapType":       "x-kubernetes-map-type",
	"structType":    "x-kubernetes-map-type",
	"patchStrategy": "x-kubernetes-patch-strategy",
	"patchMergeKey": "x-kubernetes-patch-merge-key",
}

// mark adds to a schema what the words say: extensions, and the default.
func mark(s *spec.Schema, words []string) {
	var keys []any
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch extension := extensionOf[name]; {
		case name == "listMapKey":
			keys = append(keys, value)
		case extension != "":
			s.AddExtension(extension, value)
		case name == "default":
			_ = json.Unmarshal([]byte(value), &s.Default) // the generator saw that it is JSON
		}
	}
	if keys != nil {
		s.AddExtension(extensionOf["listMapKey"], keys)
	}
}
