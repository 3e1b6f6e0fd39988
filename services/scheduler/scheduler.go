// Package scheduler assigns pods to nodes. Several instances may run: all of
// them follow the cluster and explain placements, the one that holds the Lease
// binds.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	schedulerv1 "github.com/musterhq/muster/proto/muster/scheduler/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/election"
	"github.com/musterhq/muster/sdk/events"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/services/scheduler/cache"
	"github.com/musterhq/muster/services/scheduler/core"
	"github.com/musterhq/muster/services/scheduler/queue"
)

// LeaseName is the Lease in kube-system that the leader holds.
const LeaseName = "kube-scheduler"

const (
	// name of the scheduler, as pods ask for it and events show it.
	name = "default-scheduler"
	// unfinished selects the pods that take room, or are to.
	unfinished = "status.phase!=Succeeded,status.phase!=Failed"
)

// Config says which cluster to schedule and as whom.
type Config struct {
	Client *sdk.Client
	// Identity tells instances apart.
	Identity string
	// Election adjusts the timing of the leader election; its other fields are
	// filled in.
	Election election.Config
	// Logger; nil discards.
	Logger *slog.Logger
}

// Scheduler places pods.
type Scheduler struct {
	schedulerv1.UnimplementedSchedulerServiceServer

	cfg      Config
	log      *slog.Logger
	client   *sdk.Client
	pods     *informer.Informer[*corev1.Pod]
	nodes    *informer.Informer[*corev1.Node]
	claims   *informer.Informer[*corev1.PersistentVolumeClaim]
	cache    *cache.Cache
	queue    *queue.Queue
	recorder *events.Recorder
	leading  atomic.Bool
}

// New makes a scheduler.
func New(cfg Config) (*Scheduler, error) {
	if cfg.Client == nil || cfg.Identity == "" {
		return nil, errors.New("scheduler: client and identity are needed")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Scheduler{
		cfg: cfg, log: cfg.Logger.With("component", "scheduler"), client: cfg.Client,
		pods:     informer.New[*corev1.Pod](cfg.Client, informer.Options{FieldSelector: unfinished, Logger: cfg.Logger}),
		nodes:    informer.New[*corev1.Node](cfg.Client, informer.Options{Logger: cfg.Logger}),
		claims:   informer.New[*corev1.PersistentVolumeClaim](cfg.Client, informer.Options{Logger: cfg.Logger}),
		cache:    cache.New(),
		queue:    queue.New(),
		recorder: events.New(events.Config{Client: cfg.Client, Component: name, Logger: cfg.Logger}),
	}
	s.nodes.OnChange(s.nodeChanged)
	s.pods.OnChange(s.podChanged)
	s.claims.OnChange(s.claimChanged)
	return s, nil
}

// Register adds SchedulerService to a server.
func (s *Scheduler) Register(r grpc.ServiceRegistrar) {
	schedulerv1.RegisterSchedulerServiceServer(r, s)
}

// Leading says whether this instance binds.
func (s *Scheduler) Leading() bool { return s.leading.Load() }

// Run schedules until ctx ends, which is no error.
func (s *Scheduler) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.nodes.Run(ctx) })
	g.Go(func() error { return s.pods.Run(ctx) })
	g.Go(func() error { return s.claims.Run(ctx) })
	g.Go(func() error { return s.recorder.Run(ctx) })
	g.Go(func() error {
		cfg := s.cfg.Election
		cfg.Client, cfg.Name, cfg.Identity, cfg.Leading, cfg.Logger = s.client, LeaseName, s.cfg.Identity, &s.leading, s.cfg.Logger
		return election.Run(ctx, cfg, s.lead)
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("scheduler: %w", err)
	}
	return nil
}

// mine says whether a pod asks for this scheduler, and for one at all now.
func mine(pod *corev1.Pod) bool {
	return (pod.Spec.SchedulerName == "" || pod.Spec.SchedulerName == name) &&
		pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil && len(pod.Spec.SchedulingGates) == 0
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// podChanged keeps the cache and the queue in step with the pods. The cache
// comes first: what is woken then sees the room that became free.
func (s *Scheduler) podChanged(old, pod *corev1.Pod) {
	if pod == nil || ended(pod) {
		gone := old
		if gone == nil {
			gone = pod
		}
		s.queue.Delete(gone.UID)
		s.wake(s.cache.RemovePod(gone.UID))
		return
	}
	s.wake(s.cache.SetPod(pod))
	if pod.Spec.NodeName != "" && (old == nil || !sameCompany(old, pod)) {
		s.queue.WakeRelating()
	}
	switch {
	case !mine(pod):
		s.queue.Delete(pod.UID)
	case s.queue.Update(pod):
	case !s.cache.Assumed(pod.UID):
		// One that is assumed was bound a moment ago, and this is news of before.
		s.queue.Add(pod)
	}
}

// sameCompany says that a change of a bound pod cannot help those that demand
// something of the pods around them. One that is ending no longer counts where
// pods are to be spread.
func sameCompany(a, b *corev1.Pod) bool {
	return a.Spec.NodeName == b.Spec.NodeName && maps.Equal(a.Labels, b.Labels) &&
		(a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil)
}

func (s *Scheduler) nodeChanged(old, node *corev1.Node) {
	if node == nil {
		s.cache.RemoveNode(old.Name)
		// One place less to spread over.
		s.queue.WakeRelating()
		s.queue.Review()
		return
	}
	s.cache.SetNode(node)
	if old == nil || !sameRoom(old, node) {
		s.wake(node.Name)
		s.queue.Review()
	}
}

// sameRoom says that a change of a node cannot help any pod.
func sameRoom(a, b *corev1.Node) bool {
	return equality.Semantic.DeepEqual(a.Spec, b.Spec) && equality.Semantic.DeepEqual(a.Labels, b.Labels) &&
		equality.Semantic.DeepEqual(a.Status.Allocatable, b.Status.Allocatable) &&
		equality.Semantic.DeepEqual(a.Status.Capacity, b.Status.Capacity) && core.Ready(a) == core.Ready(b)
}
