package version_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/version"

	own "github.com/musterhq/muster/internal/version"
)

func TestKubernetesIsAVersion(t *testing.T) {
	for build, want := range map[string]string{
		"v1.2.3":               "v1.36.0+muster.v1.2.3",
		"v1.2.3-4-gab12-dirty": "v1.36.0+muster.v1.2.3-4-gab12-dirty",
		"feature/x_":           "v1.36.0+muster.feature-x",
		"":                     "v1.36.0+muster",
	} {
		got := own.Kubernetes(build)
		if _, err := version.ParseSemantic(got); got != want || err != nil || !own.IsMuster(got) {
			t.Errorf("%q: %s, want %s; %v", build, got, want, err)
		}
	}
}
