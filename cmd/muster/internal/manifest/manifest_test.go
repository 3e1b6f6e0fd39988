package manifest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/cmd/muster/internal/manifest"
)

// write makes files in a directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// told is what a manifest is and where it is from, without the directory.
func told(dir string, manifests []manifest.Manifest) []string {
	var out []string
	for _, m := range manifests {
		out = append(out, fmt.Sprintf("%s %s", m, strings.TrimPrefix(m.From, dir+"/")))
	}
	return out
}

const two = `# the first document is a comment
---

apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
# and this one has something before it
apiVersion: apps/v1
kind: Deployment
metadata:
  name: b
  namespace: shop
data: |
  --- is no end here
--- # but this is
`

func TestRead(t *testing.T) {
	dir := write(t, map[string]string{
		"b.yaml": two,
		"a.json": `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}` + "\n\n" + `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"t"}}`,
		"c.yml": `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: one}}
- {apiVersion: v1, kind: ConfigMapList, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: two}}]}
`,
		"readme.txt": "no manifest", "below/d.yaml": "{apiVersion: v1, kind: Namespace, metadata: {name: ns}}", "empty.yaml": "",
	})
	flat := []string{
		"secret/s a.json:1", "secret/t a.json:3", "configmap/a b.yaml:4", "deployment.apps/b b.yaml:9",
		"service/one c.yml:2, item 1", "configmap/two c.yml:2, item 2, item 1",
	}
	deep := slices.Insert(slices.Clone(flat), 4, "namespace/ns below/d.yaml:1")
	for _, test := range []struct {
		source manifest.Source
		want   []string
	}{
		{manifest.Source{Paths: []string{dir}}, flat},
		{manifest.Source{Paths: []string{dir}, Recursive: true}, deep},
		{manifest.Source{Paths: []string{filepath.Join(dir, "a.json"), "-"}, Stdin: strings.NewReader(two)},
			[]string{"secret/s a.json:1", "secret/t a.json:3", "configmap/a stdin:4", "deployment.apps/b stdin:9"}},
	} {
		got, err := test.source.Read()
		if err != nil {
			t.Fatal(err)
		}
		if names := told(dir, got); !sameSet(names, test.want) {
			t.Errorf("%+v:\n got %q\nwant %q", test.source.Paths, names, test.want)
		}
	}
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// What is wrong is told with its place.
func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no object":      {"- 1\n- 2\n", "x.yaml:1: no Kubernetes object"},
		"no kind":        {"---\nmetadata: {name: a}\n", "x.yaml:2: no Kubernetes object: apiVersion and kind are needed"},
		"no name":        {"apiVersion: v1\nkind: Pod\n", "x.yaml:1: Pod has no metadata.name"},
		"other case":     {"apiVersion: v1\nkind: Pod\nmetaData: {name: a}\n", "x.yaml:1: Pod has no metadata.name"},
		"generated name": {"apiVersion: v1\nkind: Pod\nmetadata: {generateName: p-}\n", "use kubectl create"},
		"no YAML":        {"apiVersion: v1\n  kind: Pod\n", "x.yaml:1: "},
		"twice a key":    {"apiVersion: v1\nkind: Pod\nkind: Pod\n", `"kind" already set`},
		"no JSON":        {"{\n\"a\": 1,\n}", "x.yaml:1: "},
		"no version":     {"apiVersion: apps/\nkind: Pod\nmetadata: {name: a}\n", `x.yaml:1: apiVersion "apps/" names no version of the group`},
		"bad version":    {"apiVersion: a/b/c\nkind: Pod\nmetadata: {name: a}\n", "unexpected GroupVersion string"},
	} {
		dir := write(t, map[string]string{"x.yaml": test.text})
		_, err := manifest.Source{Paths: []string{dir}}.Read()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q", name, err, test.want)
		}
	}
	empty := write(t, map[string]string{"below/x.yaml": ""})
	if _, err := (manifest.Source{Paths: []string{empty}}).Read(); err == nil || !strings.Contains(err.Error(), "-R") {
		t.Errorf("a directory without manifests: %v", err)
	}
	if _, err := (manifest.Source{Paths: []string{"https://example.com/x.yaml"}}).Read(); err == nil || !strings.Contains(err.Error(), "curl") {
		t.Errorf("an URL: %v", err)
	}
	if _, err := (manifest.Source{Paths: []string{"/none"}}).Read(); err == nil {
		t.Error("a path that is not there was read")
	}
}

func TestOrder(t *testing.T) {
	source := manifest.Source{Paths: []string{"-"}, Stdin: strings.NewReader(`
{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}
{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"}}
{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"a"}}
{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}
`)}
	manifests, err := source.Read()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := manifest.Order(manifests), []int{3, 2, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

func TestSetNamespace(t *testing.T) {
	source := manifest.Source{Paths: []string{"-"}, Stdin: strings.NewReader(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"a":"b"}},"spec":{"x":1.50}}`)}
	manifests, err := source.Read()
	if err != nil {
		t.Fatal(err)
	}
	if err := manifests[0].SetNamespace("shop"); err != nil {
		t.Fatal(err)
	}
	want := `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"b"},"name":"p","namespace":"shop"},"spec":{"x":1.50}}`
	if got := string(manifests[0].JSON); got != want || manifests[0].Namespace != "shop" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
