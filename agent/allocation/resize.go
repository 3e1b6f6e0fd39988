package allocation

import (
	"cmp"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/resource"
	"k8s.io/utils/ptr"
)

// State is what became of a resize.
type State int

// The states of a resize, as the conditions of pods word them.
const (
	// Unchanged: the pod has what it asks for.
	Unchanged State = iota
	// Undecided: not all pods of the node are known yet.
	Undecided
	// Granted is said once for each resize.
	Granted
	// Deferred until there is room.
	Deferred
	// Infeasible on this node, whatever else leaves it.
	Infeasible
)

// Verdict is the answer to a resize.
type Verdict struct {
	State State
	// Message says why it is deferred or infeasible, in kubelet's words.
	Message string
}

// Resize decides on a version of the pod: whether it may have what it asks for now.
// One that is deferred waits from then on.
func (l *Ledger) Resize(pod *corev1.Pod) (Verdict, error) {
	l.mu.Lock()
	a, ok := l.accounts[string(pod.UID)]
	if !ok {
		l.mu.Unlock()
		return Verdict{}, nil
	}
	wanted := *pod
	wanted.Status = a.pod.Status
	a.pod = &wanted
	v, others, err := l.resize(a)
	l.mu.Unlock()
	l.tell(others)
	return v, err
}

// resize is Resize with the lock held; others are pods that were granted as well.
func (l *Ledger) resize(a *account) (v Verdict, others []string, err error) {
	if a.granted.fit(a.pod) {
		a.waiting = time.Time{}
		if a.untold {
			a.untold = false
			return Verdict{State: Granted}, nil, nil
		}
		return Verdict{}, nil, nil
	}
	a.untold = false
	if !l.complete {
		return Verdict{State: Undecided}, nil, nil
	}
	if v := l.judge(a); v.State != Granted {
		if a.waiting.IsZero() {
			a.waiting = time.Now()
		}
		return v, nil, nil
	}
	before := a.charged
	if err := l.grant(a); err != nil {
		return Verdict{}, nil, err
	}
	a.untold = false
	if !before.within(a.charged) {
		others = l.retry()
	}
	return Verdict{State: Granted}, others, nil
}

// judge says whether what the account's pod asks for fits. What does not grow
// always does: a node that is overbooked gets better by it.
func (l *Ledger) judge(a *account) Verdict {
	all := amountOf(l.cfg.Allocatable)
	asked, has := amountOf(resource.PodRequests(a.pod, resource.PodResourcesOptions{})), a.requests()
	for _, r := range []struct {
		name           corev1.ResourceName
		asked, has, of int64
	}{{corev1.ResourceMemory, asked.memory, has.memory, all.memory}, {corev1.ResourceCPU, asked.cpu, has.cpu, all.cpu}} {
		if r.asked > r.of && r.asked > r.has {
			return Verdict{Infeasible, fmt.Sprintf("Node didn't have enough capacity: %s, requested: %d, capacity: %d", r.name, r.asked, r.of)}
		}
	}
	var used amount
	for _, other := range l.accounts {
		if other != a {
			used.cpu, used.memory = used.cpu+other.charged.cpu, used.memory+other.charged.memory
		}
	}
	for _, r := range []struct {
		name                 corev1.ResourceName
		asked, has, used, of int64
	}{{corev1.ResourceCPU, asked.cpu, has.cpu, used.cpu, all.cpu}, {corev1.ResourceMemory, asked.memory, has.memory, used.memory, all.memory}} {
		if r.asked > r.has && r.asked > r.of-r.used {
			return Verdict{Deferred, fmt.Sprintf("Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d", r.name, r.asked, r.used, r.of)}
		}
	}
	return Verdict{State: Granted}
}

// amount of cpu, in thousandths of a core, and of memory in bytes.
type amount struct{ cpu, memory int64 }

func amountOf(list corev1.ResourceList) amount {
	return amount{cpu: list.Cpu().MilliValue(), memory: list.Memory().Value()}
}

// within says that no part of a is more than of b.
func (a amount) within(b amount) bool { return a.cpu <= b.cpu && a.memory <= b.memory }

// requests are those that were granted.
func (a *account) requests() amount {
	return amountOf(resource.PodRequests(a.granted.apply(a.pod), resource.PodResourcesOptions{}))
}

// charge counts what the pod takes: what it was granted, and what its containers
// still have where that is more; nothing once it has ended.
func (a *account) charge() {
	if p := a.pod.Status.Phase; p == corev1.PodSucceeded || p == corev1.PodFailed {
		a.charged = amount{}
		return
	}
	a.charged = amountOf(resource.PodRequests(a.granted.apply(a.pod), resource.PodResourcesOptions{UseStatusResources: true}))
}

// urgency orders those that wait as kubelet does: what does not grow, then by
// priority, by quality of service, and by time.
func urgency(a, b *account) int {
	grows := func(x *account) int {
		if amountOf(resource.PodRequests(x.pod, resource.PodResourcesOptions{})).within(x.requests()) {
			return 0
		}
		return 1
	}
	guaranteed := func(x *account) int {
		if x.pod.Status.QOSClass == corev1.PodQOSGuaranteed {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(grows(a), grows(b)),
		cmp.Compare(ptr.Deref(b.pod.Spec.Priority, 0), ptr.Deref(a.pod.Spec.Priority, 0)),
		cmp.Compare(guaranteed(a), guaranteed(b)),
		a.waiting.Compare(b.waiting),
		cmp.Compare(a.pod.UID, b.pod.UID),
	)
}
