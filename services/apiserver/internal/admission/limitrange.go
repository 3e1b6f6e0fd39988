package admission

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	resourcehelper "k8s.io/component-helpers/resource"
)

// limitAnnotation tells what a LimitRange filled in.
const limitAnnotation = "kubernetes.io/limit-ranger"

// limitRanges yields the LimitRanges of the request's namespace, which the change
// then depends on.
func limitRanges(r *Request) ([]*corev1.LimitRange, error) {
	var list []*corev1.LimitRange
	for found := range r.View.List("limitranges", r.Namespace) {
		obj := &corev1.LimitRange{}
		if err := obj.Unmarshal(found.Value); err != nil {
			return nil, fmt.Errorf("decode limit range in %s: %w", r.Namespace, err)
		}
		r.View.Depend(found)
		list = append(list, obj)
	}
	return list, nil
}

// defaultLimits fills in what the containers of a new pod left open.
func defaultLimits(r *Request) error {
	pod, ok := r.Object.(*corev1.Pod)
	if !ok || r.Operation != Create {
		return nil
	}
	ranges, err := limitRanges(r)
	if err != nil {
		return err
	}
	for _, l := range ranges {
		DefaultLimits(l, pod)
	}
	return nil
}

// checkLimits holds the object to all ranges. A pod cannot change what they are
// about, but for a resize of it.
func checkLimits(r *Request) error {
	if _, pod := r.Object.(*corev1.Pod); pod && r.Subresource == "" && r.Operation != Create {
		return nil
	}
	if r.Object.GetDeletionTimestamp() != nil && r.Operation == Update {
		return nil
	}
	ranges, err := limitRanges(r)
	if err != nil {
		return err
	}
	for _, l := range ranges {
		var err error
		switch obj := r.Object.(type) {
		case *corev1.Pod:
			err = PodWithin(l, obj)
		case *corev1.PersistentVolumeClaim:
			err = ClaimWithin(l, obj)
		}
		if err != nil {
			return r.Forbidden(err)
		}
	}
	return nil
}

// DefaultLimits gives the pod's containers the requests and limits that l has for
// those that have none, and notes that in an annotation.
func DefaultLimits(l *corev1.LimitRange, pod *corev1.Pod) {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	for _, item := range l.Spec.Limits {
		if item.Type == corev1.LimitTypeContainer {
			maps.Copy(requests, item.DefaultRequest)
			maps.Copy(limits, item.Default)
		}
	}
	var notes []string
	for i := range pod.Spec.Containers {
		notes = append(notes, defaultContainer(&pod.Spec.Containers[i], "container", requests, limits)...)
	}
	for i := range pod.Spec.InitContainers {
		notes = append(notes, defaultContainer(&pod.Spec.InitContainers[i], "init container", requests, limits)...)
	}
	if len(notes) == 0 {
		return
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[limitAnnotation] = "LimitRanger plugin set: " + strings.Join(notes, "; ")
}

func defaultContainer(c *corev1.Container, kind string, requests, limits corev1.ResourceList) []string {
	var notes []string
	note := func(what string, set []string) {
		if len(set) > 0 {
			notes = append(notes, fmt.Sprintf("%s %s for %s %s", strings.Join(set, ", "), what, kind, c.Name))
		}
	}
	note("request", fillIn(&c.Resources.Requests, requests))
	note("limit", fillIn(&c.Resources.Limits, limits))
	return notes
}

// fillIn adds to list what is in defaults only, and returns its names in order.
func fillIn(list *corev1.ResourceList, defaults corev1.ResourceList) []string {
	var set []string
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if _, ok := (*list)[name]; ok {
			continue
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = defaults[name].DeepCopy()
		set = append(set, string(name))
	}
	return set
}

// PodWithin holds a pod to the limits of l for containers and pods.
func PodWithin(l *corev1.LimitRange, pod *corev1.Pod) error {
	var errs []error
	for i := range l.Spec.Limits {
		item := &l.Spec.Limits[i]
		switch item.Type {
		case corev1.LimitTypeContainer:
			for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
				for j := range list {
					errs = append(errs, within(item, list[j].Resources.Requests, list[j].Resources.Limits)...)
				}
			}
		case corev1.LimitTypePod:
			errs = append(errs, within(item,
				resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}),
				resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{}))...)
		}
	}
	return utilerrors.NewAggregate(errs)
}

// ClaimWithin holds a claim to the limits of l for storage: they count for what is
// asked for, there is no other limit.
func ClaimWithin(l *corev1.LimitRange, claim *corev1.PersistentVolumeClaim) error {
	var errs []error
	add := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for i := range l.Spec.Limits {
		item := &l.Spec.Limits[i]
		if item.Type != corev1.LimitTypePersistentVolumeClaim {
			continue
		}
		requests := claim.Spec.Resources.Requests
		for _, name := range slices.Sorted(maps.Keys(item.Min)) {
			add(minimum(item.Type, name, item.Min[name], requests, nil))
		}
		for _, name := range slices.Sorted(maps.Keys(item.Max)) {
			add(maximumRequest(item.Type, name, item.Max[name], requests))
		}
	}
	return utilerrors.NewAggregate(errs)
}

func within(item *corev1.LimitRangeItem, requests, limits corev1.ResourceList) []error {
	var errs []error
	for _, rule := range []struct {
		list  corev1.ResourceList
		check func(corev1.LimitType, corev1.ResourceName, resource.Quantity, corev1.ResourceList, corev1.ResourceList) error
	}{{item.Min, minimum}, {item.Max, maximum}, {item.MaxLimitRequestRatio, ratio}} {
		for _, name := range slices.Sorted(maps.Keys(rule.list)) {
			if err := rule.check(item.Type, name, rule.list[name], requests, limits); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}

func minimum(of corev1.LimitType, name corev1.ResourceName, least resource.Quantity, requests, limits corev1.ResourceList) error {
	request, asked := requests[name]
	limit, limited := limits[name]
	switch {
	case !asked:
		return fmt.Errorf("minimum %s usage per %s is %s.  No request is specified", name, of, least.String())
	case request.Cmp(least) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but request is %s", name, of, least.String(), request.String())
	case limited && limit.Cmp(least) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but limit is %s", name, of, least.String(), limit.String())
	}
	return nil
}

func maximum(of corev1.LimitType, name corev1.ResourceName, most resource.Quantity, requests, limits corev1.ResourceList) error {
	request, asked := requests[name]
	limit, limited := limits[name]
	switch {
	case !limited:
		return fmt.Errorf("maximum %s usage per %s is %s.  No limit is specified", name, of, most.String())
	case limit.Cmp(most) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but limit is %s", name, of, most.String(), limit.String())
	case asked && request.Cmp(most) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, of, most.String(), request.String())
	}
	return nil
}

func maximumRequest(of corev1.LimitType, name corev1.ResourceName, most resource.Quantity, requests corev1.ResourceList) error {
	request, asked := requests[name]
	switch {
	case !asked:
		return fmt.Errorf("maximum %s usage per %s is %s.  No request is specified", name, of, most.String())
	case request.Cmp(most) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, of, most.String(), request.String())
	}
	return nil
}

func ratio(of corev1.LimitType, name corev1.ResourceName, most resource.Quantity, requests, limits corev1.ResourceList) error {
	request, asked := requests[name]
	limit, limited := limits[name]
	switch {
	case !asked || request.IsZero():
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no request is specified or request is 0", name, of, most.String())
	case !limited || limit.IsZero():
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0", name, of, most.String())
	}
	if observed := limit.AsApproximateFloat64() / request.AsApproximateFloat64(); observed > most.AsApproximateFloat64() {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but provided ratio is %f", name, of, most.String(), observed)
	}
	return nil
}
