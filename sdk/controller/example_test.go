package controller_test

import (
	"context"
	"fmt"
	"log"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/sdk/sdktest"
)

// greeter sees to it that each ConfigMap with a name to greet has a greeting.
type greeter struct {
	client     *sdk.Client
	configMaps *informer.Informer[*corev1.ConfigMap]
}

func (g *greeter) Name() string { return "greeter" }

func (g *greeter) Inputs() []controller.Input {
	return []controller.Input{controller.For(controller.Self[*corev1.ConfigMap])}
}

func (g *greeter) Outputs() []string { return []string{"configmaps"} }

func (g *greeter) Reconcile(ctx context.Context, req controller.Request) (controller.Result, error) {
	cm, ok := g.configMaps.Get(req.Namespace, req.Name)
	if !ok || cm.Data["name"] == "" || cm.Data["greeting"] != "" {
		return controller.Result{}, nil
	}
	cm = cm.DeepCopy() // what is cached is shared
	cm.Data["greeting"] = "hello, " + cm.Data["name"]
	_, err := sdk.Update(ctx, g.client, cm)
	if apierrors.IsConflict(err) {
		err = nil // it has changed, which brings it here again
	}
	return controller.Result{}, err
}

func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client, end := sdktest.Connect()
	defer end()

	caches := controller.NewCaches(controller.CachesConfig{Client: client})
	greets := &greeter{client: client, configMaps: controller.Cache[*corev1.ConfigMap](caches)}
	runner, err := controller.NewRunner(controller.RunnerConfig{Controllers: []controller.Controller{greets}, Caches: caches})
	if err != nil {
		log.Fatal(err)
	}
	running, within := errgroup.WithContext(ctx)
	running.Go(func() error { return caches.Run(within) })
	running.Go(func() error { return runner.Run(within) })

	_, err = sdk.Create(ctx, client, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "greeted"}, Data: map[string]string{"name": "Ada"}})
	if err != nil {
		log.Fatal(err)
	}
	which := sdk.WatchOptions{Namespace: "default", FieldSelector: "metadata.name=greeted", SendInitialEvents: true}
	for event, err := range sdk.Watch[*corev1.ConfigMap](ctx, client, which).All() {
		if err != nil {
			log.Fatal(err)
		}
		if event.Type != sdk.Bookmark && event.Object.Data["greeting"] != "" {
			fmt.Println(event.Object.Data["greeting"])
			break
		}
	}
	if err := sdk.Delete[*corev1.ConfigMap](ctx, client, "default", "greeted", sdk.DeleteOptions{}); err != nil {
		log.Fatal(err)
	}
	cancel()
	if err := running.Wait(); err != nil {
		log.Fatal(err)
	}
	// Output: hello, Ada
}
