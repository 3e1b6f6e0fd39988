package disruption_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/controllermanager/disruption"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// pods makes pods of the owners: "web/ready", "web/unready", "web/going", "/ready".
func pods(list ...string) []*corev1.Pod {
	var out []*corev1.Pod
	for i, text := range list {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("p%d", i)}}
		owner, state, _ := strings.Cut(text, "/")
		if owner != "" {
			pod.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: owner, UID: types.UID(owner), Controller: ptr.To(true)}}
		}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
		if state != "unready" {
			pod.Status.Conditions[0].Status = corev1.ConditionTrue
		}
		if state == "going" {
			pod.DeletionTimestamp = &metav1.Time{Time: now}
		}
		out = append(out, pod)
	}
	return out
}

// scale is that of a set by its name; blue and green are two sets of one deployment.
func scale(_ *corev1.Pod, owner *metav1.OwnerReference) (types.UID, int32, error) {
	switch owner.Name {
	case "web":
		return "web", 4, nil
	case "blue", "green":
		return "deployment", 10, nil
	}
	return "", 0, errors.New("found no controllers for pod")
}

// What is expected is worked out by the documentation of PodDisruptionBudget.
func TestDecide(t *testing.T) {
	four := []string{"web/ready", "web/ready", "web/ready", "web/ready"}
	tests := []struct {
		name, spec string
		pods       []string
		want       string // expected/desired/healthy/allowed
	}{
		{"nothing asked", `{}`, four, "0/0/4/0"},
		{"a number", `{minAvailable: 3}`, four, "4/3/4/1"},
		{"a number, not met", `{minAvailable: 3}`, []string{"web/ready", "web/unready", "web/ready", "web/ready"}, "4/3/3/0"},
		{"a number, of pods that nobody has", `{minAvailable: 1}`, []string{"/ready", "/ready"}, "2/1/2/1"},
		{"one goes", `{minAvailable: 2}`, []string{"web/ready", "web/going", "web/ready", "web/ready"}, "4/2/3/1"},
		{"no pods yet", `{minAvailable: 0}`, nil, "0/0/0/0"},
		{"part, rounded up", `{minAvailable: 30%}`, four, "4/2/4/2"},
		{"part of what there is to be", `{minAvailable: 50%}`, []string{"web/ready", "web/ready", "web/ready"}, "4/2/3/1"},
		{"all", `{minAvailable: 100%}`, four, "4/4/4/0"},
		{"at most one", `{maxUnavailable: 1}`, four, "4/3/4/1"},
		{"at most a part, rounded up", `{maxUnavailable: 30%}`, four, "4/2/4/2"},
		{"more than there are", `{maxUnavailable: 9}`, four, "4/0/4/4"},
		{"two sets of a deployment", `{maxUnavailable: 50%}`, []string{"blue/ready", "green/ready"}, "10/5/2/0"},
		{"two controllers", `{maxUnavailable: 50%}`, []string{"web/ready", "blue/ready"}, "14/7/2/0"},
		{"a number at most, of pods that nobody has", `{maxUnavailable: 1}`, []string{"/ready"}, "0/0/1/0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
			if err := yaml.UnmarshalStrict([]byte(tt.spec), &b.Spec); err != nil {
				t.Fatal(err)
			}
			plan, err := disruption.Decide(b, pods(tt.pods...), scale, now)
			if err != nil {
				t.Fatal(err)
			}
			s := plan.Status
			if got := fmt.Sprintf("%d/%d/%d/%d", s.ExpectedPods, s.DesiredHealthy, s.CurrentHealthy, s.DisruptionsAllowed); got != tt.want {
				t.Errorf("expected/desired/healthy/allowed %s, want %s", got, tt.want)
			}
			reason := policyv1.SufficientPodsReason
			if s.DisruptionsAllowed == 0 {
				reason = policyv1.InsufficientPodsReason
			}
			c := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition)
			if c == nil || c.Reason != reason || c.ObservedGeneration != 3 || s.ObservedGeneration != 3 {
				t.Errorf("condition %+v, want %s of generation 3", c, reason)
			}
		})
	}
}

// A pod that is announced to go counts as gone, for two minutes.
func TestAnnouncedEvictions(t *testing.T) {
	b := &policyv1.PodDisruptionBudget{Spec: policyv1.PodDisruptionBudgetSpec{}}
	b.Status.DisruptedPods = map[string]metav1.Time{
		"p0": {Time: now.Add(-30 * time.Second)}, "p1": {Time: now.Add(-3 * time.Minute)},
		"p2": {Time: now}, "gone": {Time: now},
	}
	plan, err := disruption.Decide(b, pods("web/ready", "web/ready", "web/going", "web/ready"), scale, now)
	if err != nil {
		t.Fatal(err)
	}
	if s := plan.Status; s.CurrentHealthy != 2 || len(s.DisruptedPods) != 1 || !s.DisruptedPods["p0"].Time.Equal(now.Add(-30*time.Second)) {
		t.Errorf("status %+v", s)
	}
	if plan.RequeueAfter != 90*time.Second || len(plan.Undeleted) != 1 || plan.Undeleted[0].Name != "p1" {
		t.Errorf("again after %s, not deleted %v", plan.RequeueAfter, plan.Undeleted)
	}
}

func TestWhatIsNotUnderstoodIsNotEvicted(t *testing.T) {
	b := &policyv1.PodDisruptionBudget{Spec: policyv1.PodDisruptionBudgetSpec{}}
	b.Spec.MaxUnavailable = ptr.To(intstr.FromInt32(1))
	b.Status.DisruptionsAllowed = 1
	_, err := disruption.Decide(b, pods("lost/ready"), scale, now)
	if err == nil {
		t.Fatal("counted pods of a controller that is not there")
	}
	s := disruption.Failed(b, err)
	c := meta.FindStatusCondition(s.Conditions, policyv1.DisruptionAllowedCondition)
	if s.DisruptionsAllowed != 0 || c == nil || c.Reason != policyv1.SyncFailedReason || c.Message != err.Error() {
		t.Errorf("status %+v", s)
	}
}
