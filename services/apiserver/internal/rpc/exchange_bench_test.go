package rpc_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rpc"
)

// BenchmarkAnswer is what the server does for each call of a message, but for
// the message itself and for what the replica does.
func BenchmarkAnswer(b *testing.B) {
	service, _ := objectstest.New(b)
	s := rpc.New(service)
	ctx := objectstest.As(pki.AdminIdentity())
	const calls = 20
	all := make([]*anypb.Any, calls)
	for i := range all {
		raw, err := (&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("object-%d", i)},
			BinaryData: map[string][]byte{"value": make([]byte, 1024)},
		}).Marshal()
		if err != nil {
			b.Fatal(err)
		}
		all[i] = &anypb.Any{TypeUrl: prefix + cmType, Value: raw}
		if _, err := s.Create(ctx, &apiv1.CreateRequest{Object: all[i]}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("update", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			group := make([]*apiv1.Call, calls)
			for i := range group {
				o := &anypb.Any{TypeUrl: all[i].TypeUrl, Value: append([]byte(nil), all[i].Value...)}
				o.Value[len(o.Value)-1] = byte(n)
				group[i] = doing(updating(o))
			}
			s.Answer(ctx, group, func(answers ...*apiv1.Answer) {
				if f := answers[0].GetFailure(); f != nil {
					b.Error(f)
				}
			})
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*calls), "ns/call")
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			group := make([]*apiv1.Call, calls)
			for i := range group {
				group[i] = getting(fmt.Sprintf("object-%d", i), "")
			}
			s.Answer(ctx, group, func(answers ...*apiv1.Answer) {
				if f := answers[0].GetFailure(); f != nil {
					b.Error(f)
				}
			})
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*calls), "ns/call")
	})
}
