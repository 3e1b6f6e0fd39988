package kindtest

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Shown is an object and the cells of its line, but for its age.
type Shown = struct{ Resource, Object, Want string }

// CheckShown compares the cells of objects' lines.
func CheckShown(t *testing.T, tests []Shown) {
	t.Helper()
	for _, tt := range tests {
		k := Kind(t, tt.Resource)
		obj := Decode(t, k, tt.Object)
		var parts []string
		for _, c := range k.Columns {
			if c.Name != "Age" {
				parts = append(parts, fmt.Sprint(c.Value(obj, Time)))
			}
		}
		if got := strings.Join(parts, " | "); got != tt.Want {
			t.Errorf("%s\n got %s\nwant %s", tt.Object, got, tt.Want)
		}
	}
}

// Defaulted is a manifest and what is stored of it.
type Defaulted = struct{ Resource, Object, Want string }

// CheckDefaulted compares what becomes of manifests.
func CheckDefaulted(t *testing.T, tests []Defaulted) {
	t.Helper()
	for _, tt := range tests {
		k := Kind(t, tt.Resource)
		got, want := Prepare(k, Decode(t, k, tt.Object)), Decode(t, k, tt.Want)
		want.SetGeneration(got.GetGeneration())
		if a, b := YAML(t, got), YAML(t, want); a != b {
			t.Errorf("%s: %s\nbecomes\n%s\nwant\n%s", tt.Resource, tt.Object, a, b)
		}
	}
}

// YAML writes v as YAML.
func YAML(t *testing.T, v any) string {
	t.Helper()
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Claimed is a set of claims that other objects hold.
type Claimed map[string]bool

func (c Claimed) Taken(claim registry.Claim) bool { return c[claim.Table+" "+claim.Value] }

// First picks the first of n.
func First(int) int { return 0 }
