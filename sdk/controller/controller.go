// Package controller is the contract between a reconcile loop and what runs it.
// A controller declares what it reads and what it writes, and reconciles one key
// at a time; queues, retries with back-off, panics and metrics are the runner's.
package controller

import (
	"context"
	"time"
)

// Request names the object to reconcile.
type Request struct {
	Namespace, Name string
}

// Result says when to come back.
type Result struct {
	// RequeueAfter asks for another round; 0 for none before something changes.
	RequeueAfter time.Duration
}

// Controller brings the world closer to one object's declared state. Reconcile
// is called with one key at a time per key, from several goroutines for several
// keys. An error makes the runner try again with exponential back-off.
type Controller interface {
	// Name is one word, lower case: "deployment".
	Name() string
	// Inputs are the types read, each with the mapping from a changed object to
	// the keys that have to be reconciled. The runner gives the controller a
	// cache of each before the first Reconcile.
	Inputs() []Input
	// Outputs are the types (or subresources, "pods/status") written; the runner
	// refuses to start two controllers that write the same one without saying so.
	Outputs() []string
	// Reconcile looks at the object and acts.
	Reconcile(ctx context.Context, req Request) (Result, error)
}
