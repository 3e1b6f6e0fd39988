package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/sdktest"
)

func newConfigMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"example": name}}, Data: data}
}

func ExampleDial() {
	tls, err := sdk.LoadTLS("ca.crt", "admin.crt", "admin.key")
	if err != nil {
		log.Fatal(err)
	}
	client, err := sdk.Dial(sdk.Config{
		Servers:   []string{"10.0.0.1:6442", "10.0.0.2:6442", "10.0.0.3:6442"}, // one is used at a time
		TLS:       tls,
		UserAgent: "example/1.0",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for node, err := range sdk.All[*corev1.Node](ctx, client, sdk.ListOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(node.Name)
	}
}

// Objects are those of k8s.io/api, errors those of apimachinery.
func Example() {
	ctx := context.Background()
	client, end := sdktest.Connect()
	defer end()

	made, err := sdk.Create(ctx, client, newConfigMap("settings", map[string]string{"color": "red"}))
	if err != nil {
		log.Fatal(err)
	}
	made.Data["color"] = "blue"
	if _, err := sdk.Update(ctx, client, made); err != nil {
		log.Fatal(err)
	}
	// made is the object as it was before that: somebody has changed it since.
	_, err = sdk.Update(ctx, client, made)
	fmt.Println("conflict:", apierrors.IsConflict(err))

	got, err := sdk.Get[*corev1.ConfigMap](ctx, client, "default", "settings")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("color:", got.Data["color"])
	if err := sdk.Delete[*corev1.ConfigMap](ctx, client, "default", "settings", sdk.DeleteOptions{UID: got.UID}); err != nil {
		log.Fatal(err)
	}
	_, err = sdk.Get[*corev1.ConfigMap](ctx, client, "default", "settings")
	fmt.Println("not found:", apierrors.IsNotFound(err))
	// Output:
	// conflict: true
	// color: blue
	// not found: true
}

// A list may be long: All gets it page by page, as of one revision.
func ExampleAll() {
	ctx := context.Background()
	client, end := sdktest.Connect()
	defer end()
	for i := range 5 {
		cm := newConfigMap(fmt.Sprintf("page-%d", i), nil)
		cm.Labels = map[string]string{"example": "all"}
		if _, err := sdk.Create(ctx, client, cm); err != nil {
			log.Fatal(err)
		}
	}
	which := sdk.ListOptions{Namespace: "default", LabelSelector: "example=all", Limit: 2}
	for cm, err := range sdk.All[*corev1.ConfigMap](ctx, client, which) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(cm.Name)
	}
	gone, err := sdk.DeleteCollection[*corev1.ConfigMap](ctx, client, which, sdk.DeleteOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(gone), "deleted")
	// Output:
	// page-0
	// page-1
	// page-2
	// page-3
	// page-4
	// 5 deleted
}

// A watch begins with the objects that are there, and goes on at another server when
// one goes away. An informer is made of it.
func ExampleWatch() {
	ctx := context.Background()
	client, end := sdktest.Connect()
	defer end()
	if _, err := sdk.Create(ctx, client, newConfigMap("watched", nil)); err != nil {
		log.Fatal(err)
	}
	which := sdk.WatchOptions{Namespace: "default", LabelSelector: "example=watched", SendInitialEvents: true}
	for event, err := range sdk.Watch[*corev1.ConfigMap](ctx, client, which).All() {
		if err != nil {
			log.Fatal(err)
		}
		switch {
		case event.InitialEventsEnd:
			fmt.Println("that is all there was")
			if err := sdk.Delete[*corev1.ConfigMap](ctx, client, "default", "watched", sdk.DeleteOptions{}); err != nil {
				log.Fatal(err)
			}
		case event.Type != sdk.Bookmark:
			fmt.Println(event.Type, event.Object.Name)
		}
		if event.Type == sdk.Deleted {
			break
		}
	}
	// Output:
	// ADDED watched
	// that is all there was
	// DELETED watched
}

// What is applied holds the fields that one manager wants, and leaves the others alone.
func ExampleApply() {
	ctx := context.Background()
	client, end := sdktest.Connect()
	defer end()

	manifest := []byte(`
apiVersion: v1
kind: ConfigMap
metadata: {name: applied, namespace: default}
data: {color: red}
`)
	if _, err := sdk.Apply[*corev1.ConfigMap](ctx, client, "painter", manifest); err != nil {
		log.Fatal(err)
	}
	// Another manager. The objects of k8s.io/api and client-go's apply configurations
	// will do as well.
	size := map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]string{"name": "applied", "namespace": "default"},
		"data": map[string]string{"size": "large"},
	}
	both, err := sdk.Apply[*corev1.ConfigMap](ctx, client, "tailor", size)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(both.Data)
	_ = sdk.Delete[*corev1.ConfigMap](ctx, client, "default", "applied", sdk.DeleteOptions{})
	// Output: map[color:red size:large]
}

// A transaction is done as a whole or not at all.
func ExampleTransaction() {
	ctx := context.Background()
	client, end := sdktest.Connect()
	defer end()

	var tx sdk.Transaction
	tx.Create(newConfigMap("left", nil)).Create(newConfigMap("right", nil)).Create(newConfigMap("left", nil))
	_, err := tx.Commit(ctx, client)
	var refused *sdk.RefusedError
	if errors.As(err, &refused) {
		fmt.Println(refused.Index, refused.Operation)
		fmt.Println("already exists:", apierrors.IsAlreadyExists(err))
	}

	var again sdk.Transaction
	again.Create(newConfigMap("left", nil)).Create(newConfigMap("right", nil))
	done, err := again.Commit(ctx, client)
	if err != nil {
		log.Fatal(err)
	}
	right, err := sdk.Stored[*corev1.ConfigMap](done, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(right.Name, done.Changes[1])

	var undo sdk.Transaction
	undo.Delete(right).Add(sdk.DeleteOp[*corev1.ConfigMap]("default", "left", sdk.DeleteOptions{}))
	if _, err := undo.Commit(ctx, client); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 2 create k8s.io.api.core.v1.ConfigMap default/left
	// already exists: true
	// right CHANGE_CREATED
}
