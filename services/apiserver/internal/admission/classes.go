package admission

import (
	"bytes"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// systemPriorities are there whether or not their classes were stored yet.
var systemPriorities = map[string]int32{"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}

// defaultPriority is what the class that is the default claims.
var defaultPriority = registry.Claim{Table: "_defaultpriorityclass", Value: "class"}

// podPriority resolves the name of a pod's class.
func podPriority(r *Request) error {
	pod := r.Object.(*corev1.Pod)
	if old, ok := r.Old.(*corev1.Pod); ok && r.Operation == Update {
		keepPriority(&pod.Spec, &old.Spec)
		return nil
	}
	var priority int32
	policy := corev1.PreemptLowerPriority
	name := pod.Spec.PriorityClassName
	class, err := priorityClass(r, name)
	switch {
	case err != nil:
		return err
	case class != nil:
		pod.Spec.PriorityClassName = class.Name
		priority, policy = class.Value, ptr.Deref(class.PreemptionPolicy, policy)
	case name != "":
		system, ok := systemPriorities[name]
		if !ok {
			return r.refuse(fmt.Sprintf("no PriorityClass with name %v was found", name))
		}
		priority = system
	}
	if p := pod.Spec.Priority; p != nil && *p != priority {
		return r.refuse(fmt.Sprintf("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *p, priority))
	}
	pod.Spec.Priority = &priority
	if p := pod.Spec.PreemptionPolicy; p != nil && *p != policy {
		return r.refuse(fmt.Sprintf("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *p, policy))
	}
	pod.Spec.PreemptionPolicy = &policy
	return nil
}

// keepPriority lets an update leave out what is not its client's to say.
func keepPriority(spec, old *corev1.PodSpec) {
	if spec.Priority == nil {
		spec.Priority = old.Priority
	}
	if spec.PreemptionPolicy == nil {
		spec.PreemptionPolicy = old.PreemptionPolicy
	}
}

// priorityClass returns the class of a name, or the one that is the default; nil
// where there is none.
func priorityClass(r *Request, name string) (*schedulingv1.PriorityClass, error) {
	if name == "" {
		// One class at most may be the default; it holds the claim to that.
		holder, ok := r.View.Get(defaultPriority.Table, "", defaultPriority.Value)
		if !ok {
			return nil, nil
		}
		name = string(holder.Value[bytes.LastIndexByte(holder.Value, '/')+1:])
	}
	found, ok := r.View.Get("priorityclasses.scheduling.k8s.io", "", name)
	if !ok {
		return nil, nil
	}
	class := &schedulingv1.PriorityClass{}
	if err := class.Unmarshal(found.Value); err != nil {
		return nil, fmt.Errorf("decode priority class %s: %w", name, err)
	}
	return class, nil
}

// runtimeClass adds what the pod's runtime class costs and where it runs.
func runtimeClass(r *Request) error {
	if r.Operation != Create {
		return nil
	}
	pod := r.Object.(*corev1.Pod)
	class, err := runtimeClassOf(r, pod)
	if err != nil || class == nil {
		return err
	}
	if o := class.Overhead; o != nil {
		if pod.Spec.Overhead != nil && !equality.Semantic.DeepEqual(o.PodFixed, pod.Spec.Overhead) {
			return r.refuse("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
		}
		pod.Spec.Overhead = o.PodFixed.DeepCopy()
	}
	if class.Scheduling == nil {
		return nil
	}
	selector := maps.Clone(class.Scheduling.NodeSelector)
	for key, value := range pod.Spec.NodeSelector {
		if want, ok := selector[key]; ok && want != value {
			return r.refuse(fmt.Sprintf("conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s", key, want, key, value))
		}
		if selector == nil {
			selector = map[string]string{}
		}
		selector[key] = value
	}
	pod.Spec.NodeSelector = selector
	for _, t := range class.Scheduling.Tolerations {
		pod.Spec.Tolerations = withToleration(pod.Spec.Tolerations, t)
	}
	return nil
}

func runtimeClassOf(r *Request, pod *corev1.Pod) (*nodev1.RuntimeClass, error) {
	name := ptr.Deref(pod.Spec.RuntimeClassName, "")
	if name == "" {
		return nil, nil
	}
	found, ok := r.View.Get("runtimeclasses.node.k8s.io", "", name)
	if !ok {
		return nil, r.refuse(fmt.Sprintf("pod rejected: RuntimeClass %q not found", name))
	}
	class := &nodev1.RuntimeClass{}
	if err := class.Unmarshal(found.Value); err != nil {
		return nil, fmt.Errorf("decode runtime class %s: %w", name, err)
	}
	return class, nil
}

// checkOverhead refuses an overhead that is not the class's.
func checkOverhead(r *Request) error {
	if r.Operation != Create {
		return nil
	}
	pod := r.Object.(*corev1.Pod)
	class, err := runtimeClassOf(r, pod)
	if err != nil {
		return err
	}
	if class == nil || class.Overhead == nil {
		if pod.Spec.Overhead != nil {
			return r.refuse("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
		}
		return nil
	}
	if !equality.Semantic.DeepEqual(class.Overhead.PodFixed, pod.Spec.Overhead) {
		return r.refuse("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
	}
	return nil
}

// withToleration adds a toleration that none of the list has already.
func withToleration(list []corev1.Toleration, t corev1.Toleration) []corev1.Toleration {
	for _, had := range list {
		if equality.Semantic.DeepEqual(had, t) {
			return list
		}
	}
	return append(list, t)
}

// Annotations that make a class the default one.
const (
	defaultStorage     = "storageclass.kubernetes.io/is-default-class"
	defaultStorageBeta = "storageclass.beta.kubernetes.io/is-default-class"
	claimClassBeta     = "volume.beta.kubernetes.io/storage-class"
)

// defaultStorageClass names the default class in a claim that names none. Of several
// the newest one counts, as with Kubernetes.
func defaultStorageClass(r *Request) error {
	claim := r.Object.(*corev1.PersistentVolumeClaim)
	if _, beta := claim.Annotations[claimClassBeta]; r.Operation != Create || claim.Spec.StorageClassName != nil || beta {
		return nil
	}
	var chosen *metav1.ObjectMeta
	for found := range r.View.List("storageclasses.storage.k8s.io", "") {
		class := &storagev1.StorageClass{}
		if err := class.Unmarshal(found.Value); err != nil {
			return fmt.Errorf("decode storage class: %w", err)
		}
		if class.Annotations[defaultStorage] == "true" || class.Annotations[defaultStorageBeta] == "true" {
			chosen = preferred(chosen, &class.ObjectMeta)
		}
	}
	if chosen != nil {
		claim.Spec.StorageClassName = &chosen.Name
	}
	return nil
}

// defaultIngressClass names the default class in an Ingress that names none.
func defaultIngressClass(r *Request) error {
	ingress := r.Object.(*networkingv1.Ingress)
	if _, old := ingress.Annotations["kubernetes.io/ingress.class"]; r.Operation != Create || ingress.Spec.IngressClassName != nil || old {
		return nil
	}
	var chosen *metav1.ObjectMeta
	for found := range r.View.List("ingressclasses.networking.k8s.io", "") {
		class := &networkingv1.IngressClass{}
		if err := class.Unmarshal(found.Value); err != nil {
			return fmt.Errorf("decode ingress class: %w", err)
		}
		if class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			chosen = preferred(chosen, &class.ObjectMeta)
		}
	}
	if chosen != nil {
		ingress.Spec.IngressClassName = &chosen.Name
	}
	return nil
}

// preferred returns the newer one, or the first by name of two that are as old.
func preferred(a, b *metav1.ObjectMeta) *metav1.ObjectMeta {
	switch {
	case a == nil, a.CreationTimestamp.Time.Before(b.CreationTimestamp.Time):
		return b
	case a.CreationTimestamp.Equal(&b.CreationTimestamp) && b.Name < a.Name:
		return b
	}
	return a
}
