// Package store measures two replicated stores side by side: the same generator
// drives both through their own clients, in turn, in the same run.
package store

import (
	"context"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/integration/bench/process"
)

// Maker makes clusters of one store.
type Maker interface {
	// Name of the store.
	Name() string
	// New starts a cluster of that many members with empty directories below dir,
	// and returns when all of them serve.
	New(ctx context.Context, dir string, members int) (Cluster, error)
}

// Cluster is some members of a store, numbered from 0. The cases call it from
// one goroutine.
type Cluster interface {
	// Members is how many there are.
	Members() int
	// Process of a member.
	Process(member int) *process.Process
	// Start starts a member that has ended, and returns when it listens.
	Start(ctx context.Context, member int) error
	// Leader is the member that leads.
	Leader(ctx context.Context) (int, error)
	// Dial returns a client that knows these members, and uses the first one for
	// as long as it serves, or any of them.
	Dial(members ...int) (Client, error)
	// Close ends all members.
	Close()
}

// Client is a connection to a cluster. Its methods may be called from any
// goroutine.
type Client interface {
	// Prepare makes a namespace ready for objects.
	Prepare(ctx context.Context, namespace string) error
	// Load creates objects in one transaction.
	Load(ctx context.Context, objects []*corev1.ConfigMap) error
	// LoadPods creates pods as they are once they run, in few transactions.
	LoadPods(ctx context.Context, pods []*corev1.Pod) error
	// Put replaces an object.
	Put(ctx context.Context, object *corev1.ConfigMap) error
	// Get reads an object linearizably.
	Get(ctx context.Context, namespace, name string) error
	// List reads a namespace's first objects linearizably, and returns their count.
	List(ctx context.Context, namespace string, limit int) (int, error)
	// Watch calls ready once and then seen with the number of events of each
	// message, until ctx ends or the watch fails.
	Watch(ctx context.Context, namespace string, ready func(), seen func(events int)) error
	// Tidy drops history as the store's users do from time to time, if it does not
	// do so by itself.
	Tidy(ctx context.Context) error
	Close() error
}

// noise is what values are cut from: it does not compress.
var noise = func() []byte {
	data := make([]byte, 1<<16)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data) // never fails
	return data
}()

// object returns one that holds size bytes, others for each version: a store may
// know a write that changes nothing.
func object(namespace, name string, size int, version uint64) *corev1.ConfigMap {
	at := int((version * 7919) % uint64(len(noise)-size))
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		BinaryData: map[string][]byte{"value": noise[at : at+size]},
	}
}
