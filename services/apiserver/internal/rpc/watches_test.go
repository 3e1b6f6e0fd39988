package rpc_test

import (
	"runtime"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Ten thousand watches of one client cost some tens of kilobytes each, leave room for
// others, and are all told.
func TestTenThousandWatches(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const watches = 10_000
	client := dial(t)
	before := heap()
	var told sync.WaitGroup
	for range watches {
		stream, err := client.Watch(t.Context(), &apiv1.WatchRequest{Type: cmType, Namespace: "default", SendInitialEvents: true})
		if err != nil {
			t.Fatal(err)
		}
		if first, err := stream.Recv(); err != nil || !first.GetEvents()[0].GetInitialEventsEnd() {
			t.Fatalf("%v, %v", first, err)
		}
		told.Go(func() {
			if next, err := stream.Recv(); err != nil || next.GetEvents()[0].GetType() != apiv1.EventType_EVENT_TYPE_ADDED {
				t.Errorf("%v, %v", next, err)
			}
		})
	}
	each := (int64(heap()) - int64(before)) / watches
	t.Logf("%d bytes of heap for a watch, its client included", each)
	if each > 50<<10 {
		t.Errorf("a watch takes %d bytes", each)
	}
	news := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "news", Namespace: "default"}}
	if _, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: pack(t, cmType, news)}); err != nil {
		t.Fatal(err)
	}
	told.Wait()
}
