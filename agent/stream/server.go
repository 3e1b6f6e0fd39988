// Package stream serves what flows both ways between a pod and the apiserver:
// commands, attached terminals and connections.
package stream

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// Pods finds this node's pods.
type Pods interface {
	Get(namespace, name string) (*corev1.Pod, bool)
}

// chunk bounds one message, in bytes.
const chunk = 32 << 10

// Server answers the streaming calls of the AgentService.
type Server struct {
	pods    Pods
	runtime runtime.Runtime
}

// New returns a Server.
func New(pods Pods, r runtime.Runtime) *Server { return &Server{pods: pods, runtime: r} }

// pod finds a pod of this node; an empty uid is any.
func (s *Server) pod(namespace, name, uid string) (*corev1.Pod, error) {
	p, ok := s.pods.Get(namespace, name)
	if !ok || (uid != "" && string(p.UID) != uid) {
		return nil, status.Error(codes.NotFound, "pod does not exist") // kubelet's words.
	}
	return p, nil
}

// container finds the running instance of a pod's container.
func (s *Server) container(ctx context.Context, podUID, name string) (runtime.Container, error) {
	state, err := s.runtime.Pod(ctx, podUID)
	if err != nil && !errors.Is(err, runtime.ErrNotFound) {
		return runtime.Container{}, status.Error(codes.Internal, err.Error())
	}
	for _, c := range state.Containers {
		if c.Name == name && c.State == runtime.Running {
			return c, nil
		}
	}
	return runtime.Container{}, status.Errorf(codes.NotFound, "container not found (%q)", name)
}

// failure is an error of the runtime as the caller is told it; the end of the
// call itself comes first.
func failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	code := codes.Internal
	if errors.Is(err, runtime.ErrNotFound) {
		code = codes.NotFound
	}
	return status.Error(code, err.Error())
}
