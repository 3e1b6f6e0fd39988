package deployment

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/controllermanager/internal/podstate"
)

// recreate does one step of a deployment whose templates never run side by side.
func (r *rollout) recreate() error {
	r.keepRevision()
	shrunk := false
	for _, rs := range active(r.old) {
		shrunk = r.resize(rs, 0) || shrunk
	}
	if shrunk || r.oldPodsRun() {
		r.rolloutStatus()
		return nil
	}
	if err := r.ensureNew(); err != nil {
		return err
	}
	if r.plan.Create == nil {
		r.resize(r.newSet, desired(r.d))
	}
	r.finish()
	return nil
}

// oldPodsRun says whether a pod of another template has not ended yet.
func (r *rollout) oldPodsRun() bool {
	if total(r.old, func(rs *appsv1.ReplicaSet) int32 { return rs.Status.Replicas }) > 0 {
		return true
	}
	for _, pod := range r.pods {
		ref := metav1.GetControllerOfNoCopy(pod)
		if ref == nil || podstate.Terminal(pod) || (r.newSet != nil && ref.UID == r.newSet.UID) {
			continue
		}
		return true
	}
	return false
}
