package agent

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/agent/logs"
	"github.com/musterhq/muster/agent/node"
	"github.com/musterhq/muster/agent/pod"
	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/stream"
	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
)

// service answers the apiservers and the node controller.
type service struct {
	agentv1.UnimplementedAgentServiceServer
	agent   *Agent
	streams *stream.Server
}

// Exec runs a command in a container.
func (s *service) Exec(call agentv1.AgentService_ExecServer) error { return s.streams.Exec(call) }

// Dial connects with a port of a pod.
func (s *service) Dial(call agentv1.AgentService_DialServer) error { return s.streams.Dial(call) }

// Ping says whether pods can run here.
func (s *service) Ping(ctx context.Context, _ *agentv1.PingRequest) (*agentv1.PingResponse, error) {
	resp := &agentv1.PingResponse{Node: s.agent.cfg.NodeName, BootId: node.BootID(), Ready: true}
	select {
	case <-s.agent.networkReady:
	default:
		resp.Ready, resp.Reason = false, "NetworkNotReady"
		resp.Message = "the node network is not set up yet"
	}
	if _, err := s.agent.cfg.Runtime.Version(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		resp.Ready, resp.Reason = false, "ContainerRuntimeNotReady"
		resp.Message = "the container runtime does not answer: " + err.Error()
	}
	return resp, nil
}

// chunk bounds one message of a log.
const chunk = 32 << 10

// Logs streams a container's log.
func (s *service) Logs(req *agentv1.LogsRequest, stream agentv1.AgentService_LogsServer) error {
	a := s.agent
	p, ok := a.pods.Get(req.GetNamespace(), req.GetPod())
	if !ok || (req.GetPodUid() != "" && string(p.UID) != req.GetPodUid()) {
		return status.Errorf(codes.NotFound, "pod %s/%s is not on this node", req.GetNamespace(), req.GetPod())
	}
	uid := string(p.UID)
	dir := pod.LogDir(a.logDir(), p.Namespace, p.Name, uid, req.GetContainer())
	path, err := logs.Instance(dir, req.GetPrevious())
	if errors.Is(err, logs.ErrNoLog) {
		if req.GetPrevious() {
			return status.Errorf(codes.NotFound, "previous terminated container %q in pod %q not found", req.GetContainer(), p.Name)
		}
		return status.Errorf(codes.NotFound, "container %q in pod %q has no log yet", req.GetContainer(), p.Name)
	}
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	opts := logs.Options{
		Follow: req.GetFollow(), Timestamps: req.GetTimestamps(), Tail: req.TailLines, LimitBytes: req.LimitBytes,
	}
	if req.GetSinceTime() != nil {
		opts.Since = req.GetSinceTime().AsTime()
	}
	err = logs.Read(stream.Context(), path, opts, func() bool { return a.logEnded(stream.Context(), uid, path) }, sender{stream})
	if ctxErr := stream.Context().Err(); ctxErr != nil {
		return status.FromContextError(ctxErr).Err()
	}
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

// logEnded says whether the container that writes a log has ended.
func (a *Agent) logEnded(ctx context.Context, uid, path string) bool {
	state, err := a.cfg.Runtime.Pod(ctx, uid)
	if errors.Is(err, runtime.ErrNotFound) {
		return true
	}
	if err != nil {
		return false // The runtime is away for a moment; the container is not.
	}
	for _, c := range state.Containers {
		if c.LogPath == path {
			return c.State == runtime.Exited
		}
	}
	return true
}

// sender is the stream as a writer.
type sender struct {
	stream agentv1.AgentService_LogsServer
}

var _ io.Writer = sender{}

func (s sender) Write(p []byte) (int, error) {
	sent := 0
	for len(p) > 0 {
		n := min(len(p), chunk)
		if err := s.stream.Send(&agentv1.LogsResponse{Data: append([]byte(nil), p[:n]...)}); err != nil {
			return sent, err
		}
		sent, p = sent+n, p[n:]
	}
	return sent, nil
}
