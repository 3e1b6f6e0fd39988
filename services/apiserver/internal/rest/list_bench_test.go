package rest_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rest"
)

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return len(p), nil }

func newPod(i int) *corev1.Pod {
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("web-5d9c8b7f6-%05d", i), Namespace: "default",
			Labels:      map[string]string{"app": "web", "pod-template-hash": "5d9c8b7f6", "tier": "front"},
			Annotations: map[string]string{"example.org/checksum": fmt.Sprintf("%064d", i)},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "main", Image: "registry.example.org/web:1.2.3", Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
				Env: []corev1.EnvVar{{Name: "MODE", Value: "production"}}, Resources: corev1.ResourceRequirements{Requests: requests}},
			{Name: "side", Image: "registry.example.org/side:4.5.6", Args: []string{"--listen", ":9090"}},
		}},
	}
}

func listing(b *testing.B, pods int) *rest.Handler {
	b.Helper()
	service, _ := objectstest.New(b)
	k, _ := service.Kinds().ByKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	for i := range pods {
		if _, err := service.Create(objectstest.As(pki.AdminIdentity()), objects.Target{Kind: k, Namespace: "default"}, newPod(i), false); err != nil {
			b.Fatal(err)
		}
	}
	handler, err := rest.New(rest.Config{Objects: service, Authenticator: byHeader{}, Agents: &agent{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	return handler
}

// BenchmarkList lists 10,000 pods, without the network.
func BenchmarkList(b *testing.B) {
	handler := listing(b, 10000)
	for _, form := range []struct{ name, accept, encoding string }{
		{"protobuf", "application/vnd.kubernetes.protobuf", ""},
		{"json", "application/json", ""},
		{"json, gzip", "application/json", "gzip"},
		{"protobuf, gzip", "application/vnd.kubernetes.protobuf", "gzip"},
		{"metadata", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", ""},
		{"table", "application/json;as=Table;v=v1;g=meta.k8s.io", ""},
	} {
		b.Run(form.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request, err := http.NewRequest("GET", "/api/v1/pods", nil)
				if err != nil {
					b.Fatal(err)
				}
				request.Header.Set("Accept", form.accept)
				request.Header.Set("Accept-Encoding", form.encoding)
				answer := &discard{header: http.Header{}}
				handler.ServeHTTP(answer, request)
				b.ReportMetric(float64(answer.bytes)/1e6, "MB")
			}
		})
	}
}

// BenchmarkGet reads one pod.
func BenchmarkGet(b *testing.B) {
	handler := listing(b, 100)
	for _, accept := range []string{"application/vnd.kubernetes.protobuf", "application/json"} {
		b.Run(accept, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request, err := http.NewRequest("GET", "/api/v1/namespaces/default/pods/web-5d9c8b7f6-00007", nil)
				if err != nil {
					b.Fatal(err)
				}
				request.Header.Set("Accept", accept)
				handler.ServeHTTP(&discard{header: http.Header{}}, request)
			}
		})
	}
}
