// Package allocation knows which cpu and memory of this node each pod was granted.
// What a pod asks for later is granted when there is room, and else waits for it.
package allocation

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Config says what there is to grant.
type Config struct {
	// Dir holds a directory for each pod, named by its uid; a record of what was
	// granted is kept there.
	Dir string
	// Allocatable is what the node has for pods.
	Allocatable corev1.ResourceList
	// Granted is told of pods that waited for room and have it now. It is called
	// from the goroutine that made the room, with no lock held.
	Granted func(podUID string)
	// Logger; nil discards.
	Logger *slog.Logger
}

// Ledger has an account of each pod of the node. It is used by all workers at once.
type Ledger struct {
	cfg Config

	mu       sync.Mutex // guards what follows
	accounts map[string]*account
	complete bool
}

// account is one pod's.
type account struct {
	// pod as the cluster wants it, and its status as this node told it last.
	pod     *corev1.Pod
	granted grants
	// saved says that the record on disk is what was granted.
	saved bool
	// charged is what counts as taken.
	charged amount
	// waiting is since when a resize waits for room; zero for none.
	waiting time.Time
	// untold says that a resize was granted and nobody has heard of it.
	untold bool
}

// New returns a ledger without pods.
func New(cfg Config) *Ledger {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Ledger{cfg: cfg, accounts: map[string]*account{}}
}

// Add opens the account of a pod that is new to this process: with what an agent
// before this one granted it, else with what it asks for. A known pod stays as it is.
func (l *Ledger) Add(pod *corev1.Pod) {
	l.mu.Lock()
	_, known := l.accounts[string(pod.UID)]
	l.mu.Unlock()
	if known {
		return
	}
	granted, found, err := readRecord(l.cfg.Dir, string(pod.UID))
	if err != nil {
		// It was damaged when the machine fell, so nothing runs by it any more.
		l.cfg.Logger.Warn("ignoring the record of what a pod was granted", "pod", pod.Namespace+"/"+pod.Name, "error", err)
	}
	if !found {
		granted = grantsOf(pod)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := &account{pod: pod, granted: granted, saved: found}
	a.charge()
	l.accounts[string(pod.UID)] = a
}

// Complete tells that every pod of the node was added. Nothing is granted before.
func (l *Ledger) Complete() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complete = true
}

// Allocated returns the pod with the resources that it was granted. They are on
// disk when it returns. A pod that is ending waits for no others.
func (l *Ledger) Allocated(pod *corev1.Pod) (*corev1.Pod, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.accounts[string(pod.UID)]
	if !ok {
		return pod, nil
	}
	if pod.DeletionTimestamp != nil {
		a.waiting = time.Time{}
	}
	if !a.saved {
		if err := a.granted.write(l.cfg.Dir, string(pod.UID)); err != nil {
			return nil, err
		}
		a.saved = true
	}
	return a.granted.apply(pod), nil
}

// Report takes in how the pod is. Room that it gives up goes to those that wait.
func (l *Ledger) Report(podUID string, status *corev1.PodStatus) {
	l.mu.Lock()
	a, ok := l.accounts[podUID]
	if !ok {
		l.mu.Unlock()
		return
	}
	pod := *a.pod
	pod.Status = *status
	a.pod = &pod
	before := a.charged
	a.charge()
	var granted []string
	if !before.within(a.charged) {
		granted = l.retry()
	}
	l.mu.Unlock()
	l.tell(granted)
}

// Remove closes the account of a pod of which nothing is left.
func (l *Ledger) Remove(podUID string) {
	l.mu.Lock()
	delete(l.accounts, podUID)
	granted := l.retry()
	l.mu.Unlock()
	l.tell(granted)
}

func (l *Ledger) tell(granted []string) {
	for _, uid := range granted {
		l.cfg.Granted(uid)
	}
}

// retry grants what waits and fits by now, the most urgent first, and returns the
// pods. The lock is held.
func (l *Ledger) retry() []string {
	if !l.complete {
		return nil
	}
	var waiting []*account
	for _, a := range l.accounts {
		if !a.waiting.IsZero() {
			waiting = append(waiting, a)
		}
	}
	slices.SortFunc(waiting, urgency)
	var granted []string
	for _, a := range waiting {
		if v := l.judge(a); v.State != Granted {
			continue
		}
		if err := l.grant(a); err != nil {
			l.cfg.Logger.Warn("grant a resize that waited", "pod", a.pod.Namespace+"/"+a.pod.Name, "error", err)
			continue
		}
		granted = append(granted, string(a.pod.UID))
	}
	return granted
}

// grant gives an account what its pod asks for. The lock is held.
func (l *Ledger) grant(a *account) error {
	next := grantsOf(a.pod)
	if err := next.write(l.cfg.Dir, string(a.pod.UID)); err != nil {
		return err
	}
	a.granted, a.saved, a.waiting, a.untold = next, true, time.Time{}, true
	a.charge()
	return nil
}
