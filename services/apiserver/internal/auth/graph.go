package auth

import (
	"iter"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// graph tells what nodes have to do with objects, by what this member has.
type graph struct{ store *state.Store }

// NodeReads tells whether a pod that is bound to the node refers to the object. It looks
// at the pods of the namespace that are bound to nodes; for what has no namespace (a
// persistent volume) at those of all, and at their claims.
func (g graph) NodeReads(node, resource, namespace, name string) bool {
	view := g.store.View()
	switch resource {
	case "secrets", "configmaps", "persistentvolumeclaims", "serviceaccounts", "pods":
		for pod := range podsOn(view, node, namespace) {
			if resource == "pods" && pod.Name == name || resource != "pods" && Refers(&pod.Spec, resource, name) {
				return true
			}
		}
	case "persistentvolumes":
		return nodeMounts(view, node, name)
	}
	return false
}

// podsOn yields the pods that are bound to a node, in a namespace or in all ("").
func podsOn(view state.View, node, namespace string) iter.Seq[*corev1.Pod] {
	want := "spec.nodeName=" + node // as the objects are indexed
	return func(yield func(*corev1.Pod) bool) {
		for e := range view.List("pods", namespace) {
			if !slices.Contains(e.Index(), want) {
				continue
			}
			var pod corev1.Pod
			// What cannot be read refers to nothing.
			if pod.Unmarshal(e.Value()) == nil && !yield(&pod) {
				return
			}
		}
	}
}

// nodeMounts tells whether a pod on the node has a claim that is bound to the volume.
func nodeMounts(view state.View, node, volume string) bool {
	for pod := range podsOn(view, node, "") {
		for _, name := range References(&pod.Spec, "persistentvolumeclaims") {
			var claim corev1.PersistentVolumeClaim
			e, ok := view.Get(state.Key{Resource: "persistentvolumeclaims", Namespace: pod.Namespace, Name: name})
			if ok && claim.Unmarshal(e.Value()) == nil && claim.Spec.VolumeName == volume {
				return true
			}
		}
	}
	return false
}
