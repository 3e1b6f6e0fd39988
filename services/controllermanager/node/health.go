// Package node looks after nodes: whether they live, which pods they may run,
// what becomes of their pods when they are gone. The decisions are pure; the
// Monitor probes and writes the Ready condition, the Controller does the rest
// from what the Node says.
package node

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Outcome is what a direct probe of a node's agent came to.
type Outcome int

const (
	// Silent: nothing answered. The machine, or the way to it, is gone.
	Silent Outcome = iota
	// Refused: the machine answered that nobody listens. Its agent is down, its
	// pods may well run.
	Refused
	// Answered: the agent said how it is.
	Answered
)

// refusedGrace is how long an agent may be down or starting, for an upgrade say,
// before its node counts as gone: its pods run on meanwhile.
const refusedGrace = 10 * time.Second

// Report is one probe's outcome with what the agent said.
type Report struct {
	Outcome         Outcome
	Ready           bool
	Reason, Message string
}

// starting says that the agent is on its way up, as after an upgrade of it.
func (r Report) starting() bool {
	return r.Outcome == Answered && !r.Ready && r.Reason == "NetworkNotReady"
}

// Health is what the last probes of a node came to. The zero value has seen none.
type Health struct {
	last Report
	// downSince is when the present run of refusals, and of answers from an agent
	// that is starting, began.
	downSince time.Time
}

// After returns the health with one more report.
func (h Health) After(r Report, now time.Time) Health {
	since := time.Time{}
	if r.Outcome == Refused || r.starting() {
		since = h.downSince
		if since.IsZero() {
			since = now
		}
	}
	return Health{last: r, downSince: since}
}

// Verdict is the Ready condition that follows.
type Verdict struct {
	Status          corev1.ConditionStatus
	Reason, Message string
}

// Verdict returns what the Ready condition should say. While it is too early to
// tell, decided is false, and wait the time until it is not.
func (h Health) Verdict(now time.Time) (v Verdict, decided bool, wait time.Duration) {
	if left := h.downSince.Add(refusedGrace).Sub(now); !h.downSince.IsZero() && left > 0 {
		return Verdict{}, false, left
	}
	switch h.last.Outcome {
	case Answered:
		if h.last.Ready {
			return Verdict{corev1.ConditionTrue, "KubeletReady", "The node's agent answers and is ready to run pods."}, true, 0
		}
		v := Verdict{corev1.ConditionFalse, h.last.Reason, h.last.Message}
		if v.Reason == "" {
			v.Reason = "KubeletNotReady"
		}
		return v, true, 0
	case Refused:
		return Verdict{corev1.ConditionUnknown, "NodeStatusUnknown", "The machine answers, but the node's agent is not running."}, true, 0
	}
	return Verdict{corev1.ConditionUnknown, "NodeStatusUnknown", "The node's agent stopped answering."}, true, 0
}

// Says tells whether the node's Ready condition says so already.
func (v Verdict) Says(n *corev1.Node) bool {
	c := readyCondition(n)
	return c != nil && c.Status == v.Status && c.Reason == v.Reason && c.Message == v.Message
}
