package auth

import (
	"errors"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// AuthorizeChange checks what only the objects tell: that a node touches only what is
// its own, and that nobody grants what they do not have. old is nil for a new object,
// obj for a read or deletion. For a subresource that is created, obj is that and old
// the object.
func (a *Authorizer) AuthorizeChange(r Request, old, obj metav1.Object) error {
	if r.Resource.Group == rbacGroup && obj != nil {
		return a.confirmGrant(r, old, obj)
	}
	if r.User.Role() != accessv1.Role_ROLE_NODE {
		return nil
	}
	if r.Verb == "get" {
		return nodeSees(r, old)
	}
	if why := a.nodeMay(r, old, obj); why != "" {
		return apierrors.NewForbidden(r.Resource, r.Name, errors.New(why))
	}
	return nil
}

// nodeSees refuses a read of what is another node's.
func nodeSees(r Request, obj metav1.Object) error {
	node := r.User.NodeName()
	switch o := obj.(type) {
	case *corev1.Pod:
		if o.Spec.NodeName != node {
			return forbidden(r, unrelated(node))
		}
	case *corev1.Event:
		if o.Source.Host != node {
			return forbidden(r, unrelated(node))
		}
	}
	return nil
}

// nodeMay says why a node may not make the change, in the words of Kubernetes' admission
// plugin NodeRestriction; "" is that it may.
func (a *Authorizer) nodeMay(r Request, old, obj metav1.Object) string {
	node := r.User.NodeName()
	switch r.Resource.String() {
	case "pods":
		return a.nodePod(r, node, asPod(old), obj)
	case "nodes":
		was, _ := old.(*corev1.Node)
		now, _ := obj.(*corev1.Node)
		return restrictedNode(node, r.Name, was, now)
	case "events", "events.events.k8s.io":
		for _, o := range []metav1.Object{old, obj} {
			if event, ok := o.(*corev1.Event); ok && event != nil && event.Source.Host != node {
				return fmt.Sprintf("node %q can only act on events with source.host set to itself", node)
			}
		}
	case "leases.coordination.k8s.io":
		return ownByName(r, node, obj, "can only access node lease with the same name as the requesting node")
	case "csinodes.storage.k8s.io":
		return ownByName(r, node, obj, "can only access CSINode with the same name as the requesting node")
	case "serviceaccounts":
		if request, ok := obj.(*authenticationv1.TokenRequest); ok && request != nil {
			return a.nodeToken(r, node, request.Spec.BoundObjectRef)
		}
	case "persistentvolumeclaims":
		return restrictedClaim(r, node, old, obj)
	}
	return ""
}

func asPod(o metav1.Object) *corev1.Pod {
	pod, _ := o.(*corev1.Pod)
	return pod
}

func ownByName(r Request, node string, obj metav1.Object, why string) string {
	if r.Verb == "create" && obj != nil && obj.GetName() != node || r.Verb != "create" && r.Name != node {
		return why
	}
	return ""
}

// nodePod allows a node to create and delete mirror pods, and to report on and to evict
// the pods that are bound to it.
func (a *Authorizer) nodePod(r Request, node string, old *corev1.Pod, obj metav1.Object) string {
	own := old != nil && old.Spec.NodeName == node
	switch {
	case r.Subresource == "status":
		return nodePodStatus(node, own, old, asPod(obj))
	case r.Subresource == "eviction":
		if !own {
			return fmt.Sprintf("node %s can only evict pods with spec.nodeName set to itself", node)
		}
	case r.Subresource != "":
		return fmt.Sprintf("unexpected pod subresource %q, only 'status' and 'eviction' are allowed", r.Subresource)
	case r.Verb == "delete":
		if !own {
			return fmt.Sprintf("node %q can only delete pods with spec.nodeName set to itself", node)
		}
	case r.Verb == "create":
		return a.mirrorPod(node, asPod(obj))
	default:
		return fmt.Sprintf("unexpected operation %q, node %q can only create and delete mirror pods", "UPDATE", node)
	}
	return ""
}

// mirrorPod says what is wrong with a pod that a node creates: it must be one that the
// node runs anyhow, and refer to nothing that the node could not read without it.
func (a *Authorizer) mirrorPod(node string, pod *corev1.Pod) string {
	if pod == nil {
		return ""
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; !mirror {
		return fmt.Sprintf("pod does not have %q annotation, node %q can only create mirror pods", corev1.MirrorPodAnnotationKey, node)
	}
	if pod.Spec.NodeName != node {
		return fmt.Sprintf("node %q can only create pods with spec.nodeName set to itself", node)
	}
	if why := a.mirrorOwner(node, pod.OwnerReferences); why != "" {
		return why
	}
	if named := pod.Spec.ServiceAccountName; named != "" && named != "default" { // That is what nobody chose.
		return fmt.Sprintf("node %q can not create pods that reference a service account", node)
	}
	for _, what := range []string{"secrets", "configmaps", "persistentvolumeclaims"} {
		if Refers(&pod.Spec, what, "") {
			return fmt.Sprintf("node %q can not create pods that reference %s", node, what)
		}
	}
	return ""
}

func (a *Authorizer) mirrorOwner(node string, owners []metav1.OwnerReference) string {
	if len(owners) > 1 {
		return fmt.Sprintf("node %q can only create pods with a single owner reference set to itself", node)
	}
	if len(owners) == 0 || owners[0].APIVersion != "v1" || owners[0].Kind != "Node" || owners[0].Name != node {
		return fmt.Sprintf("node %q can only create pods with an owner reference set to itself", node)
	}
	owner := owners[0]
	if owner.Controller == nil || !*owner.Controller {
		return fmt.Sprintf("node %q can only create pods with a controller owner reference set to itself", node)
	}
	if owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion {
		return fmt.Sprintf("node %q must not set blockOwnerDeletion on an owner reference", node)
	}
	var stored corev1.Node
	e, ok := a.store.View().Get(state.Key{Resource: "nodes", Name: node})
	if !ok || stored.Unmarshal(e.Value()) != nil {
		return fmt.Sprintf("error looking up node %s to verify uid: nodes %q not found", node, node)
	}
	if stored.UID != owner.UID {
		return fmt.Sprintf("node %s UID mismatch: expected %s got %s", node, owner.UID, stored.UID)
	}
	return ""
}

// nodeToken allows a node tokens for the pods that are bound to it.
func (a *Authorizer) nodeToken(r Request, node string, ref *authenticationv1.BoundObjectReference) string {
	if ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "" {
		return "node requested token not bound to a pod"
	}
	if ref.UID == "" {
		return "node requested token with a pod binding without a uid"
	}
	var pod corev1.Pod
	e, ok := a.store.View().Get(state.Key{Resource: "pods", Namespace: r.Namespace, Name: ref.Name})
	if !ok || pod.Unmarshal(e.Value()) != nil {
		return fmt.Sprintf("pods %q not found", ref.Name)
	}
	if pod.UID != ref.UID {
		return fmt.Sprintf("the UID in the bound object reference (%s) does not match the UID in record. "+
			"The object might have been deleted and then recreated", ref.UID)
	}
	if pod.Spec.NodeName != node {
		return "node requested token bound to a pod scheduled on a different node"
	}
	return ""
}
