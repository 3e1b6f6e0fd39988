package registry_test

import (
	"fmt"
	"strings"
	"testing"
)

// shown is an object and the cells of its line, but for its age.
type shown struct{ resource, object, want string }

func checkShown(t *testing.T, tests []shown) {
	t.Helper()
	for _, tt := range tests {
		k := kind(t, tt.resource)
		obj := decode(t, k, tt.object)
		var parts []string
		for _, c := range k.Columns {
			if c.Name != "Age" {
				parts = append(parts, fmt.Sprint(c.Value(obj, testTime)))
			}
		}
		if got := strings.Join(parts, " | "); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.object, got, tt.want)
		}
	}
}

// defaulted is a manifest and what is stored of it.
type defaulted struct{ resource, object, want string }

func checkDefaulted(t *testing.T, tests []defaulted) {
	t.Helper()
	for _, tt := range tests {
		k := kind(t, tt.resource)
		got, want := prepare(k, decode(t, k, tt.object)), decode(t, k, tt.want)
		want.SetGeneration(got.GetGeneration())
		if a, b := mustYAML(t, got), mustYAML(t, want); a != b {
			t.Errorf("%s: %s\nbecomes\n%s\nwant\n%s", tt.resource, tt.object, a, b)
		}
	}
}
