package objects

import (
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// selector is what a list or watch looks at.
type selector struct {
	kind   *registry.Kind
	labels labels.Selector
	fields fields.Selector
	// specific says that a field is named that the key and the index do not
	// tell, so that the whole object must be decoded.
	specific bool
	// indexed is the field that the index tells, and its value; "" is none.
	indexed, value string
}

func parseSelector(k *registry.Kind, labelText, fieldText string) (*selector, error) {
	l, err := labels.Parse(labelText)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("unable to parse requirement: %v", err))
	}
	f, err := fields.ParseSelector(fieldText)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	s := &selector{kind: k, labels: l, fields: f}
	known := map[string]bool{"metadata.name": true, "metadata.namespace": k.Namespaced}
	if k.Fields != nil {
		for _, name := range slices.Collect(maps.Keys(k.Fields(k.New()))) {
			known[name] = true
		}
	}
	s.useIndex()
	for _, r := range f.Requirements() {
		if !known[r.Field] {
			return nil, unknownField(k, r.Field)
		}
		s.specific = s.specific || (r.Field != "metadata.name" && r.Field != "metadata.namespace" && r.Field != s.indexed)
	}
	return s, nil
}

// unknownField words the refusal as Kubernetes does: one way for kinds that have
// fields of their own to select by, another for those that have none.
func unknownField(k *registry.Kind, name string) error {
	if k.Fields == nil {
		return apierrors.NewBadRequest(fmt.Sprintf(`%q is not a known field selector: only "metadata.name", "metadata.namespace"`, name))
	}
	return apierrors.NewBadRequest("field label not supported: " + name)
}

// useIndex finds a field that must have one value and is kept as an index.
func (s *selector) useIndex() {
	for _, name := range s.kind.Indexed {
		if value, ok := s.fields.RequiresExactMatch(name); ok {
			s.indexed, s.value = name, value
			return
		}
	}
}

func (s *selector) everything() bool { return s.labels.Empty() && s.fields.Empty() }

// matches tells whether the entry is selected. It decodes no more than it must.
func (s *selector) matches(e *state.Entry) (bool, error) {
	if s.everything() {
		return true, nil
	}
	if s.indexed != "" && !slices.Contains(e.Index(), indexValue(s.indexed, s.value)) {
		return false, nil
	}
	if !s.specific && !s.fields.Matches(s.cheapFields(e.Key.Plain())) {
		return false, nil
	}
	if !s.labels.Empty() {
		meta, err := decodeMeta(e.Value())
		if err != nil {
			return false, fmt.Errorf("decode metadata of %s %q: %w", e.Key.Resource, e.Key.Name, err)
		}
		if !s.labels.Matches(labels.Set(meta.Labels)) {
			return false, nil
		}
	}
	if !s.specific {
		return true, nil
	}
	obj, err := storedEntry(s.kind, e).Decode()
	if err != nil {
		return false, err
	}
	set := keyFields(e.Key.Plain())
	maps.Copy(set, s.kind.Fields(obj))
	return s.fields.Matches(set), nil
}

func keyFields(k state.Key) fields.Set {
	return fields.Set{"metadata.name": k.Name, "metadata.namespace": k.Namespace}
}

// cheapFields are the fields that are known of an entry in the index.
func (s *selector) cheapFields(k state.Key) fields.Set {
	set := keyFields(k)
	if s.indexed != "" {
		set[s.indexed] = s.value
	}
	return set
}

// index returns the index value that selects a superset of what the selector
// does, "" when there is none.
func (s *selector) index() string {
	if s.indexed != "" {
		return indexValue(s.indexed, s.value)
	}
	for _, key := range s.kind.IndexedLabels {
		if value, ok := s.labels.RequiresExactMatch(key); ok {
			return labelIndex(key, value)
		}
	}
	return ""
}

func indexValue(field, value string) string { return field + "=" + value }

// labelIndex is the index value of a label; no field's looks like it.
func labelIndex(key, value string) string { return "metadata.labels/" + key + "=" + value }

// indexOf returns the values that obj is kept under.
func indexOf(k *registry.Kind, obj registry.Object) []string {
	var out []string
	if len(k.Indexed) > 0 {
		set := k.Fields(obj)
		for _, name := range k.Indexed {
			out = append(out, indexValue(name, set[name]))
		}
	}
	have := obj.GetLabels()
	for _, key := range k.IndexedLabels {
		if value, ok := have[key]; ok {
			out = append(out, labelIndex(key, value))
		}
	}
	return out
}

// name returns the one name that is selected, or "".
func (s *selector) name() string {
	name, _ := s.fields.RequiresExactMatch("metadata.name")
	return name
}
