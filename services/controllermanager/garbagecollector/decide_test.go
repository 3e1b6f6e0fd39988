package garbagecollector_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/controllermanager/garbagecollector"
)

type edit func(*corev1.ConfigMap)

func object(uid string, edits ...edit) *corev1.ConfigMap {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: uid, UID: types.UID(uid)}}
	for _, e := range edits {
		e(m)
	}
	return m
}

func deleted(m *corev1.ConfigMap) { m.DeletionTimestamp = &metav1.Time{} }
func with(finalizer string) edit {
	return func(m *corev1.ConfigMap) { m.Finalizers = append(m.Finalizers, finalizer) }
}
func ownedBy(uid string, blocks bool) edit {
	return func(m *corev1.ConfigMap) {
		m.OwnerReferences = append(m.OwnerReferences, metav1.OwnerReference{UID: types.UID(uid), BlockOwnerDeletion: ptr.To(blocks)})
	}
}

func TestDecide(t *testing.T) {
	const (
		solid, absent, waiting = garbagecollector.Solid, garbagecollector.Absent, garbagecollector.Waiting
		orphan, foreground     = metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents
	)
	child, blocker := object("c", ownedBy("o", false)), object("c", ownedBy("o", true))
	type states = []garbagecollector.OwnerState
	for name, tc := range map[string]struct {
		object     *corev1.ConfigMap
		owners     states
		dependents []metav1.Object
		want       garbagecollector.Plan
	}{
		"without owners": {object: object("o")},
		"owner exists":   {object: object("o", ownedBy("p", true)), owners: states{solid}},
		"owner absent": {object: object("o", ownedBy("p", true)), owners: states{absent},
			want: garbagecollector.Plan{Delete: metav1.DeletePropagationBackground}},
		"owner absent, to be orphaning": {object: object("o", ownedBy("p", true), with(orphan)), owners: states{absent},
			want: garbagecollector.Plan{Delete: metav1.DeletePropagationOrphan}},
		"one of two owners absent": {object: object("o", ownedBy("p", true), ownedBy("q", true)), owners: states{absent, solid},
			want: garbagecollector.Plan{DropOwners: []types.UID{"p"}}},
		"one of two owners waits": {object: object("o", ownedBy("p", true), ownedBy("q", true)), owners: states{solid, waiting},
			want: garbagecollector.Plan{DropOwners: []types.UID{"q"}}},
		"owner waits": {object: object("o", ownedBy("p", true)), owners: states{waiting},
			want: garbagecollector.Plan{Delete: metav1.DeletePropagationBackground}},
		"owner waits, has dependents": {object: object("o", ownedBy("p", true)), owners: states{waiting}, dependents: []metav1.Object{child},
			want: garbagecollector.Plan{Delete: metav1.DeletePropagationForeground}},
		"a circle that waits": {object: object("o", ownedBy("c", true)), owners: states{waiting},
			dependents: []metav1.Object{object("c", ownedBy("o", true), deleted, with(foreground))},
			want:       garbagecollector.Plan{Delete: metav1.DeletePropagationForeground, Unblock: true}},
		"deleted, plain":              {object: object("o", deleted, ownedBy("p", true)), owners: states{absent}},
		"deleted, waits for blocker":  {object: object("o", deleted, with(foreground)), dependents: []metav1.Object{blocker}},
		"deleted, nothing blocks":     {object: object("o", deleted, with(foreground)), dependents: []metav1.Object{child}, want: garbagecollector.Plan{DropFinalizer: foreground}},
		"deleted, to orphan":          {object: object("o", deleted, with(orphan)), dependents: []metav1.Object{child}, want: garbagecollector.Plan{Orphan: true, DropFinalizer: orphan}},
		"deleted, foreign finalizer":  {object: object("o", deleted, with("x/y")), dependents: []metav1.Object{child}},
		"orphan wins over foreground": {object: object("o", deleted, with(foreground), with(orphan)), want: garbagecollector.Plan{Orphan: true, DropFinalizer: orphan}},
	} {
		t.Run(name, func(t *testing.T) {
			got := garbagecollector.Decide(garbagecollector.Observed{Object: tc.object, Owners: tc.owners, Dependents: tc.dependents})
			if got.Delete != tc.want.Delete || got.Unblock != tc.want.Unblock || got.DropFinalizer != tc.want.DropFinalizer ||
				got.Orphan != tc.want.Orphan || !slices.Equal(got.DropOwners, tc.want.DropOwners) {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}
