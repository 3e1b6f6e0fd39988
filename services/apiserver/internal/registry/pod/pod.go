// Package pod has the kind of pods, their subresources, and the kind of their
// templates.
package pod

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/podspec"
)

// Pod defines pods.
func Pod() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.PodList{}, registry.Definition[*corev1.Pod]{
		ShortNames: []string{"po"}, Categories: []string{"all"}, Namespaced: true,
		Status: true, Generation: true,

		Default:             podspec.DefaultPod,
		PrepareCreate:       prepare,
		PrepareStatusUpdate: updateStatus,

		Validate: podspec.ValidatePod,
		ValidateCreate: func(obj *corev1.Pod) field.ErrorList {
			return podspec.NoEphemeral(&obj.Spec, field.NewPath("spec"), "cannot be set on create")
		},
		ValidateUpdate:       validateUpdate,
		ValidateStatusUpdate: validateStatusUpdate,

		Warnings: podspec.PodWarnings,

		Fields:  selectable,
		Indexed: []string{"spec.nodeName"},
		// The labels by which people and their tools tell applications apart.
		IndexedLabels: []string{"app", "k8s-app", "app.kubernetes.io/name", "app.kubernetes.io/instance"},

		GracePeriod: gracePeriod,
		Columns:     columns(),
		Subresources: []registry.Subresource{{
			Name: "binding", GVK: corev1.SchemeGroupVersion.WithKind("Binding"), Verbs: []string{"create"}, Direct: true,
			NewObject: func() registry.Object { return &corev1.Binding{} },
			Apply:     func(obj, sub registry.Object) error { return bind(obj.(*corev1.Pod), sub.(*corev1.Binding)) },
		}, evictionSubresource(), {
			Name: "log", Verbs: []string{"get"}, Stream: true,
		}, registry.Connection("exec", "PodExecOptions"), registry.Connection("attach", "PodAttachOptions"), registry.Connection("portforward", "PodPortForwardOptions"),
			registry.Proxied("PodProxyOptions"), ephemeralContainersSubresource(), resizeSubresource()},
	})
}

func prepare(obj *corev1.Pod) {
	obj.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: qos(&obj.Spec)}
}

func updateStatus(obj, old *corev1.Pod) {
	obj.DeletionTimestamp = old.DeletionTimestamp
	obj.DeletionGracePeriodSeconds = old.DeletionGracePeriodSeconds
	obj.OwnerReferences = old.OwnerReferences
	if obj.Status.QOSClass == "" {
		obj.Status.QOSClass = old.Status.QOSClass
	}
	keepObserved(&obj.Status, &old.Status)
	syncAddresses(&obj.Status)
}

// keepObserved keeps the generations that were observed where an older client, which
// knows of none, writes the status.
func keepObserved(s, old *corev1.PodStatus) {
	if s.ObservedGeneration == 0 {
		s.ObservedGeneration = old.ObservedGeneration
	}
	for i := range s.Conditions {
		c := &s.Conditions[i]
		for _, before := range old.Conditions {
			if c.ObservedGeneration == 0 && before.Type == c.Type {
				c.ObservedGeneration = before.ObservedGeneration
			}
		}
	}
}

// syncAddresses keeps podIP and podIPs, hostIP and hostIPs, two names of one
// thing each, in agreement; the older name wins.
func syncAddresses(s *corev1.PodStatus) {
	switch {
	case s.PodIP == "" && len(s.PodIPs) > 0:
		s.PodIP = s.PodIPs[0].IP
	case s.PodIP != "" && (len(s.PodIPs) == 0 || s.PodIPs[0].IP != s.PodIP):
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
	switch {
	case s.HostIP == "" && len(s.HostIPs) > 0:
		s.HostIP = s.HostIPs[0].IP
	case s.HostIP != "" && (len(s.HostIPs) == 0 || s.HostIPs[0].IP != s.HostIP):
		s.HostIPs = []corev1.HostIP{{IP: s.HostIP}}
	}
}

func selectable(obj *corev1.Pod) fields.Set {
	ip := obj.Status.PodIP
	if len(obj.Status.PodIPs) > 0 {
		ip = obj.Status.PodIPs[0].IP
	}
	return fields.Set{
		"spec.nodeName":            obj.Spec.NodeName,
		"spec.restartPolicy":       string(obj.Spec.RestartPolicy),
		"spec.schedulerName":       obj.Spec.SchedulerName,
		"spec.serviceAccountName":  obj.Spec.ServiceAccountName,
		"spec.hostNetwork":         strconv.FormatBool(obj.Spec.HostNetwork),
		"status.phase":             string(obj.Status.Phase),
		"status.podIP":             ip,
		"status.nominatedNodeName": obj.Status.NominatedNodeName,
	}
}

func terminal(obj *corev1.Pod) bool {
	return obj.Status.Phase == corev1.PodSucceeded || obj.Status.Phase == corev1.PodFailed
}

// gracePeriod gives nothing to a pod that has nothing running.
func gracePeriod(obj *corev1.Pod, requested *int64) int64 {
	var grace int64
	switch {
	case requested != nil:
		grace = *requested
	case obj.Spec.TerminationGracePeriodSeconds != nil:
		grace = *obj.Spec.TerminationGracePeriodSeconds
	}
	if obj.Spec.NodeName == "" || terminal(obj) {
		return 0
	}
	if grace < 0 {
		return 1
	}
	return grace
}

// bind gives the pod its node, once.
func bind(obj *corev1.Pod, b *corev1.Binding) error {
	conflict := func(format string, args ...any) error {
		return apierrors.NewConflict(corev1.Resource("pods/binding"), obj.Name, fmt.Errorf(format, args...))
	}
	switch {
	case b.Target.Kind != "" && b.Target.Kind != "Node":
		return apierrors.NewBadRequest(fmt.Sprintf("target.kind: Unsupported value: %q: supported values: \"Node\", \"<empty>\"", b.Target.Kind))
	case b.Target.Name == "":
		return apierrors.NewBadRequest("target.name: Required value")
	case b.UID != "" && b.UID != obj.UID:
		return conflict("the UID in the binding (%s) does not match the UID in record (%s)", b.UID, obj.UID)
	case obj.DeletionTimestamp != nil:
		return conflict("pod %s is being deleted, cannot be assigned to a host", obj.Name)
	case obj.Spec.NodeName != "":
		return conflict("pod %s is already assigned to node %q", obj.Name, obj.Spec.NodeName)
	}
	// No generation is counted: it is the client's wishes that those are about.
	obj.Spec.NodeName = b.Target.Name
	for key, value := range b.Annotations {
		metav1.SetMetaDataAnnotation(&obj.ObjectMeta, key, value)
	}
	// What is stored is valid: an update does not look at it again.
	if errs := apivalidation.ValidateAnnotations(obj.Annotations, field.NewPath("metadata", "annotations")); len(errs) > 0 {
		return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Binding").GroupKind(), b.Name, errs)
	}
	setCondition(obj, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, time.Now())
	return nil
}

// setCondition sets a condition. The time of its last transition stays where its
// status does.
func setCondition(obj *corev1.Pod, c corev1.PodCondition, now time.Time) {
	c.LastTransitionTime, c.ObservedGeneration = metav1.NewTime(now), obj.Generation
	for i, before := range obj.Status.Conditions {
		if before.Type != c.Type {
			continue
		}
		if before.Status == c.Status {
			c.LastTransitionTime = before.LastTransitionTime
		}
		obj.Status.Conditions[i] = c
		return
	}
	obj.Status.Conditions = append(obj.Status.Conditions, c)
}
