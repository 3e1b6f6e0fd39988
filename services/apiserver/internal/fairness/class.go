package fairness

import (
	"strings"
	"sync/atomic"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"

	"github.com/musterhq/muster/internal/access"
)

// Class is a kind of caller. Classes have seats of their own, so that one never
// waits for another.
type Class int

// The classes. Nobody is exempt: a script that runs away with an administrator's
// certificate must not keep the nodes from reporting.
const (
	// Control is servers, schedulers and controller managers.
	Control Class = iota
	// Nodes are the agents.
	Nodes
	// Workload is what runs in pods: service accounts.
	Workload
	// People are users and administrators.
	People
	// Others are those who did not say who they are.
	Others

	classes = iota
)

// String returns the class's name for messages and metrics.
func (c Class) String() string {
	return [classes]string{"control", "nodes", "workload", "people", "others"}[c]
}

var classOfRole = map[accessv1.Role]Class{
	accessv1.Role_ROLE_SERVER: Control, accessv1.Role_ROLE_SCHEDULER: Control,
	accessv1.Role_ROLE_CONTROLLER_MANAGER: Control, accessv1.Role_ROLE_NODE: Nodes,
	accessv1.Role_ROLE_ADMIN: People, accessv1.Role_ROLE_USER: People, accessv1.Role_ROLE_ANONYMOUS: Others,
}

const serviceAccountPrefix = "system:serviceaccount:"

// ClassOf returns the class of a caller.
func ClassOf(u access.User) Class {
	if strings.HasPrefix(u.Name, serviceAccountPrefix) {
		return Workload
	}
	if c, ok := classOfRole[u.Role()]; ok {
		return c
	}
	return Others
}

// counts is what a class has seen.
type counts struct {
	admitted, queued, refused atomic.Uint64
}

// Counts is what became of the requests of a class since the start.
type Counts struct {
	// Admitted got seats; Queued had to wait for them; Refused got none.
	Admitted, Queued, Refused uint64
	// Taken seats, and requests that Wait, at this moment.
	Taken, Waiting int64
}

// Counts returns those of a class.
func (g *Gate) Counts(c Class) Counts {
	p := &g.pools[c]
	return Counts{
		Admitted: p.counts.admitted.Load(), Queued: p.counts.queued.Load(), Refused: p.counts.refused.Load(),
		Taken: p.taken.Load(), Waiting: p.waiting.Load(),
	}
}

// Classes returns all classes.
func Classes() []Class { return []Class{Control, Nodes, Workload, People, Others} }
