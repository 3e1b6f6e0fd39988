package rpc_test

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

func TestKinds(t *testing.T) {
	resp, err := dial(t).Kinds(context.Background(), &apiv1.KindsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(resp.GetKinds(), func(k *apiv1.Kind) bool { return k.GetType() == podType })
	if i < 0 {
		t.Fatal("pods are not among the kinds")
	}
	if k := resp.Kinds[i]; k.GetResource() != "pods" || k.GetVersion() != "v1" || k.GetGroup() != "" || !k.GetNamespaced() || !slices.Contains(k.GetVerbs(), "watch") {
		t.Errorf("pods are %v", k)
	}
}

// TestMetadataOnly reads an object's metadata, with its version, and nothing else.
func TestMetadataOnly(t *testing.T) {
	client, ctx := dial(t), context.Background()
	created, err := client.Create(ctx, &apiv1.CreateRequest{Object: pack(t, cmType, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", Labels: map[string]string{"x": "y"}}, Data: map[string]string{"key": "value"},
	})})
	if err != nil {
		t.Fatal(err)
	}
	var whole corev1.ConfigMap
	if err := whole.Unmarshal(created.GetObject().GetValue()); err != nil {
		t.Fatal(err)
	}
	check := func(how, url string, value []byte) {
		t.Helper()
		var meta metav1.PartialObjectMetadata
		if err := meta.Unmarshal(value); err != nil || url != prefix+"k8s.io.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata" {
			t.Fatalf("%s: %s, %v", how, url, err)
		}
		if meta.Labels["x"] != "y" || meta.ResourceVersion != whole.ResourceVersion || meta.UID != whole.UID {
			t.Errorf("%s: %v, want the metadata of %v", how, meta.ObjectMeta, whole.ObjectMeta)
		}
		var rest corev1.ConfigMap
		if err := rest.Unmarshal(value); err != nil || len(rest.Data) > 0 {
			t.Errorf("%s: data %v came along, %v", how, rest.Data, err)
		}
	}
	got, err := client.Get(ctx, &apiv1.GetRequest{Key: &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: "a"}, MetadataOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	check("get", got.GetObject().GetTypeUrl(), got.GetObject().GetValue())
	list, err := client.List(ctx, &apiv1.ListRequest{Type: cmType, Namespace: "default", LabelSelector: "x=y", MetadataOnly: true})
	if err != nil || len(list.GetObjects()) != 1 {
		t.Fatalf("listed %d, %v", len(list.GetObjects()), err)
	}
	check("list", list.Objects[0].GetTypeUrl(), list.Objects[0].GetValue())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Watch(ctx, &apiv1.WatchRequest{Type: cmType, Namespace: "default", LabelSelector: "x=y", SendInitialEvents: true, MetadataOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	check("watch", resp.Events[0].GetObject().GetTypeUrl(), resp.Events[0].GetObject().GetValue())
}
