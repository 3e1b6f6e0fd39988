package sdk_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/sdktest"
)

func TestMetadata(t *testing.T) {
	client := sdktest.New(t).Client(t)
	ctx := t.Context()
	if _, err := sdk.Create(ctx, client, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", Labels: map[string]string{"x": "y"}}}); err != nil {
		t.Fatal(err)
	}
	kinds, err := client.Kinds(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pods := ""
	for _, k := range kinds {
		if k.Resource == "pods" && k.Group == "" {
			pods = k.Type
		}
	}
	page, err := sdk.MetadataOf(client, pods).List(ctx, sdk.ListOptions{Namespace: "default"})
	if err != nil || len(page.Items) != 1 || page.Items[0].Labels["x"] != "y" {
		t.Fatalf("listed %v, %v", page, err)
	}
	if err := sdk.MetadataOf(client, pods).Delete(ctx, "default", "a", sdk.DeleteOptions{UID: page.Items[0].UID}); err != nil {
		t.Fatal(err)
	}
}
