package objects_test

import (
	"encoding/json"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// put stores an object and its status, which is a part of the same manifest.
func put(t *testing.T, s *objects.Service, kind, manifest string) {
	t.Helper()
	to := target(t, s, kind, "")
	obj := to.Kind.New()
	if err := yaml.UnmarshalStrict([]byte(manifest), obj); err != nil {
		t.Fatal(err)
	}
	create(t, s, kind, obj)
	to.Name, to.Subresource = obj.GetName(), "status"
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Patch(admin, to, objects.Patch{Type: types.MergePatchType, Data: raw}, false); err != nil {
		t.Fatal(err)
	}
}

func evict(t *testing.T, s *objects.Service, o *metav1.DeleteOptions) error {
	t.Helper()
	to := target(t, s, "pod", "web")
	to.Subresource = "eviction"
	_, err := s.Create(admin, to, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}, DeleteOptions: o}, false)
	return err
}

const (
	readyPod   = `status: {phase: Running, conditions: [{type: Ready, status: "True"}]}`
	unreadyPod = `status: {phase: Running, conditions: [{type: Ready, status: "False"}]}`
	selects    = `selector: {matchLabels: {app: web}}`
)

// What is answered is written as Kubernetes' eviction handler words it.
func TestEviction(t *testing.T) {
	tests := []struct {
		name, pod string
		budgets   []string // spec and status
		options   *metav1.DeleteOptions
		want      string // the Status as JSON; "" is that the pod goes
		allowed   int32  // of the first budget, afterwards
	}{
		{"no budget", readyPod, nil, nil, "", 0},
		{"another's budget", readyPod, []string{`spec: {selector: {matchLabels: {app: db}}}, status: {observedGeneration: 1}`}, nil, "", 0},
		{"nobody's budget", readyPod, []string{`spec: {minAvailable: 1}, status: {observedGeneration: 1}`}, nil, "", 0},
		{"within the budget", readyPod, []string{`spec: {` + selects + `}, status: {observedGeneration: 1, disruptionsAllowed: 2}`}, nil, "", 1},
		{"over the budget", readyPod, []string{`spec: {` + selects + `}, status: {observedGeneration: 1, desiredHealthy: 3, currentHealthy: 3}`}, nil,
			`{"metadata":{},"status":"Failure","message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests","details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget b0 needs 3 healthy pods and has 3 currently"}]},"code":429}`, 0},
		{"new budget", readyPod, []string{`spec: {` + selects + `}, status: {disruptionsAllowed: 1}`}, nil,
			`{"metadata":{},"status":"Failure","message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests","details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget b0 is still being processed by the server."}],"retryAfterSeconds":10},"code":429}`, 1},
		{"two budgets", readyPod, []string{`spec: {` + selects + `}`, `spec: {selector: {}}`}, nil,
			`{"metadata":{},"status":"Failure","message":"This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.","code":500}`, 0},
		{"unready, enough others", unreadyPod, []string{`spec: {` + selects + `}, status: {observedGeneration: 1, desiredHealthy: 1, currentHealthy: 1}`}, nil, "", 0},
		{"unready, too few others", unreadyPod, []string{`spec: {` + selects + `}, status: {observedGeneration: 1, desiredHealthy: 2, currentHealthy: 1}`}, nil,
			`{"metadata":{},"status":"Failure","message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests","details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget b0 needs 2 healthy pods and has 1 currently"}]},"code":429}`, 0},
		{"unready, always", unreadyPod, []string{`spec: {` + selects + `, unhealthyPodEvictionPolicy: AlwaysAllow}, status: {observedGeneration: 1, desiredHealthy: 2}`}, nil, "", 0},
		{"pending", `status: {phase: Pending}`, []string{`spec: {` + selects + `}`}, nil, "", 0},
		{"ended", `status: {phase: Failed}`, []string{`spec: {` + selects + `}`}, nil, "", 0},
		{"another pod", readyPod, []string{`spec: {` + selects + `}, status: {observedGeneration: 1, disruptionsAllowed: 2}`},
			&metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: ptr("1")}},
			`conflict`, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := objectstest.New(t)
			put(t, s, "pod", `{metadata: {name: web, labels: {app: web}}, spec: {containers: [{name: c, image: i}]}, `+tt.pod+`}`)
			for i, b := range tt.budgets {
				put(t, s, "pdb", `{metadata: {name: b`+string(rune('0'+i))+`}, `+b+`}`)
			}
			err := evict(t, s, tt.options)
			checkEviction(t, s, err, tt.want)
			if len(tt.budgets) > 0 {
				if got := budget(t, s).Status.DisruptionsAllowed; got != tt.allowed {
					t.Errorf("%d disruptions allowed, want %d", got, tt.allowed)
				}
			}
		})
	}
}

func checkEviction(t *testing.T, s *objects.Service, err error, want string) {
	t.Helper()
	_, gone := s.Get(admin, target(t, s, "pod", "web"), "")
	status := apierrors.APIStatus(nil)
	switch {
	case want == "":
		if err != nil || !apierrors.IsNotFound(gone) {
			t.Errorf("%v; the pod: %v", err, gone)
		}
	case gone != nil:
		t.Errorf("the pod is gone: %v", gone)
	case want == "conflict":
		if !apierrors.IsConflict(err) {
			t.Errorf("got %v, want a conflict", err)
		}
	case !errors.As(err, &status):
		t.Errorf("got %v", err)
	default:
		got := status.Status()
		if raw, _ := json.Marshal(&got); string(raw) != want {
			t.Errorf("got  %s\nwant %s", raw, want)
		}
	}
}

func budget(t *testing.T, s *objects.Service) *policyv1.PodDisruptionBudget {
	t.Helper()
	stored, err := s.Get(admin, target(t, s, "pdb", "b0"), "")
	if err != nil {
		t.Fatal(err)
	}
	return decode[*policyv1.PodDisruptionBudget](t, stored)
}

// An eviction takes its time as a deletion does, and says in the pod what it is.
func TestEvictionIsNotedWhereItShows(t *testing.T) {
	s, _ := objectstest.New(t)
	create(t, s, "node", &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	put(t, s, "pod", `{metadata: {name: web, labels: {app: web}}, spec: {nodeName: n1, containers: [{name: c, image: i}]}, `+readyPod+`}`)
	put(t, s, "pdb", `{metadata: {name: b0}, spec: {`+selects+`}, status: {observedGeneration: 1, disruptionsAllowed: 1}}`)
	if err := evict(t, s, &metav1.DeleteOptions{DryRun: []string{"All"}}); err != nil {
		t.Fatal(err)
	}
	if b := budget(t, s); b.Status.DisruptionsAllowed != 1 {
		t.Errorf("a dry run was charged: %+v", b.Status)
	}
	if err := evict(t, s, nil); err != nil {
		t.Fatal(err)
	}
	stored, err := s.Get(admin, target(t, s, "pod", "web"), "")
	if err != nil {
		t.Fatal(err)
	}
	pod := decode[*corev1.Pod](t, stored)
	if c := pod.Status.Conditions[1]; pod.DeletionTimestamp == nil || c.Type != corev1.DisruptionTarget || c.Reason != "EvictionByEvictionAPI" || c.Message != "Eviction API: evicting" {
		t.Errorf("deletion %v, conditions %+v", pod.DeletionTimestamp, pod.Status.Conditions)
	}
	b := budget(t, s)
	if _, ok := b.Status.DisruptedPods["web"]; !ok || b.Status.DisruptionsAllowed != 0 || b.Status.Conditions[0].Reason != policyv1.InsufficientPodsReason {
		t.Errorf("budget %+v", b.Status)
	}
	// It is on its way already: no budget is asked again.
	if err := evict(t, s, nil); err != nil {
		t.Error(err)
	}
}
