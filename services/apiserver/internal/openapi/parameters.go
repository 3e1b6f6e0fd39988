package openapi

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const prettyText = "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser or command-line HTTP tool (curl and wget)."

func query(name, kind, text string) spec.Parameter {
	p := spec.Parameter{ParamProps: spec.ParamProps{Name: name, In: "query", Description: text}}
	p.Type, p.UniqueItems = kind, true
	return p
}

func inPath(name, text string) spec.Parameter {
	p := query(name, "string", text)
	p.In, p.Required = "path", true
	return p
}

func body(object *spec.Schema, required bool) spec.Parameter {
	return spec.Parameter{ParamProps: spec.ParamProps{Name: "body", In: "body", Required: required, Schema: object}}
}

// optionsOf returns the query parameters of a type of options: its fields that have
// a form in a URL, without those named.
func optionsOf[T documented](without ...string) []spec.Parameter {
	var zero T
	docs := zero.SwaggerDoc()
	var out []spec.Parameter
	for t, i := reflect.TypeFor[T](), 0; i < t.NumField(); i++ {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		kind := queryKind(t.Field(i).Type)
		if name == "" || kind == "" || slices.Contains(without, name) {
			continue
		}
		out = append(out, query(name, kind, docs[name]))
	}
	slices.SortFunc(out, func(a, b spec.Parameter) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// queryKind is what a value of the type is in a URL; "" of what has no form there.
func queryKind(t reflect.Type) string {
	if t == reflect.TypeFor[*metav1.Time]() {
		return "string"
	}
	t = indirect(t)
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int32, reflect.Int64:
		return "integer"
	}
	return ""
}

// Parameters of the verbs. What a watch needs is documented with lists, which it is a
// form of.
var (
	createOptions = optionsOf[metav1.CreateOptions]()
	updateOptions = optionsOf[metav1.UpdateOptions]()
	patchOptions  = optionsOf[metav1.PatchOptions]()
	deleteOptions = optionsOf[metav1.DeleteOptions]("preconditions")
	listOptions   = optionsOf[metav1.ListOptions]()
	// connectOptions of the subresources that stream, by name.
	connectOptions = map[string][]spec.Parameter{
		"attach":      optionsOf[corev1.PodAttachOptions](),
		"exec":        optionsOf[corev1.PodExecOptions](),
		"log":         optionsOf[corev1.PodLogOptions](),
		"portforward": optionsOf[corev1.PodPortForwardOptions](),
		"proxy":       optionsOf[corev1.PodProxyOptions](),
	}
)
