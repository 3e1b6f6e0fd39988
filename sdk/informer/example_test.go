package informer_test

import (
	"context"
	"fmt"
	"log"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/sdk/sdktest"
)

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client, end := sdktest.Connect()
	defer end()

	secrets := informer.New[*corev1.Secret](client, informer.Options{Namespace: "default", LabelSelector: "example=informer"})
	secrets.AddIndex("type", func(s *corev1.Secret) []string { return []string{string(s.Type)} })
	changed := make(chan string, 10)
	secrets.OnChange(func(old, now *corev1.Secret) {
		switch {
		case old == nil:
			changed <- "new " + now.Name
		case now == nil:
			changed <- "gone " + old.Name
		}
	})
	stopped := make(chan error, 1)
	go func() { stopped <- secrets.Run(ctx) }()
	if err := secrets.WaitSynced(ctx); err != nil {
		log.Fatal(err)
	}

	_, err := sdk.Create(ctx, client, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "key", Labels: map[string]string{"example": "informer"}}, Type: "example.com/key"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-changed)
	fmt.Println("by type:", len(secrets.ByIndex("type", "example.com/key")))
	cached, ok := secrets.Lister("default").Get("key")
	fmt.Println("cached:", ok, cached.Name)

	if err := sdk.Delete[*corev1.Secret](ctx, client, "default", "key", sdk.DeleteOptions{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-changed)
	cancel()
	if err := <-stopped; err != nil {
		log.Fatal(err)
	}
	// Output:
	// new key
	// by type: 1
	// cached: true key
	// gone key
}
