package fieldmanager

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

const status = "status"

// resetKey names a kind, or a subresource of it.
type resetKey struct {
	kind schema.GroupKind
	sub  string
}

// reset lists the fields that a write to a kind or a subresource undoes, so that who
// writes does not own them; what is not listed: the status, and in that all but it.
var reset = map[resetKey][][]string{
	{schema.GroupKind{Kind: "Pod"}, status}: {{"spec"}, {"metadata", "deletionTimestamp"}, {"metadata", "ownerReferences"}},

	{schema.GroupKind{Group: "apps", Kind: "Deployment"}, status}: {{"spec"}, {"metadata", "labels"}},

	{schema.GroupKind{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}, ""}:         {{"spec"}, {"status"}},
	{schema.GroupKind{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}, status}:     {{"spec"}, {"status", "conditions"}},
	{schema.GroupKind{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}, "approval"}: {{"spec"}, {"status", "certificate"}},
}

// kept lists the only fields that a write to a subresource does not undo.
var kept = map[resetKey][]*fieldpath.SetMatcher{
	{schema.GroupKind{Kind: "Pod"}, "ephemeralcontainers"}: {fieldpath.MakePrefixMatcherOrDie("spec", "ephemeralContainers")},
	{schema.GroupKind{Kind: "Pod"}, "resize"}: {
		fieldpath.MakePrefixMatcherOrDie("spec", "containers", fieldpath.MatchAnyPathElement(), "resources"),
		fieldpath.MakePrefixMatcherOrDie("spec", "containers", fieldpath.MatchAnyPathElement(), "resizePolicy"),
		fieldpath.MakePrefixMatcherOrDie("spec", "initContainers", fieldpath.MatchAnyPathElement(), "resources"),
		fieldpath.MakePrefixMatcherOrDie("spec", "initContainers", fieldpath.MatchAnyPathElement(), "resizePolicy"),
	},
}

// untracked are the fields that nobody ever owns.
var untracked = [][]string{
	{"apiVersion"},
	{"kind"},
	{"metadata", "name"},
	{"metadata", "namespace"},
	{"metadata", "creationTimestamp"},
	{"metadata", "selfLink"},
	{"metadata", "uid"},
	{"metadata", "generation"},
	{"metadata", "managedFields"},
	{"metadata", "resourceVersion"},
}

// resetBy returns the fields that a write to the subresource of k undoes.
func resetBy(k *registry.Kind, sub string) [][]string {
	if fields, ok := reset[resetKey{k.GVK.GroupKind(), sub}]; ok {
		return fields
	}
	_, hasStatus := k.Subresource(status)
	switch {
	case sub == "" && hasStatus:
		return [][]string{{status}}
	case sub == status:
		return [][]string{{"spec"}}
	}
	return nil
}

// filterOf returns what the library leaves out, by the version of the kind.
func filterOf(k *registry.Kind, sub string) map[fieldpath.APIVersion]fieldpath.Filter {
	version := fieldpath.APIVersion(k.GVK.GroupVersion().String())
	if matchers, ok := kept[resetKey{k.GVK.GroupKind(), sub}]; ok {
		return map[fieldpath.APIVersion]fieldpath.Filter{version: fieldpath.NewIncludeMatcherFilter(matchers...)}
	}
	fields := resetBy(k, sub)
	if len(fields) == 0 {
		return nil
	}
	set := fieldpath.NewSet()
	for _, path := range fields {
		parts := make([]any, len(path))
		for i, name := range path {
			parts[i] = name
		}
		set.Insert(fieldpath.MakePathOrDie(parts...))
	}
	return map[fieldpath.APIVersion]fieldpath.Filter{version: fieldpath.NewExcludeSetFilter(set)}
}
