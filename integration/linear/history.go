// Package linear records what clients and watchers of a store saw, and judges
// it: whether one order of all operations explains every answer
// (linearizability), and whether every watcher saw every change once and in
// order.
package linear

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
)

// Verb is what a step does to its key.
type Verb string

// The verbs.
const (
	// Create stores a key that must be absent.
	Create Verb = "create"
	// Update replaces a key that must be present.
	Update Verb = "update"
	// Delete removes a key that must be present.
	Delete Verb = "delete"
)

// Step is a change of one key.
type Step struct {
	Verb Verb `json:"verb"`
	// Key is "range/name".
	Key string `json:"key"`
	// Value that is written. No two steps of a history write the same, which is
	// how an answer tells whose write it shows.
	Value string `json:"value,omitempty"`
	// If is the revision that the key must have; 0 for any.
	If uint64 `json:"if,omitempty"`
}

// Request is one of steps that are done all or not at all, a get, a list.
type Request struct {
	Steps []Step `json:"steps,omitempty"`
	// Get is the key to read.
	Get string `json:"get,omitempty"`
	// List is the range to read.
	List string `json:"list,omitempty"`
}

// Outcome is how much of a request's end is known.
type Outcome string

// The outcomes.
const (
	// Done says that it was carried out.
	Done Outcome = "done"
	// Refused says that it had no effect and never will.
	Refused Outcome = "refused"
	// Unknown says that the answer was lost: it may be carried out at any time
	// since the call, or never.
	Unknown Outcome = "unknown"
)

// Reasons of a refusal that a model can foretell. Any other says only that
// nothing was done.
const (
	NotFound      = "NotFound"
	AlreadyExists = "AlreadyExists"
	Conflict      = "Conflict"
)

var foretold = map[string]bool{NotFound: true, AlreadyExists: true, Conflict: true}

// Item is a key as it was read.
type Item struct {
	Key      string `json:"key"`
	Value    string `json:"value"`
	Revision uint64 `json:"revision"`
}

// Response is what the store answered.
type Response struct {
	Outcome Outcome `json:"outcome"`
	// Reason of a refusal, and which step was refused.
	Reason string `json:"reason,omitempty"`
	At     int    `json:"at,omitempty"`
	// Revisions that the steps wrote, in their order; 0 where that was not told.
	Revisions []uint64 `json:"revisions,omitempty"`
	// Items that were read; of a get one or none.
	Items []Item `json:"items,omitempty"`
	// Revision of a list.
	Revision uint64 `json:"revision,omitempty"`
	// Error of what was not done, for the reader.
	Error string `json:"error,omitempty"`
}

// Operation is a request and its response. Call and Return order it against all
// others of the history.
type Operation struct {
	Client   int      `json:"client"`
	Call     int64    `json:"call"`
	Return   int64    `json:"return"`
	Request  Request  `json:"request"`
	Response Response `json:"response"`
}

// History is what clients and watchers saw of one cluster.
type History struct {
	Operations []Operation `json:"operations"`
	Watches    []Watch     `json:"watches"`
	// Until is the revision that every watcher had to reach in the end.
	Until uint64 `json:"until"`
	// Exclusive says that nobody else wrote to the keys, and that the watchers
	// began before the first operation: what no watcher saw was not done.
	Exclusive bool `json:"exclusive"`
}

// rangeOf is the range that a key lies in.
func rangeOf(key string) string {
	r, _, _ := strings.Cut(key, "/")
	return r
}

// Recorder takes operations down. It may be used from any goroutine.
type Recorder struct {
	clock atomic.Int64
	mu    sync.Mutex
	done  []Operation
}

// Call notes that a request is about to be made.
func (r *Recorder) Call() int64 { return r.clock.Add(1) }

// Return notes its response.
func (r *Recorder) Return(client int, call int64, request Request, response Response) {
	now := r.clock.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, Operation{Client: client, Call: call, Return: now, Request: request, Response: response})
}

// Operations are all that have returned.
func (r *Recorder) Operations() []Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Operation(nil), r.done...)
}

// Write writes the history as JSON, from which Read has it back.
func (h *History) Write(w io.Writer) error {
	if err := json.NewEncoder(w).Encode(h); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// Read reads a history that Write wrote.
func Read(r io.Reader) (*History, error) {
	h := &History{}
	if err := json.NewDecoder(r).Decode(h); err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return h, nil
}

// String tells the operation in a line.
func (o Operation) String() string {
	return fmt.Sprintf("client %d [%d, %d]: %v -> %v", o.Client, o.Call, o.Return, o.Request, o.Response)
}

// String tells the request.
func (r Request) String() string {
	switch {
	case r.Get != "":
		return "get " + r.Get
	case r.List != "":
		return "list " + r.List
	}
	steps := make([]string, len(r.Steps))
	for i, s := range r.Steps {
		steps[i] = fmt.Sprintf("%s %s", s.Verb, s.Key)
		if s.Value != "" {
			steps[i] += "=" + s.Value
		}
		if s.If != 0 {
			steps[i] += fmt.Sprintf(" if at %d", s.If)
		}
	}
	return strings.Join(steps, ", ")
}

// String tells the response.
func (r Response) String() string {
	switch {
	case r.Outcome == Refused:
		return fmt.Sprintf("refused: %s at step %d (%s)", r.Reason, r.At, r.Error)
	case r.Outcome == Unknown:
		return "unknown (" + r.Error + ")"
	case len(r.Revisions) > 0:
		return fmt.Sprintf("done at %v", r.Revisions)
	case r.Revision != 0:
		return fmt.Sprintf("%v at %d", r.Items, r.Revision)
	}
	return fmt.Sprint(r.Items)
}
