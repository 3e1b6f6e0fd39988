package objects_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

func labelledPod(name string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: labels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}}}
}

func relabelPod(t *testing.T, s *objects.Service, name, labels string) {
	t.Helper()
	_, err := s.Patch(admin, target(t, s, "Pod", name), objects.Patch{Type: types.MergePatchType, Validation: codec.Strict,
		Data: []byte(`{"metadata":{"labels":` + labels + `}}`)}, false)
	if err != nil {
		t.Fatal(err)
	}
}

// A watch by an indexed label sees what comes into its view and leaves it, by
// that label and by others.
func TestWatchByLabel(t *testing.T) {
	s, _ := objectstest.New(t)
	for selector, want := range map[string]string{
		"app=web":          "[ADDED a MODIFIED a DELETED a ADDED b DELETED b]",
		"app in (web)":     "[ADDED a MODIFIED a DELETED a ADDED b DELETED b]",
		"app=web,tier!=x":  "[ADDED a DELETED a ADDED b DELETED b]",
		"app in (web, db)": "[ADDED a MODIFIED a MODIFIED a ADDED b MODIFIED b DELETED a DELETED b]",
		"tier=x,app=web":   "[ADDED a DELETED a]",
	} {
		t.Run(selector, func(t *testing.T) {
			to := target(t, s, "Pod", "")
			w, err := s.Watch(admin, to, objects.WatchOptions{LabelSelector: selector})
			if err != nil {
				t.Fatal(err)
			}
			create(t, s, "Pod", labelledPod("other", map[string]string{"app": "other"}))
			create(t, s, "Pod", labelledPod("a", map[string]string{"app": "web"}))
			relabelPod(t, s, "a", `{"tier":"x"}`)
			relabelPod(t, s, "a", `{"app":"db"}`)
			create(t, s, "Pod", labelledPod("b", map[string]string{"app": "web", "k8s-app": "b"}))
			relabelPod(t, s, "b", `{"app":"db"}`)
			if _, err := s.DeleteCollection(admin, to, objects.ListOptions{}, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, c := range want {
				if c == ' ' {
					n++
				}
			}
			if got := fmt.Sprint(script(t, w, (n+1)/2)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// A watch by an indexed label is not disturbed by what happens to others: it
// would have fallen behind here, where four events are remembered.
func TestWatchByLabelIgnoresOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		replica := objectstest.NewReplica()
		replica.Forget()
		s, _ := objectstest.NewOver(t, replica)
		w, err := s.Watch(admin, target(t, s, "Pod", ""), objects.WatchOptions{LabelSelector: "app=web"})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan []objects.Event, 1)
		go func() {
			events, err := w.Next(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- events
		}()
		synctest.Wait()
		for i := range 20 {
			create(t, s, "Pod", labelledPod(fmt.Sprint("other-", i), map[string]string{"app": "other"}))
		}
		create(t, s, "Pod", labelledPod("web", map[string]string{"app": "web"}))
		if events := <-got; len(events) != 1 || events[0].Object.Revision != 23 {
			t.Errorf("got %v, want the one pod", events)
		}
	})
}
