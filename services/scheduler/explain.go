package scheduler

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	schedulerv1 "github.com/musterhq/muster/proto/muster/scheduler/v1"
	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/scheduler/core"
)

// Explain says for each node why the pod may or may not run there. Instances
// that do not lead answer as well, from the same view of the cluster.
func (s *Scheduler) Explain(ctx context.Context, r *schedulerv1.ExplainRequest) (*schedulerv1.ExplainResponse, error) {
	if err := s.nodes.WaitSynced(ctx); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if err := s.pods.WaitSynced(ctx); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if err := s.claims.WaitSynced(ctx); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	pod, err := s.pod(ctx, r.GetNamespace(), r.GetName())
	if err != nil {
		return nil, err
	}
	// As if it were to be placed now: the node it has is not a wish of its own.
	free := pod.DeepCopy()
	free.Spec.NodeName = ""
	p := core.NewPod(free)
	p.Held = s.held(free)
	verdicts, res := s.cache.Explain(p)
	resp := &schedulerv1.ExplainResponse{NodeName: pod.Spec.NodeName, Leading: s.Leading(), Message: s.summary(pod, res)}
	for _, v := range verdicts {
		resp.Nodes = append(resp.Nodes, &schedulerv1.NodeVerdict{
			Node: v.Node, Feasible: v.Feasible, Reasons: v.Reasons, Score: v.Score, Scores: v.Scores})
	}
	return resp, nil
}

// pod is found in the cache, or read when it has ended or is very new.
func (s *Scheduler) pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	if pod, ok := s.pods.Get(namespace, name); ok {
		return pod, nil
	}
	pod, err := sdk.Get[*corev1.Pod](ctx, s.client, namespace, name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, status.Errorf(codes.NotFound, "pods %q not found", name)
	case err != nil:
		return nil, status.Errorf(codes.Unavailable, "explain: %v", err)
	}
	return pod, nil
}

func (s *Scheduler) summary(pod *corev1.Pod, res core.Result) string {
	switch {
	case pod.Spec.NodeName != "":
		return "Successfully assigned " + pod.Namespace + "/" + pod.Name + " to " + pod.Spec.NodeName
	case len(pod.Spec.SchedulingGates) > 0:
		return "Scheduling is blocked due to non-empty scheduling gates"
	case pod.Spec.SchedulerName != "" && pod.Spec.SchedulerName != name:
		return "The pod asks for another scheduler: " + pod.Spec.SchedulerName
	case res.Node != nil:
		return "The pod is about to be assigned to " + res.Node.Name
	}
	return res.Message()
}
