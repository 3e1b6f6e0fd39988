package pod

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// one is a container's instance.
func one(name string, attempt int, state runtime.State, code int) runtime.Container {
	return runtime.Container{
		ID: name + string(rune('0'+attempt)), Name: name, Attempt: attempt, State: state, ExitCode: code,
		Hash: specHash(&corev1.Container{Name: name, Image: "img"}),
	}
}

func podOf(policy corev1.RestartPolicy, inits, mains []string) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy}}
	for _, n := range inits {
		c := corev1.Container{Name: n, Image: "img"}
		if n == "side" {
			always := corev1.ContainerRestartPolicyAlways
			c.RestartPolicy = &always
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
	for _, n := range mains {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: n, Image: "img"})
	}
	return p
}

// decision is a pod with what there is of it, and what has to follow.
type decision struct {
	pod         *corev1.Pod
	there       []runtime.Container
	held        bool
	starting    bool     // nothing has passed its startup probe
	start       []string // name and attempt
	stop        []string
	waiting     []string
	remove      []string
	initialized bool
	finished    bool
}

func (tc decision) check(t *testing.T) {
	t.Helper()
	p := decide(tc.pod, runtime.Pod{Containers: tc.there}, func(string, time.Time) (time.Duration, time.Duration) {
		if tc.held {
			return 7 * time.Second, 10 * time.Second
		}
		return 0, 0
	}, func(*corev1.Container, string) bool { return !tc.starting })
	var start, stop, waits []string
	for _, s := range p.start {
		start = append(start, s.container.Name+string(rune('0'+s.attempt)))
	}
	for _, s := range p.stop {
		stop = append(stop, s.name)
	}
	for n := range p.waiting {
		waits = append(waits, n)
	}
	same(t, "start", start, tc.start)
	same(t, "stop", stop, tc.stop)
	same(t, "waiting", waits, tc.waiting)
	same(t, "remove", p.remove, tc.remove)
	if p.initialized != tc.initialized || p.finished != tc.finished {
		t.Errorf("initialized %t, finished %t", p.initialized, p.finished)
	}
	if tc.held && p.again != 7*time.Second {
		t.Errorf("again in %v", p.again)
	}
}

func TestDecide(t *testing.T) {
	const (
		always = corev1.RestartPolicyAlways
		never  = corev1.RestartPolicyNever
		onFail = corev1.RestartPolicyOnFailure
	)
	run, end := runtime.Running, runtime.Exited
	tests := map[string]decision{
		"new pod starts all":              {pod: podOf(always, nil, []string{"a", "b"}), start: []string{"a0", "b0"}, initialized: true},
		"running pod rests":               {pod: podOf(always, nil, []string{"a"}), there: []runtime.Container{one("a", 0, run, 0)}, initialized: true},
		"ended one starts again":          {pod: podOf(always, nil, []string{"a"}), there: []runtime.Container{one("a", 2, end, 0)}, start: []string{"a3"}, initialized: true},
		"or waits":                        {pod: podOf(always, nil, []string{"a"}), there: []runtime.Container{one("a", 2, end, 1)}, held: true, waiting: []string{"a"}, initialized: true},
		"never means never":               {pod: podOf(never, nil, []string{"a"}), there: []runtime.Container{one("a", 0, end, 1)}, initialized: true, finished: true},
		"one ended, one runs":             {pod: podOf(never, nil, []string{"a", "b"}), there: []runtime.Container{one("a", 0, end, 1), one("b", 0, run, 0)}, initialized: true},
		"on failure, failed":              {pod: podOf(onFail, nil, []string{"a"}), there: []runtime.Container{one("a", 0, end, 1)}, start: []string{"a1"}, initialized: true},
		"on failure, well":                {pod: podOf(onFail, nil, []string{"a"}), there: []runtime.Container{one("a", 0, end, 0)}, initialized: true, finished: true},
		"first init alone":                {pod: podOf(always, []string{"i", "j"}, []string{"a"}), start: []string{"i0"}},
		"second init":                     {pod: podOf(always, []string{"i", "j"}, []string{"a"}), there: []runtime.Container{one("i", 0, end, 0)}, start: []string{"j0"}},
		"init runs":                       {pod: podOf(always, []string{"i"}, []string{"a"}), there: []runtime.Container{one("i", 0, run, 0)}},
		"init failed":                     {pod: podOf(always, []string{"i"}, []string{"a"}), there: []runtime.Container{one("i", 0, end, 1)}, start: []string{"i1"}},
		"init failed for good":            {pod: podOf(never, []string{"i"}, []string{"a"}), there: []runtime.Container{one("i", 0, end, 1)}, finished: true},
		"init done":                       {pod: podOf(always, []string{"i"}, []string{"a"}), there: []runtime.Container{one("i", 0, end, 0)}, start: []string{"a0"}, initialized: true},
		"begun pods need no init":         {pod: podOf(always, []string{"i"}, []string{"a"}), there: []runtime.Container{one("a", 0, end, 1)}, start: []string{"a1"}, initialized: true},
		"sidecar first":                   {pod: podOf(always, []string{"side", "i"}, []string{"a"}), start: []string{"side0"}},
		"sidecar has not started yet":     {pod: podOf(always, []string{"side", "i"}, []string{"a"}), there: []runtime.Container{one("side", 0, run, 0)}, starting: true},
		"then the next":                   {pod: podOf(always, []string{"side", "i"}, []string{"a"}), there: []runtime.Container{one("side", 0, run, 0)}, start: []string{"i0"}},
		"or the containers":               {pod: podOf(always, []string{"side"}, []string{"a"}), there: []runtime.Container{one("side", 0, run, 0)}, start: []string{"a0"}, initialized: true},
		"sidecar died early":              {pod: podOf(always, []string{"side", "i"}, []string{"a"}), there: []runtime.Container{one("side", 0, end, 1)}, start: []string{"side1"}},
		"sidecar that starts again":       {pod: podOf(always, []string{"side"}, []string{"a"}), there: []runtime.Container{one("side", 1, run, 0), one("a", 0, end, 1)}, starting: true, start: []string{"a1"}, initialized: true},
		"dead sidecar beside the running": {pod: podOf(always, []string{"side"}, []string{"a"}), there: []runtime.Container{one("side", 0, end, 0), one("a", 0, run, 0)}, start: []string{"side1"}, initialized: true},
		"sidecar stops when all is done":  {pod: podOf(never, []string{"side"}, []string{"a"}), there: []runtime.Container{one("side", 0, run, 0), one("a", 0, end, 0)}, stop: []string{"side"}, initialized: true, finished: true},
		"only the last two are kept":      {pod: podOf(always, nil, []string{"a"}), there: []runtime.Container{one("a", 0, end, 1), one("a", 1, end, 1), one("a", 2, run, 0)}, remove: []string{"a0"}, initialized: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.check(t)
		})
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s %v, want %v", what, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s %v, want %v", what, got, want)
		}
	}
}

func TestExpand(t *testing.T) {
	values := map[string]string{"A": "1", "B": "$(A)"}
	lookup := func(n string) (string, bool) { v, ok := values[n]; return v, ok }
	for in, want := range map[string]string{
		"$(A)": "1", "x$(A)y": "x1y", "$(B)": "$(A)", "$(C)": "$(C)", "$$(A)": "$(A)", "$$$(A)": "$1",
		"$A": "$A", "$(A": "$(A", "$": "$", "": "", "$()": "$()",
	} {
		if got := expand(in, lookup); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestServiceEnv(t *testing.T) {
	svc := func(ns, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
		s := &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
		s.Namespace, s.Name = ns, name
		return s
	}
	port := corev1.ServicePort{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP}
	all := []*corev1.Service{
		svc("default", "kubernetes", "10.96.0.1", port), svc("a", "my-db", "10.96.0.9", corev1.ServicePort{Port: 5432}),
		svc("b", "other", "10.96.0.8", port), svc("a", "headless", corev1.ClusterIPNone, port),
	}
	values := func(links bool) map[string]string {
		out := map[string]string{}
		for _, e := range serviceEnv(all, "a", links) {
			out[e.Name] = e.Value
		}
		return out
	}
	with := values(true)
	for name, want := range map[string]string{
		"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
		"KUBERNETES_PORT": "tcp://10.96.0.1:443", "MY_DB_SERVICE_HOST": "10.96.0.9",
		"MY_DB_PORT_5432_TCP_ADDR": "10.96.0.9", "MY_DB_PORT_5432_TCP": "tcp://10.96.0.9:5432",
	} {
		if with[name] != want {
			t.Errorf("%s=%q, want %q", name, with[name], want)
		}
	}
	if _, ok := with["OTHER_SERVICE_HOST"]; ok {
		t.Error("a service of another namespace is there")
	}
	without := values(false)
	if _, ok := without["MY_DB_SERVICE_HOST"]; ok || without["KUBERNETES_SERVICE_HOST"] == "" {
		t.Errorf("without links: %v", without)
	}
}
