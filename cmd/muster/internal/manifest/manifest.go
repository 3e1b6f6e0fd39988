// Package manifest reads objects as people write them: YAML and JSON, several in a
// file, lists of them, files in directories. It remembers where each one is from.
package manifest

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
)

// Manifest is one object as somebody wrote it.
type Manifest struct {
	schema.GroupVersionKind
	Namespace, Name string
	// JSON of the object, as it was written but for the encoding.
	JSON []byte
	// From is where it was written, for people: "web.yaml:14".
	From string
}

// String names the object as kubectl does: "deployment.apps/web".
func (m Manifest) String() string {
	kind := strings.ToLower(m.Kind)
	if m.Group != "" {
		kind += "." + m.Group
	}
	return kind + "/" + m.Name
}

// SetNamespace puts the object, which names none, in a namespace.
func (m *Manifest) SetNamespace(namespace string) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(m.JSON, &object); err != nil {
		return fmt.Errorf("%s: %w", m.From, err)
	}
	metadata := map[string]json.RawMessage{}
	if err := json.Unmarshal(object["metadata"], &metadata); err != nil {
		return fmt.Errorf("%s: metadata: %w", m.From, err)
	}
	var err error
	if metadata["namespace"], err = json.Marshal(namespace); err != nil {
		return err
	}
	if object["metadata"], err = json.Marshal(metadata); err != nil {
		return err
	}
	m.Namespace = namespace
	m.JSON, err = json.Marshal(object)
	return err
}

// head is what every object and every list has.
type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name         string `json:"name"`
		GenerateName string `json:"generateName"`
		Namespace    string `json:"namespace"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// parse returns the objects of a document: one, or those of a list.
func parse(raw []byte, from string) ([]Manifest, error) {
	var h head
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &h); err != nil { // as the server reads it
		return nil, fmt.Errorf("%s: no Kubernetes object: %w", from, err)
	}
	if h.APIVersion == "" || h.Kind == "" {
		return nil, fmt.Errorf("%s: no Kubernetes object: apiVersion and kind are needed", from)
	}
	gv, err := schema.ParseGroupVersion(h.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	if gv.Version == "" {
		return nil, fmt.Errorf("%s: apiVersion %q names no version of the group", from, h.APIVersion)
	}
	if strings.HasSuffix(h.Kind, "List") && h.Metadata.Name == "" {
		var out []Manifest
		for i, item := range h.Items {
			some, err := parse(item, fmt.Sprintf("%s, item %d", from, i+1))
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
		return out, nil
	}
	m := Manifest{GroupVersionKind: gv.WithKind(h.Kind), Namespace: h.Metadata.Namespace, Name: h.Metadata.Name, JSON: raw, From: from}
	switch {
	case m.Name == "" && h.Metadata.GenerateName != "":
		return nil, fmt.Errorf("%s: %s %s* has no name, and what is applied needs one: use kubectl create", from, h.Kind, h.Metadata.GenerateName)
	case m.Name == "":
		return nil, fmt.Errorf("%s: %s has no metadata.name", from, h.Kind)
	}
	return []Manifest{m}, nil
}
