package manifest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/musterhq/muster/cmd/muster/internal/manifest"
)

// Whatever a file holds, it is refused with the place where it is wrong, or read as
// objects that have a kind and a name, and can be put in a namespace.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		two, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}` + "\n" + `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b","namespace":"x"}}`,
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- {}\n", "--- # first\n\n---\n", "a: &a [*a]", "{", "apiVersion: v1\nkind: Pod\nmetadata: []\n",
		"apiVersion: a/b/c\nkind: Pod\nmetadata: {name: a}\n", "apiVersion: v1\nkind: Pod\nmetadata: {name: a, name: b}\n", "\xef\xbb\xbf{}", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		manifests, err := manifest.Source{Paths: []string{"-"}, Stdin: strings.NewReader(text)}.Read()
		if err != nil {
			if !strings.HasPrefix(err.Error(), "stdin") {
				t.Errorf("nobody knows where: %v", err)
			}
			return
		}
		for _, m := range manifests {
			if m.Kind == "" || m.Version == "" || !json.Valid(m.JSON) || !strings.HasPrefix(m.From, "stdin:") {
				t.Errorf("%+v: %s", m, m.JSON)
			}
			if err := m.SetNamespace("x"); err != nil && m.Namespace == "" {
				t.Errorf("%s has no namespace, and gets none: %v", m, err)
			}
		}
	})
}
