package endpointslice_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/musterhq/muster/services/controllermanager/endpointslice"
	"github.com/musterhq/muster/services/controllermanager/internal/backend"
)

func service(edits ...func(*corev1.Service)) *corev1.Service {
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "svc", Labels: map[string]string{"team": "a"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.96.0.9", Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
		},
	}
	for _, e := range edits {
		e(svc)
	}
	return svc
}

func pod(i int, edits ...func(*corev1.Pod)) *corev1.Pod {
	name := fmt.Sprintf("p%04d", i)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8000}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.244.%d.%d", i/250, i%250+1),
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	for _, e := range edits {
		e(p)
	}
	return p
}

func pods(n int) []*corev1.Pod {
	var out []*corev1.Pod
	for i := range n {
		out = append(out, pod(i))
	}
	return out
}

func decide(svc *corev1.Service, pods []*corev1.Pod, existing []*discoveryv1.EndpointSlice) endpointslice.Plan {
	ready := func(node string) bool { return node != "dead" }
	zone := func(node string) string { return "zone-of-" + node }
	return endpointslice.Decide(svc, backend.Of(svc, pods, ready), existing, zone)
}

func ending(p *corev1.Pod)   { p.DeletionTimestamp = &metav1.Time{} }
func notReady(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }

func TestConditions(t *testing.T) {
	publish := func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }
	for name, tc := range map[string]struct {
		svc  *corev1.Service
		pod  *corev1.Pod
		want string // ready serving terminating; "" for no endpoint
	}{
		"ready":                    {service(), pod(1), "true true false"},
		"not ready":                {service(), pod(1, notReady), "false false false"},
		"ending":                   {service(), pod(1, ending), "false true true"},
		"ending, not ready":        {service(), pod(1, ending, notReady), "false false true"},
		"on a dead node":           {service(), pod(1, func(p *corev1.Pod) { p.Spec.NodeName = "dead" }), "false false false"},
		"not ready, but published": {service(publish), pod(1, notReady), "true false false"},
		"ended":                    {service(), pod(1, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), ""},
		"without address":          {service(), pod(1, func(p *corev1.Pod) { p.Status.PodIP = "" }), ""},
		"not selected":             {service(), pod(1, func(p *corev1.Pod) { p.Labels = nil }), ""},
		"without the named port":   {service(), pod(1, func(p *corev1.Pod) { p.Spec.Containers[0].Ports = nil }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			plan := decide(tc.svc, []*corev1.Pod{tc.pod}, nil)
			got := ""
			if len(plan.Create) != 1 {
				t.Fatalf("%d slices", len(plan.Create))
			}
			for _, e := range plan.Create[0].Endpoints {
				got = fmt.Sprint(*e.Conditions.Ready, *e.Conditions.Serving, *e.Conditions.Terminating)
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestSliceSaysWhose(t *testing.T) {
	headless := func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }
	named := func(p *corev1.Pod) { p.Spec.Hostname, p.Spec.Subdomain = "first", "web" }
	s := decide(service(headless), []*corev1.Pod{pod(1, named)}, nil).Create[0]
	e := s.Endpoints[0]
	if *e.Hostname != "first" || *e.NodeName != "n1" || *e.Zone != "zone-of-n1" || e.TargetRef.Name != "p0001" {
		t.Errorf("endpoint %+v", e)
	}
	_, isHeadless := s.Labels[corev1.IsHeadlessService]
	if s.Labels[discoveryv1.LabelServiceName] != "web" || s.Labels[discoveryv1.LabelManagedBy] != endpointslice.ManagedBy || s.Labels["team"] != "a" || !isHeadless {
		t.Errorf("labels %v", s.Labels)
	}
	if !strings.HasPrefix(s.Name, "web-") || s.OwnerReferences[0].UID != "svc" || *s.Ports[0].Port != 8000 || *s.Ports[0].Name != "http" {
		t.Errorf("slice %+v", s)
	}
}

// TestMinimalUpdates changes what is behind a service of 250 pods and counts the
// slices that are written.
func TestMinimalUpdates(t *testing.T) {
	svc, all := service(), pods(250)
	existing := decide(svc, all, nil).Create
	if sizes := sizesOf(existing); !slices.Equal(sizes, []int{50, 100, 100}) {
		t.Fatalf("slices of %v", sizes)
	}
	for name, tc := range map[string]struct {
		pods                   []*corev1.Pod
		create, update, remove int
	}{
		"nothing changed": {all, 0, 0, 0},
		"one not ready":   {append(slices.Clone(all[:249]), pod(249, notReady)), 0, 1, 0},
		"one gone":        {all[:249], 0, 1, 0},
		"one more":        {append(slices.Clone(all), pod(250)), 0, 1, 0},
		"fifty-one more":  {append(slices.Clone(all), pods(301)[250:]...), 1, 1, 0},
		"none left":       {nil, 0, 1, 2},
		"other ports": {func() []*corev1.Pod {
			moved := pod(0, func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].ContainerPort = 9000 })
			return append([]*corev1.Pod{moved}, all[1:]...)
		}(), 1, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			plan := decide(svc, tc.pods, existing)
			if len(plan.Create) != tc.create || len(plan.Update) != tc.update || len(plan.Delete) != tc.remove {
				t.Errorf("create %d, update %d, delete %d; want %d, %d, %d",
					len(plan.Create), len(plan.Update), len(plan.Delete), tc.create, tc.update, tc.remove)
			}
		})
	}
}

func sizesOf(all []*discoveryv1.EndpointSlice) []int {
	var out []int
	for _, s := range all {
		out = append(out, len(s.Endpoints))
	}
	slices.Sort(out)
	return out
}

func TestNamesRepeat(t *testing.T) {
	first, second := decide(service(), pods(150), nil), decide(service(), pods(150), nil)
	for i := range first.Create {
		if first.Create[i].Name != second.Create[i].Name {
			t.Errorf("a second attempt would make %s beside %s", second.Create[i].Name, first.Create[i].Name)
		}
	}
	if first.Create[0].Name == first.Create[1].Name {
		t.Error("two slices of one name")
	}
}

func TestDualStack(t *testing.T) {
	svc := service(func(s *corev1.Service) {
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	})
	p := pod(1, func(p *corev1.Pod) { p.Status.PodIPs = []corev1.PodIP{{IP: "10.244.0.2"}, {IP: "fd00::2"}} })
	got := map[discoveryv1.AddressType]string{}
	for _, s := range decide(svc, []*corev1.Pod{p}, nil).Create {
		got[s.AddressType] = s.Endpoints[0].Addresses[0]
	}
	if got[discoveryv1.AddressTypeIPv4] != "10.244.0.2" || got[discoveryv1.AddressTypeIPv6] != "fd00::2" {
		t.Errorf("%v", got)
	}
}

// TestOverfullSlice has a slice that somebody put more into than fits.
func TestOverfullSlice(t *testing.T) {
	svc := service()
	full := decide(svc, pods(150), nil).Create
	full[0].Endpoints = append(full[0].Endpoints, full[1].Endpoints...)
	plan := decide(svc, pods(151), full[:1])
	if len(plan.Update) != 0 || len(plan.Create) != 1 || len(plan.Create[0].Endpoints) != 1 {
		t.Errorf("plan %+v, want the new endpoint in a slice of its own", plan)
	}
}
