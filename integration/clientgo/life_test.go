package clientgo_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
)

// life is that of one object, by the typed client of its kind.
type life struct {
	t        *testing.T
	ctx      context.Context
	client   typed
	resource *resource
	sample   object

	now    object   // as it was stored last
	events []string // that a watch has to tell of
}

func (l *life) live() {
	watcher := l.watch()
	defer watcher.Stop()
	l.create()
	l.read()
	l.update()
	l.updateStatus()
	l.patch()
	l.apply()
	l.remove()
	l.removeAll()
	l.told(watcher)
}

// answered is the life of what is answered and not stored.
func (l *life) answered() {
	out, err := l.client.write(l.ctx, "Create", l.sample, metav1.CreateOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	if reflect.ValueOf(statusOf(out)).IsZero() {
		l.t.Errorf("the review has no answer: %+v", out)
	}
}

// wrote notes what a write returned, and that it changed something.
func (l *life) wrote(kind watch.EventType, obj object, err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
	if l.now != nil && obj.GetResourceVersion() == l.now.GetResourceVersion() {
		l.t.Errorf("the write changed nothing")
	}
	l.now = obj
	l.events = append(l.events, fmt.Sprint(kind, " ", obj.GetResourceVersion()))
}

// watch begins before there is an object: the first that comes is the bookmark that
// ends what was there.
func (l *life) watch() watch.Interface {
	l.t.Helper()
	out, err := l.client.call(l.ctx, "Watch", metav1.ListOptions{
		LabelSelector: oursOnly, SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	watcher := out.(watch.Interface)
	first := l.next(watcher)
	mark, ok := first.Object.(object)
	if !ok || first.Type != watch.Bookmark || mark.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" || mark.GetResourceVersion() == "" {
		l.t.Errorf("the first event is %v", first)
	}
	return watcher
}

func (l *life) next(watcher watch.Interface) watch.Event {
	l.t.Helper()
	select {
	case e := <-watcher.ResultChan():
		return e
	case <-l.ctx.Done():
		l.t.Fatal("no event came")
	}
	return watch.Event{}
}

func (l *life) create() {
	l.t.Helper()
	rehearsed, err := l.client.write(l.ctx, "Create", l.sample, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.client.call(l.ctx, "Get", l.sample.GetName(), metav1.GetOptions{}); !apierrors.IsNotFound(err) || rehearsed.GetUID() == "" {
		l.t.Errorf("after a dry run: %v; it gave the UID %q", err, rehearsed.GetUID())
	}
	obj, err := l.client.write(l.ctx, "Create", l.sample, metav1.CreateOptions{FieldManager: "maker", FieldValidation: metav1.FieldValidationStrict})
	l.wrote(watch.Added, obj, err)
	if born := obj.GetCreationTimestamp(); obj.GetUID() == "" || obj.GetResourceVersion() == "" || born.IsZero() || obj.GetUID() == rehearsed.GetUID() {
		l.t.Errorf("created without what a server gives: %+v", obj)
	}
	if !managed(obj, "maker", metav1.ManagedFieldsOperationUpdate, "") {
		l.t.Errorf("nobody manages it: %v", obj.GetManagedFields())
	}
	if l.hasStatus() && !bornWithStatus[l.resource.Name] && equality.Semantic.DeepEqual(statusOf(obj), statusOf(l.sample)) {
		l.t.Errorf("it was created with a status: %+v", statusOf(obj))
	}
	if _, err := l.client.write(l.ctx, "Create", l.sample, metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		l.t.Errorf("second creation: %v", err)
	}
}

func (l *life) read() {
	l.t.Helper()
	got, err := l.client.write(l.ctx, "Get", l.now.GetName(), metav1.GetOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.same("got", got)
	out, err := l.client.call(l.ctx, "List", metav1.ListOptions{LabelSelector: oursOnly, FieldSelector: "metadata.name=" + l.now.GetName()})
	if err != nil {
		l.t.Fatal(err)
	}
	items, err := meta.ExtractList(out.(runtime.Object))
	if err != nil || len(items) != 1 {
		l.t.Fatalf("%d items, %v", len(items), err)
	}
	l.same("listed", items[0].(object))
}

// same compares an object with what was stored last.
func (l *life) same(how string, obj object) {
	l.t.Helper()
	obj.GetObjectKind().SetGroupVersionKind(l.now.GetObjectKind().GroupVersionKind())
	if !equality.Semantic.DeepEqual(obj, l.now) {
		l.t.Errorf("%s is not what was stored:\n%s", how, diff.Diff(l.now, obj))
	}
}

func (l *life) update() {
	l.t.Helper()
	stale := l.now.DeepCopyObject().(object)
	changed := l.now.DeepCopyObject().(object)
	changed.SetAnnotations(map[string]string{"updated": "yes"})
	obj, err := l.client.write(l.ctx, "Update", changed, metav1.UpdateOptions{})
	l.wrote(watch.Modified, obj, err)
	if obj.GetAnnotations()["updated"] != "yes" || obj.GetUID() != stale.GetUID() {
		l.t.Errorf("updated: %+v", obj)
	}
	again, err := l.client.write(l.ctx, "Update", l.now.DeepCopyObject(), metav1.UpdateOptions{})
	if err != nil || again.GetResourceVersion() != l.now.GetResourceVersion() {
		l.t.Errorf("an update that changes nothing gives %v, %v", again, err)
	}
	stale.SetAnnotations(map[string]string{"updated": "late"})
	if _, err := l.client.write(l.ctx, "Update", stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		l.t.Errorf("stale update: %v", err)
	}
}

func (l *life) hasStatus() bool {
	_, served := l.resource.subresources["status"]
	return served && l.client.has("UpdateStatus")
}

func (l *life) updateStatus() {
	l.t.Helper()
	if !l.hasStatus() {
		return
	}
	if bornWithStatus[l.resource.Name] {
		cleared, err := l.client.write(l.ctx, "UpdateStatus", withStatus(l.now, nil), metav1.UpdateOptions{})
		l.wrote(watch.Modified, cleared, err)
	}
	obj, err := l.client.write(l.ctx, "UpdateStatus", withStatus(l.now, statusOf(l.sample)), metav1.UpdateOptions{FieldManager: "observer"})
	before := l.now
	l.wrote(watch.Modified, obj, err)
	if !equality.Semantic.DeepEqual(statusOf(obj), statusOf(l.sample)) {
		l.t.Errorf("the status is not what was sent:\n%s", diff.Diff(statusOf(l.sample), statusOf(obj)))
	}
	if obj.GetGeneration() != before.GetGeneration() || !managed(obj, "observer", metav1.ManagedFieldsOperationUpdate, "status") {
		l.t.Errorf("generation %d after %d, managed by %v", obj.GetGeneration(), before.GetGeneration(), obj.GetManagedFields())
	}
	if same, err := l.client.write(l.ctx, "Update", withStatus(l.now, nil), metav1.UpdateOptions{}); err != nil || same.GetResourceVersion() != l.now.GetResourceVersion() {
		l.t.Errorf("an update without the status changed it: %v", err)
	}
}

// told compares what the watch tells with what was written, to the last deletion.
func (l *life) told(watcher watch.Interface) {
	l.t.Helper()
	var got []string
	for range l.events {
		e := l.next(watcher)
		obj, ok := e.Object.(object)
		if !ok {
			l.t.Fatalf("event %v", e)
		}
		text := fmt.Sprint(e.Type, " ", obj.GetResourceVersion())
		if e.Type == watch.Deleted {
			text = fmt.Sprint(e.Type) // No answer says at which revision.
		}
		got = append(got, text)
	}
	if !slices.Equal(got, l.events) {
		l.t.Errorf("the watch told\n%v\nwant\n%v", got, l.events)
	}
}

func managed(obj object, manager string, operation metav1.ManagedFieldsOperationType, subresource string) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == manager && e.Operation == operation && e.Subresource == subresource && e.FieldsV1 != nil
	})
}

// bornWithStatus are kinds whose objects may be created with a status, as a node is by
// its kubelet.
var bornWithStatus = map[string]bool{"nodes": true}

// withStatus returns a copy with another status; with none for nil.
func withStatus(obj object, status any) object {
	out := obj.DeepCopyObject().(object)
	field := reflect.ValueOf(out).Elem().FieldByName("Status")
	field.SetZero()
	if status != nil {
		field.Set(reflect.ValueOf(status))
	}
	return out
}

// statusOf is an object's status; nil where it has none.
func statusOf(obj object) any {
	if status := reflect.ValueOf(obj).Elem().FieldByName("Status"); status.IsValid() {
		return status.Interface()
	}
	return nil
}
