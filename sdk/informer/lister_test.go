package informer_test

import (
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/sdk/sdktest"
)

func TestLister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := sdktest.New(t).Client(t)
		create(t, c, "a", "web")
		create(t, c, "b", "db")
		elsewhere := configMap("a", "web")
		elsewhere.Namespace = "other"
		if _, err := sdk.Create(t.Context(), c, elsewhere); err != nil {
			t.Fatal(err)
		}
		i := run(t, c, informer.Options{})
		if err := i.WaitSynced(t.Context()); err != nil {
			t.Fatal(err)
		}
		web := labels.SelectorFromSet(labels.Set{"app": "web"})
		for _, indexed := range []bool{false, true} {
			if indexed {
				i.AddIndex(informer.NamespaceIndex, informer.ByNamespace[*corev1.ConfigMap])
			}
			if got, ok := i.Lister("other").Get("a"); !ok || got.Namespace != "other" {
				t.Errorf("indexed %v: got %v", indexed, got)
			}
			for _, test := range []struct {
				namespace string
				selector  labels.Selector
				want      int
			}{{"", nil, 3}, {"", web, 2}, {"default", nil, 2}, {"default", web, 1}, {"none", nil, 0}} {
				if got := i.Lister(test.namespace).List(test.selector); len(got) != test.want {
					t.Errorf("indexed %v, %q %v: %d objects, want %d", indexed, test.namespace, test.selector, len(got), test.want)
				}
			}
		}
	})
}
