package rpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rpc"
)

// BenchmarkAnswer is what the server does for each call of a message, but for
// the message itself and for what the replica does.
func BenchmarkAnswer(b *testing.B) {
	b.Run("update", func(b *testing.B) { benchmarkUpdates(b, zeroes, false) })
	// As an SDK calls, and with values that no packing makes smaller.
	b.Run("put", func(b *testing.B) { benchmarkUpdates(b, noise, true) })
	b.Run("get", benchmarkGets)
}

// callsTogether is how many calls there are in a message.
const callsTogether = 20

func zeroes(int) []byte { return make([]byte, 1024) }

// noise returns the i-th value of many that have nothing in common.
func noise(i int) []byte {
	value := make([]byte, 1024)
	_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(value) // never fails
	return value
}

func benchmarkUpdates(b *testing.B, value func(i int) []byte, spare bool) {
	s, ctx := newBenchmark(b)
	all := createEach(ctx, b, s, value)
	benchmarkCalls(ctx, b, s, func(i, n int) *apiv1.Call {
		o := &anypb.Any{TypeUrl: all[i].TypeUrl, Value: append([]byte(nil), all[i].Value...)}
		o.Value[len(o.Value)-1] = byte(n)
		call := doing(updating(o))
		call.Spare = spare
		return call
	})
}

func benchmarkGets(b *testing.B) {
	s, ctx := newBenchmark(b)
	createEach(ctx, b, s, zeroes)
	benchmarkCalls(ctx, b, s, func(i, _ int) *apiv1.Call { return getting(fmt.Sprintf("object-%d", i), "") })
}

func newBenchmark(b *testing.B) (*rpc.Service, context.Context) {
	service, _ := objectstest.New(b)
	return rpc.New(service, fairness.New(fairness.DefaultLimits())), objectstest.As(pki.AdminIdentity())
}

func createEach(ctx context.Context, b *testing.B, s *rpc.Service, value func(i int) []byte) []*anypb.Any {
	all := make([]*anypb.Any, callsTogether)
	for i := range all {
		raw, err := (&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("object-%d", i)},
			BinaryData: map[string][]byte{"value": value(i)},
		}).Marshal()
		if err != nil {
			b.Fatal(err)
		}
		all[i] = &anypb.Any{TypeUrl: prefix + cmType, Value: raw}
		if _, err := s.Create(ctx, &apiv1.CreateRequest{Object: all[i]}); err != nil {
			b.Fatal(err)
		}
	}
	return all
}

// benchmarkCalls makes messages of calls: the i-th of the n-th message.
func benchmarkCalls(ctx context.Context, b *testing.B, s *rpc.Service, call func(i, n int) *apiv1.Call) {
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		group := make([]*apiv1.Call, callsTogether)
		for i := range group {
			group[i] = call(i, n)
		}
		s.Answer(ctx, group, func(answers ...*apiv1.Answer) {
			for _, a := range answers {
				if f := a.GetFailure(); f != nil {
					b.Error(f)
				}
			}
		})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*callsTogether), "ns/call")
}
