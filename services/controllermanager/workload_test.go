package controllermanager_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/sdk"
)

// web is a deployment as the server's defaults complete it.
func web(replicas int32, image string) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas:                &replicas,
			RevisionHistoryLimit:    ptr.To(int32(10)),
			ProgressDeadlineSeconds: ptr.To(int32(600)),
			Selector:                &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxSurge: ptr.To(intstr.FromString("25%")), MaxUnavailable: ptr.To(intstr.FromString("25%"))}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
				Spec: corev1.PodSpec{
					Containers:                    []corev1.Container{{Name: "c", Image: image, Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8000}}}},
					TerminationGracePeriodSeconds: ptr.To(int64(30)),
					Tolerations: []corev1.Toleration{
						{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To(int64(300))},
						{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To(int64(300))},
					},
				},
			},
		},
	}
}

func webService() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.96.0.9", Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString("http")}},
		},
	}
}

func (w *world) rolledOut(replicas int32) func() bool {
	return func() bool {
		d := get[*appsv1.Deployment](w, "web")
		st := d.Status
		return st.ObservedGeneration == d.Generation && st.Replicas == replicas && st.UpdatedReplicas == replicas && st.AvailableReplicas == replicas
	}
}

// ready counts the ready endpoints of web's slices, by node.
func (w *world) ready() map[string]int {
	byNode := map[string]int{}
	for _, s := range list[*discoveryv1.EndpointSlice](w) {
		for _, e := range s.Endpoints {
			if *e.Conditions.Ready {
				byNode[*e.NodeName]++
			}
		}
	}
	return byNode
}

func TestDeploymentRollsOutAndBack(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		w.node(1)
		w.node(2)
		create(w, webService())
		create(w, web(3, "v1"))
		w.within(5*time.Second, "three pods available", w.rolledOut(3))

		sets := list[*appsv1.ReplicaSet](w)
		if len(sets) != 1 || !strings.HasPrefix(sets[0].Name, "web-") || sets[0].Labels["pod-template-hash"] == "" {
			t.Fatalf("replica sets: %v", sets)
		}
		for _, pod := range list[*corev1.Pod](w) {
			if len(pod.Name) != len(sets[0].Name)+6 || pod.GenerateName != sets[0].Name+"-" {
				t.Errorf("pod is named %s of set %s", pod.Name, sets[0].Name)
			}
		}
		w.within(time.Second, "three endpoints", func() bool { r := w.ready(); return r["n1"]+r["n2"] == 3 })
		eps := get[*corev1.Endpoints](w, "web")
		if len(eps.Subsets) != 1 || len(eps.Subsets[0].Addresses) != 3 || eps.Subsets[0].Ports[0].Port != 8000 {
			t.Errorf("endpoints: %+v", eps.Subsets)
		}

		change(w, "web", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "v2" })
		w.within(10*time.Second, "the second image", w.rolledOut(3))
		if got := get[*appsv1.Deployment](w, "web").Annotations["deployment.kubernetes.io/revision"]; got != "2" {
			t.Errorf("revision %q after the second image", got)
		}
		change(w, "web", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "v1" })
		w.within(10*time.Second, "the first image again", w.rolledOut(3))
		if got := get[*appsv1.ReplicaSet](w, sets[0].Name).Annotations["deployment.kubernetes.io/revision"]; got != "3" {
			t.Errorf("the first set has revision %q after going back", got)
		}
		change(w, "web", func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To(int32(12)) })
		w.within(5*time.Second, "twelve pods", w.rolledOut(12))
		change(w, "web", func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To(int32(1)) })
		w.within(5*time.Second, "one pod", w.rolledOut(1))
		w.within(time.Second, "the others gone", func() bool { return len(list[*corev1.Pod](w)) == 1 })
		w.within(5*time.Second, "events", func() bool {
			seen := map[string]bool{}
			for _, e := range list[*corev1.Event](w) {
				seen[e.Reason] = true
				if e.Reason == "ScalingReplicaSet" && e.Message == "Scaled up replica set "+sets[0].Name+" from 0 to 3" {
					seen["worded"] = true
				}
			}
			return seen["ScalingReplicaSet"] && seen["SuccessfulCreate"] && seen["SuccessfulDelete"] && seen["worded"]
		})
	})
}

func TestReplicaSetNeverMakesTooMany(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		w.node(1)
		create(w, web(200, "v1"))
		w.within(20*time.Second, "two hundred pods", w.rolledOut(200))
		created := 0
		for _, e := range list[*corev1.Event](w) {
			if e.Reason == "SuccessfulCreate" {
				created += int(e.Count)
			}
			if e.Reason == "SuccessfulDelete" {
				t.Errorf("a pod was made that was not wanted: %s", e.Message)
			}
		}
		if n := len(list[*corev1.Pod](w)); n != 200 {
			t.Errorf("%d pods", n)
		}
	})
}

func TestReplicaSetAdoptsAndReleases(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		w.node(1)
		create(w, web(2, "v1"))
		w.within(5*time.Second, "two pods", w.rolledOut(2))
		pod := list[*corev1.Pod](w)[0]
		change(w, pod.Name, func(p *corev1.Pod) { p.Labels["app"] = "other" })
		w.within(5*time.Second, "a third pod", func() bool { return len(list[*corev1.Pod](w)) == 3 })
		if refs := get[*corev1.Pod](w, pod.Name).OwnerReferences; len(refs) != 0 {
			t.Errorf("released pod still has owners: %v", refs)
		}
		change(w, pod.Name, func(p *corev1.Pod) { p.Labels["app"] = "web" })
		w.within(5*time.Second, "two pods again", func() bool { return len(list[*corev1.Pod](w)) == 2 })
		for _, p := range list[*corev1.Pod](w) {
			if metav1.GetControllerOf(p) == nil {
				t.Errorf("pod %s has no owner", p.Name)
			}
		}
	})
}

func TestReplicationController(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		w.node(1)
		pods := web(0, "v1").Spec.Template
		create(w, &corev1.ReplicationController{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
			Spec:       corev1.ReplicationControllerSpec{Replicas: ptr.To(int32(3)), Selector: pods.Labels, Template: &pods},
		})
		w.within(10*time.Second, "three pods", func() bool {
			rc := get[*corev1.ReplicationController](w, "web")
			return rc.Status.Replicas == 3 && rc.Status.AvailableReplicas == 3 && rc.Status.FullyLabeledReplicas == 3 && rc.Status.ObservedGeneration == rc.Generation
		})
		for _, pod := range list[*corev1.Pod](w) {
			if owner := metav1.GetControllerOf(pod); owner == nil || owner.Kind != "ReplicationController" || owner.APIVersion != "v1" || owner.Name != "web" {
				t.Errorf("pod %s is controlled by %v", pod.Name, owner)
			}
		}
		settled := get[*corev1.ReplicationController](w, "web").ResourceVersion
		time.Sleep(time.Minute)
		if now := get[*corev1.ReplicationController](w, "web").ResourceVersion; now != settled {
			t.Error("it was written although nothing changed")
		}
		change(w, "web", func(rc *corev1.ReplicationController) { rc.Spec.Replicas = ptr.To(int32(1)) })
		w.within(time.Minute, "one pod", func() bool { return len(list[*corev1.Pod](w)) == 1 })
		if err := sdk.Delete[*corev1.ReplicationController](w.ctx, w.client, "default", "web", sdk.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.within(time.Minute, "no pod", func() bool { return len(list[*corev1.Pod](w)) == 0 })
	})
}

func TestDeletionCollectsWhatIsOwned(t *testing.T) {
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground} {
		t.Run(string(policy), func(t *testing.T) {
			inWorld(t, func(w *world) {
				_, stop := w.manage("a")
				defer stop()
				w.node(1)
				create(w, webService())
				create(w, web(3, "v1"))
				w.within(5*time.Second, "three pods", w.rolledOut(3))
				for _, err := range []error{
					sdk.Delete[*appsv1.Deployment](w.ctx, w.client, "default", "web", sdk.DeleteOptions{Propagation: policy}),
					sdk.Delete[*corev1.Service](w.ctx, w.client, "default", "web", sdk.DeleteOptions{}),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
				w.within(10*time.Second, "nothing left", func() bool {
					return len(list[*appsv1.Deployment](w))+len(list[*appsv1.ReplicaSet](w))+len(list[*corev1.Pod](w))+
						len(list[*discoveryv1.EndpointSlice](w))+len(list[*corev1.Endpoints](w)) == 0
				})
			})
		})
	}
}

func TestOrphaningLeavesThePods(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		w.node(1)
		create(w, web(3, "v1"))
		w.within(5*time.Second, "three pods", w.rolledOut(3))
		change(w, "web", func(d *appsv1.Deployment) { d.Finalizers = []string{metav1.FinalizerOrphanDependents} })
		if err := sdk.Delete[*appsv1.Deployment](w.ctx, w.client, "default", "web", sdk.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.within(5*time.Second, "no deployment", func() bool { return len(list[*appsv1.Deployment](w)) == 0 })
		time.Sleep(time.Minute)
		sets := list[*appsv1.ReplicaSet](w)
		if len(sets) != 1 || len(sets[0].OwnerReferences) != 0 || len(list[*corev1.Pod](w)) != 3 {
			t.Errorf("%d sets (%v), %d pods", len(sets), sets[0].OwnerReferences, len(list[*corev1.Pod](w)))
		}
	})
}

// A budget follows its pods, and counts by what their deployment is to have.
func TestBudgetFollowsItsPods(t *testing.T) {
	inWorld(t, func(w *world) {
		_, stop := w.manage("a")
		defer stop()
		w.node(1)
		create(w, web(4, "image:1"))
		create(w, &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
			Spec: policyv1.PodDisruptionBudgetSpec{
				MinAvailable: ptr.To(intstr.FromString("50%")), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
		})
		counts := func(expected, desired, healthy, allowed int32) func() bool {
			return func() bool {
				s := get[*policyv1.PodDisruptionBudget](w, "web").Status
				return s.ExpectedPods == expected && s.DesiredHealthy == desired && s.CurrentHealthy == healthy && s.DisruptionsAllowed == allowed
			}
		}
		w.within(time.Minute, "four pods are counted", counts(4, 2, 4, 2))
		change(w, "web", func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To(int32(2)) })
		w.within(time.Minute, "two pods are counted", counts(2, 1, 2, 1))
	})
}
