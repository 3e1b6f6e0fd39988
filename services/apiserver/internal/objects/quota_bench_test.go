package objects_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// What it costs to create a config map, without a quota and with one that counts it,
// by one caller and by 64.
func BenchmarkCreateConfigMap(b *testing.B) {
	for _, quotas := range []int{0, 1} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("quotas=%d/callers=%d", quotas, callers), func(b *testing.B) {
				s, _ := objectstest.New(b)
				for range quotas {
					kind, _ := s.Kinds().ByShortName("resourcequota")
					q := hard(map[corev1.ResourceName]string{"count/configmaps": "1000000000"})
					if _, err := s.Create(admin, objects.Target{Kind: kind, Namespace: "default"}, q, false); err != nil {
						b.Fatal(err)
					}
				}
				kind, _ := s.Kinds().ByShortName("configmap")
				var n atomic.Int64
				b.SetParallelism(callers)
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						obj := &corev1.ConfigMap{
							ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("c-", n.Add(1))},
							Data:       map[string]string{"key": "value"},
						}
						if _, err := s.Create(admin, objects.Target{Kind: kind, Namespace: "default"}, obj, false); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}
