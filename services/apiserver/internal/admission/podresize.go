package admission

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourcehelper "k8s.io/component-helpers/resource"
)

// The causes by which autoscalers tell why a pod cannot be resized.
const (
	causeNodeCapacity        metav1.CauseType = "NodeCapacity"
	causeUnsupportedPlatform metav1.CauseType = "UnsupportedPlatform"
)

// fitsNode refuses a resize that the pod's node could never grant.
func fitsNode(r *Request) error {
	pod := r.Object.(*corev1.Pod)
	if pod.Spec.NodeName == "" || pod.Generation == r.Old.GetGeneration() {
		return nil
	}
	found, ok := r.View.Get("nodes", "", pod.Spec.NodeName)
	if !ok {
		return r.refuse(fmt.Sprintf("node %q not found", pod.Spec.NodeName))
	}
	node := &corev1.Node{}
	if err := node.Unmarshal(found.Value); err != nil {
		return fmt.Errorf("decode node %s: %w", pod.Spec.NodeName, err)
	}
	if os, told := node.Labels[corev1.LabelOSStable]; told && os != "linux" {
		return r.because(fmt.Sprintf("pod resize is only supported on linux nodes, node %q is %q", node.Name, os), causeUnsupportedPlatform)
	}
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	var lacks []string
	if asked, has := requests.Cpu(), node.Status.Allocatable.Cpu(); asked.Cmp(*has) > 0 {
		lacks = append(lacks, fmt.Sprintf("cpu, requested: %d, allocatable: %d", asked.MilliValue(), has.MilliValue()))
	}
	if asked, has := requests.Memory(), node.Status.Allocatable.Memory(); asked.Cmp(*has) > 0 {
		lacks = append(lacks, fmt.Sprintf("memory, requested: %d, allocatable: %d", asked.Value(), has.Value()))
	}
	if len(lacks) == 0 {
		return nil
	}
	return r.because("node didn't have enough allocatable resources: "+strings.Join(lacks, "; "), causeNodeCapacity)
}

// because refuses with a cause that programs can read.
func (r *Request) because(text string, cause metav1.CauseType) error {
	err := r.refuse(text)
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{Type: cause})
	}
	return err
}
