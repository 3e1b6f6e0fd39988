package objects_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// script collects what a watch says until n events came.
func script(t *testing.T, w *objects.Watcher, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var out []string
	for len(out) < n {
		events, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("after %v: %v", out, err)
		}
		for _, e := range events {
			if e.Type == watch.Bookmark {
				out = append(out, fmt.Sprintf("BOOKMARK %v", e.InitialEnd))
				continue
			}
			meta, err := e.Object.Meta()
			if err != nil {
				t.Fatal(err)
			}
			if meta.ResourceVersion != fmt.Sprint(e.Revision) {
				t.Errorf("event of revision %d has an object of %s", e.Revision, meta.ResourceVersion)
			}
			out = append(out, string(e.Type)+" "+meta.Name)
		}
	}
	return out
}

func relabel(t *testing.T, s *objects.Service, name, value string) {
	t.Helper()
	_, err := s.Patch(admin, target(t, s, "ConfigMap", name), objects.Patch{Type: types.MergePatchType, Validation: codec.Strict,
		Data: []byte(`{"metadata":{"labels":{"show":"` + value + `"}}}`)}, false)
	if err != nil {
		t.Fatal(err)
	}
}

// A selector turns changes into what comes and goes in its view.
func TestWatchThroughSelector(t *testing.T) {
	s, _ := objectstest.New(t)
	create(t, s, "ConfigMap", configMap("a", nil))
	relabel(t, s, "a", "yes")
	w, err := s.Watch(admin, target(t, s, "ConfigMap", ""), objects.WatchOptions{LabelSelector: "show=yes"})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s, "ConfigMap", configMap("b", nil))
	relabel(t, s, "b", "yes")
	relabel(t, s, "a", "no")
	relabel(t, s, "a", "yes")
	if _, err := s.Delete(admin, target(t, s, "ConfigMap", "a"), metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(script(t, w, 5))
	if want := "[ADDED a ADDED b DELETED a ADDED a DELETED a]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWatchInitialEvents(t *testing.T) {
	s, _ := objectstest.New(t)
	first := create(t, s, "ConfigMap", configMap("a", nil))
	create(t, s, "ConfigMap", configMap("b", nil))
	yes := true
	for name, test := range map[string]struct {
		options objects.WatchOptions
		want    string
	}{
		"legacy":  {objects.WatchOptions{}, "[ADDED a ADDED b]"},
		"zero":    {objects.WatchOptions{ResourceVersion: "0"}, "[ADDED a ADDED b]"},
		"version": {objects.WatchOptions{ResourceVersion: first.ResourceVersion()}, "[ADDED b]"},
		"stream": {objects.WatchOptions{SendInitialEvents: &yes, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, Bookmarks: true},
			"[ADDED a ADDED b BOOKMARK true]"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := s.Watch(admin, target(t, s, "ConfigMap", ""), test.options)
			if err != nil {
				t.Fatal(err)
			}
			n := 2
			if name == "version" {
				n = 1
			} else if name == "stream" {
				n = 3
			}
			if got := fmt.Sprint(script(t, w, n)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// Bookmarks come though nothing happens, and tell how far the watch is.
func TestWatchBookmarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, replica := objectstest.New(t)
		w, err := s.Watch(admin, target(t, s, "ConfigMap", ""), objects.WatchOptions{ResourceVersion: "1", Bookmarks: true})
		if err != nil {
			t.Fatal(err)
		}
		create(t, s, "Namespace", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere"}})
		began := time.Now()
		events, err := w.Next(t.Context())
		if err != nil || len(events) != 1 || events[0].Type != watch.Bookmark || events[0].Revision != replica.Store().View().Revision() {
			t.Fatalf("events %+v, %v", events, err)
		}
		if waited := time.Since(began); waited < 10*time.Second || waited > time.Minute {
			t.Errorf("bookmark after %v", waited)
		}
	})
}

func remaining(page objects.Page) int64 {
	if page.Remaining == nil {
		return 0
	}
	return *page.Remaining
}

func TestListPages(t *testing.T) {
	s, _ := objectstest.New(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		create(t, s, "ConfigMap", configMap(name, nil))
	}
	to := target(t, s, "ConfigMap", "")
	var names string
	var o objects.ListOptions
	for o.Limit = 2; ; {
		page, err := s.List(admin, to, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			meta, err := item.Meta()
			if err != nil {
				t.Fatal(err)
			}
			names += meta.Name
		}
		if got, want := remaining(page), map[string]int64{"ab": 3, "abcd": 1}[names]; got != want {
			t.Errorf("%d remain behind %q, want %d", got, names, want)
		}
		if names == "ab" {
			create(t, s, "ConfigMap", configMap("bb", nil)) // Not at the list's revision.
		}
		if o.Continue = page.Continue; o.Continue == "" {
			break
		}
	}
	if names != "abcde" {
		t.Errorf("pages hold %q", names)
	}
	// Without the revision of the page before, or its count, those behind are counted.
	token := base64.RawURLEncoding.EncodeToString([]byte(`{"rv":-1,"ns":"default","name":"b","n":1}`))
	for _, want := range []int64{2, 0} { // of bb, c, d, e
		page, err := s.List(admin, to, objects.ListOptions{Limit: 2, Continue: token})
		if err != nil || remaining(page) != want {
			t.Errorf("%d remain, want %d: %v", remaining(page), want, err)
		}
		token = page.Continue
	}
	if _, err := s.List(admin, to, objects.ListOptions{Continue: "nonsense"}); !apierrors.IsBadRequest(err) {
		t.Errorf("bad token: %v", err)
	}
	if _, err := s.List(admin, to, objects.ListOptions{FieldSelector: "spec.nothing=1"}); !apierrors.IsBadRequest(err) {
		t.Errorf("bad field: %v", err)
	}
}

// What is no longer remembered is Expired, and nothing else.
func TestExpired(t *testing.T) {
	replica := objectstest.NewReplica()
	replica.Forget()
	s, _ := objectstest.NewOver(t, replica)
	for i := range 8 {
		create(t, s, "ConfigMap", configMap(fmt.Sprint("early-", i), nil))
	}
	to := target(t, s, "ConfigMap", "")
	page, err := s.List(admin, to, objects.ListOptions{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		create(t, s, "ConfigMap", configMap(fmt.Sprint("late-", i), nil))
	}
	_, err = s.List(admin, to, objects.ListOptions{Limit: 1, Continue: page.Continue})
	if !apierrors.IsResourceExpired(err) || !strings.Contains(err.Error(), "The provided continue parameter is too old") {
		t.Errorf("continued list: %v", err)
	}
	w, err := s.Watch(admin, to, objects.WatchOptions{ResourceVersion: "1"})
	if err == nil {
		_, err = w.Next(t.Context())
	}
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("watch: %v", err)
	}
}

// A list by an indexed field finds just what it should.
func TestListByIndex(t *testing.T) {
	s, _ := objectstest.New(t)
	for name, node := range map[string]string{"a": "n1", "b": "n2", "c": ""} {
		create(t, s, "Pod", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
			Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main", Image: "busybox"}}}})
	}
	for selector, want := range map[string]string{
		"spec.nodeName=n1": "a", "spec.nodeName=": "c", "spec.nodeName!=n1": "bc",
		"spec.nodeName=n1,metadata.name=a": "a", "spec.nodeName=n1,metadata.name=b": "", "spec.nodeName=n1,status.phase=Pending": "a",
		"spec.nodeName=n1,spec.nodeName=n2": "",
	} {
		page, err := s.List(admin, target(t, s, "Pod", ""), objects.ListOptions{FieldSelector: selector})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for _, item := range page.Items {
			meta, err := item.Meta()
			if err != nil {
				t.Fatal(err)
			}
			got += meta.Name
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", selector, got, want)
		}
	}
}
