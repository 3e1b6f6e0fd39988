package deployment_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/controllermanager/deployment"
)

// sim is a cluster of one deployment: it carries out plans, plays the replica
// set controller and the nodes, and has a clock of its own.
type sim struct {
	t        testing.TB
	now      time.Time
	d        *appsv1.Deployment
	sets     []*appsv1.ReplicaSet
	pods     []*corev1.Pod
	sequence int
	// broken images never become available.
	broken map[string]bool
}

func newSim(t testing.TB, replicas int32, surge, unavailable intstr.IntOrString) *sim {
	s := &sim{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), broken: map[string]bool{}}
	s.d = &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "d", Generation: 1},
		Spec: appsv1.DeploymentSpec{
			Replicas:                &replicas,
			Selector:                &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			RevisionHistoryLimit:    ptr.To(int32(10)),
			ProgressDeadlineSeconds: ptr.To(int32(600)),
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1"}}},
			},
		},
	}
	return s
}

// change edits the deployment's spec.
func (s *sim) change(f func(*appsv1.Deployment)) {
	f(s.d)
	s.d.Generation++
}

func (s *sim) image(v string) {
	s.change(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = v })
}

// decide runs one round and carries the plan out.
func (s *sim) decide() deployment.Plan {
	s.t.Helper()
	plan, err := deployment.Decide(deployment.Observed{Deployment: s.d, Sets: s.sets, Pods: s.pods, Now: s.now})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, rs := range plan.Update {
		i := slices.IndexFunc(s.sets, func(o *appsv1.ReplicaSet) bool { return o.Name == rs.Name })
		if !equality.Semantic.DeepEqual(rs.Spec, s.sets[i].Spec) {
			rs.Generation++
		}
		s.sets[i] = rs
	}
	for _, rs := range plan.Delete {
		s.sets = slices.DeleteFunc(s.sets, func(o *appsv1.ReplicaSet) bool { return o.Name == rs.Name })
	}
	if plan.Create != nil {
		s.sequence++
		rs := plan.Create.DeepCopy()
		rs.UID = types.UID(fmt.Sprint("rs", s.sequence))
		rs.CreationTimestamp = metav1.NewTime(s.now.Add(time.Duration(s.sequence) * time.Second))
		rs.Generation = 1
		s.sets = append(s.sets, rs)
	}
	if plan.Status != nil {
		s.d.Status = *plan.Status
	}
	if plan.Revision != "" {
		metav1.SetMetaDataAnnotation(&s.d.ObjectMeta, "deployment.kubernetes.io/revision", plan.Revision)
	}
	return plan
}

func imageOf(rs *appsv1.ReplicaSet) string { return rs.Spec.Template.Spec.Containers[0].Image }

func (s *sim) set(image string) *appsv1.ReplicaSet {
	for _, rs := range s.sets {
		if imageOf(rs) == image {
			return rs
		}
	}
	return nil
}

// create makes and removes pods as the sets ask; removed ones are the
// unavailable ones first.
func (s *sim) create() (changed bool) {
	for i, rs := range s.sets {
		rs = rs.DeepCopy()
		rs.Status.Replicas = *rs.Spec.Replicas
		rs.Status.AvailableReplicas = min(rs.Status.AvailableReplicas, rs.Status.Replicas)
		rs.Status.ReadyReplicas = rs.Status.AvailableReplicas
		rs.Status.ObservedGeneration = rs.Generation
		changed = changed || rs.Status.Replicas != s.sets[i].Status.Replicas ||
			rs.Status.ObservedGeneration != s.sets[i].Status.ObservedGeneration
		s.sets[i] = rs
	}
	return changed
}

// become makes n pods of the image available.
func (s *sim) become(image string, n int32) (changed bool) {
	for i, rs := range s.sets {
		if imageOf(rs) != image || s.broken[image] || rs.Status.AvailableReplicas >= rs.Status.Replicas {
			continue
		}
		rs = rs.DeepCopy()
		rs.Status.AvailableReplicas = min(rs.Status.Replicas, rs.Status.AvailableReplicas+n)
		rs.Status.ReadyReplicas = rs.Status.AvailableReplicas
		s.sets[i] = rs
		changed = true
	}
	return changed
}

// String shows the sets with pods, or that are new, by age: "v1=3(2)" has three
// replicas, two of them available.
func (s *sim) String() string {
	var parts []string
	for _, rs := range s.sets {
		if *rs.Spec.Replicas > 0 || rs.Status.Replicas > 0 || imageOf(rs) == s.d.Spec.Template.Spec.Containers[0].Image {
			parts = append(parts, fmt.Sprintf("%s=%d(%d)", imageOf(rs), *rs.Spec.Replicas, rs.Status.AvailableReplicas))
		}
	}
	if len(parts) == 0 {
		return "no pods"
	}
	return strings.Join(parts, " ")
}

// settle lets everything happen, everything available at once, until nothing
// changes any more, and returns the states it went through.
func (s *sim) settle() []string {
	var states []string
	note := func() {
		if now := s.String(); len(states) == 0 || states[len(states)-1] != now {
			states = append(states, now)
		}
	}
	for quiet := 0; quiet < 2; {
		plan := s.decide()
		note()
		changed := plan.Create != nil || len(plan.Update)+len(plan.Delete) > 0 || plan.Status != nil
		changed = s.create() || changed
		for _, rs := range s.sets {
			changed = s.become(imageOf(rs), rs.Status.Replicas) || changed
		}
		note()
		if quiet++; changed {
			quiet = 0
		}
		if len(states) > 500 {
			s.t.Fatalf("does not settle: %s", strings.Join(states[490:], "\n"))
		}
	}
	return states
}
