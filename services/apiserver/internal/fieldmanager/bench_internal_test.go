package fieldmanager

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
)

func benchConfigMap() registry.Object {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default", Labels: map[string]string{"app": "a"}},
		Data:       map[string]string{"a": strings.Repeat("x", 500), "b": strings.Repeat("y", 300), "c": strings.Repeat("z", 200)},
	}
}

// benchPod is a pod of two containers, defaulted.
func benchPod() registry.Object {
	container := corev1.Container{
		Image: "registry.example.com/app:1.2.3", Command: []string{"/app", "--serve"},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "metrics", ContainerPort: 9090}},
		Env:   []corev1.EnvVar{{Name: "A", Value: "b"}, {Name: "C", Value: "d"}, {Name: "E", Value: "f"}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")},
		},
		VolumeMounts:   []corev1.VolumeMount{{Name: "config", MountPath: "/etc/app"}, {Name: "data", MountPath: "/data"}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8080)}}},
	}
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default", UID: "1", Labels: map[string]string{"app": "a", "pod-template-hash": "12345"}, OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "a", UID: "2"}}},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{container, container},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "a"}}}},
				{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
		},
	}
	pod.Spec.Containers[0].Name, pod.Spec.Containers[1].Name = "main", "side"
	k := kindOf("Pod")
	k.Default(pod)
	return pod
}

var allKinds = catalog.All(registry.Options{})

func kindOf(name string) *registry.Kind {
	for _, k := range allKinds {
		if k.GVK.Kind == name {
			return k
		}
	}
	return nil
}

// running is the pod after its start, as an agent tells.
func running(pod registry.Object) registry.Object {
	out := pod.DeepCopyObject().(*corev1.Pod)
	now := metav1.Now()
	out.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "10.244.1.2", PodIPs: []corev1.PodIP{{IP: "10.244.1.2"}}, HostIP: "10.0.0.1", StartTime: &now,
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now},
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now},
			{Type: corev1.ContainersReady, Status: corev1.ConditionTrue, LastTransitionTime: now},
		},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "main", Ready: true}, {Name: "side", Ready: true}},
	}
	return out
}

func trackers(b *testing.B) map[string]*Tracker {
	b.Helper()
	kinds := allKinds
	asking := New(kinds)
	for _, k := range kinds {
		for _, sub := range []string{"", status} {
			known, err := asking.of(k, sub)
			if err != nil {
				b.Fatal(err)
			}
			known.shape = nil
		}
	}
	return map[string]*Tracker{"walk": New(kinds), "library": asking}
}

func BenchmarkCreate(b *testing.B) {
	for name, tracker := range trackers(b) {
		for _, obj := range []registry.Object{benchConfigMap(), benchPod()} {
			k := kindOf(obj.GetObjectKind().GroupVersionKind().Kind)
			b.Run(k.GVK.Kind+"/"+name, func(b *testing.B) {
				for b.Loop() {
					obj.SetManagedFields(nil)
					tracker.Update(k, "", nil, obj, "bench", time.Now())
				}
				b.ReportMetric(float64(added(obj)), "stored-B")
			})
		}
	}
}

// added is how many bytes the managed fields add to an encoded object.
func added(obj registry.Object) int {
	with, _ := obj.Marshal()
	bare := obj.DeepCopyObject().(registry.Object)
	bare.SetManagedFields(nil)
	without, _ := bare.Marshal()
	return len(with) - len(without)
}

func BenchmarkStatus(b *testing.B) {
	for name, tracker := range trackers(b) {
		k, pod := kindOf("Pod"), benchPod()
		tracker.Update(k, "", nil, pod, "creator", time.Now())
		first := running(pod)
		tracker.Update(k, status, pod, first, "agent", time.Now())
		second := running(first).(*corev1.Pod)
		second.Status.ContainerStatuses[0].RestartCount = 1
		second.Status.Conditions[1].Status = corev1.ConditionFalse
		b.Run("first/"+name, func(b *testing.B) {
			for b.Loop() {
				obj := *(first.(*corev1.Pod))
				tracker.Update(k, status, pod, &obj, "agent", time.Now())
			}
		})
		b.Run("again/"+name, func(b *testing.B) {
			for b.Loop() {
				obj := *second
				tracker.Update(k, status, first, &obj, "agent", time.Now())
			}
		})
	}
}

// TestUsual has the writes that are most of a cluster's done by the walk.
func TestUsual(t *testing.T) {
	for _, obj := range []registry.Object{benchConfigMap(), benchPod()} {
		k := kindOf(obj.GetObjectKind().GroupVersionKind().Kind)
		known, err := New(allKinds).of(k, "")
		if err != nil {
			t.Fatal(err)
		}
		if !known.walk(&differ{}, nil, obj, "a", time.Now()) {
			t.Errorf("%s is left to the library", k.GVK.Kind)
		}
	}
}
