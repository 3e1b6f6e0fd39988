package controller

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"
)

// Stats tell how a controller does, for ControllerService.
type Stats struct {
	Name            string
	Inputs, Outputs []string
	// Queued keys that wait now.
	Queued int
	// Reconciled and Failed rounds since the start.
	Reconciled, Failed int64
	// LastError is empty when the last round of every key went well.
	LastError     string
	LastErrorTime time.Time
}

// loop is one controller with its queue and figures.
type loop struct {
	controller Controller
	inputs     []Input
	log        *slog.Logger

	mu                 sync.Mutex
	queue              workqueue.TypedRateLimitingInterface[Request]
	reconciled, errors int64
	failing            map[Request]failure
}

type failure struct {
	text string
	at   time.Time
}

func (l *loop) begin(q workqueue.TypedRateLimitingInterface[Request]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = q
}

func (l *loop) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = nil
	clear(l.failing)
}

func (l *loop) failed(req Request, err error) {
	l.mu.Lock()
	l.errors++
	l.failing[req] = failure{text: fmt.Sprintf("%s/%s: %v", req.Namespace, req.Name, err), at: time.Now()}
	l.mu.Unlock()
	if apierrors.IsConflict(err) {
		// Two writers met; the next round reads anew.
		l.log.Debug("reconcile conflict", "namespace", req.Namespace, "name", req.Name, "error", err)
		return
	}
	l.log.Warn("reconcile", "namespace", req.Namespace, "name", req.Name, "error", err)
}

func (l *loop) succeeded(req Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reconciled++
	delete(l.failing, req)
}

func (l *loop) snapshot() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{Name: l.controller.Name(), Outputs: l.controller.Outputs(), Reconciled: l.reconciled, Failed: l.errors}
	for _, in := range l.inputs {
		s.Inputs = append(s.Inputs, in.Type())
	}
	if l.queue != nil {
		s.Queued = l.queue.Len()
	}
	for _, f := range l.failing {
		if f.at.After(s.LastErrorTime) {
			s.LastError, s.LastErrorTime = f.text, f.at
		}
	}
	return s
}
