package scheduler

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/services/scheduler/core"
)

// held says in Kubernetes' words why a pod waits for its claims; nothing, if it does
// not. Volumes are bound to claims by others.
func (s *Scheduler) held(pod *corev1.Pod) string {
	unbound := false
	for i := range pod.Spec.Volumes {
		ref := pod.Spec.Volumes[i].PersistentVolumeClaim
		if ref == nil {
			continue
		}
		claim, ok := s.claims.Get(pod.Namespace, ref.ClaimName)
		switch {
		case !ok:
			return fmt.Sprintf("persistentvolumeclaim %q not found", ref.ClaimName)
		case claim.Status.Phase == corev1.ClaimLost:
			return fmt.Sprintf("persistentvolumeclaim %q bound to non-existent persistentvolume %q", ref.ClaimName, claim.Spec.VolumeName)
		case claim.DeletionTimestamp != nil:
			return fmt.Sprintf("persistentvolumeclaim %q is being deleted", ref.ClaimName)
		}
		unbound = unbound || claim.Spec.VolumeName == "" || claim.Status.Phase != corev1.ClaimBound
	}
	if unbound {
		return "pod has unbound immediate PersistentVolumeClaims"
	}
	return ""
}

// claimChanged has the pods tried again that wait for the claim.
func (s *Scheduler) claimChanged(old, claim *corev1.PersistentVolumeClaim) {
	if claim == nil {
		claim = old
	}
	s.queue.Wake(func(p *core.Pod) bool {
		if p.Object.Namespace != claim.Namespace {
			return false
		}
		for i := range p.Object.Spec.Volumes {
			if ref := p.Object.Spec.Volumes[i].PersistentVolumeClaim; ref != nil && ref.ClaimName == claim.Name {
				return true
			}
		}
		return false
	})
}
