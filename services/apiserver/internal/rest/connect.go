package rest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/stream"
)

// Agents reach pods by way of their nodes. address is the agent's; an error is a
// gRPC status. Exec and Dial return once the node has answered.
type Agents interface {
	// Ping asks whether pods can run on the node.
	Ping(ctx context.Context, node, address string) (*agentv1.PingResponse, error)
	// Usage asks what the node and its pods have used.
	Usage(ctx context.Context, node, address string) (*agentv1.UsageResponse, error)
	// Logs streams a container's log. It blocks until the log ends, send fails or
	// ctx ends.
	Logs(ctx context.Context, node, address string, request *agentv1.LogsRequest, send func([]byte) error) error
	// Exec finds the container of a command, which ctx ends.
	Exec(ctx context.Context, node, address string, start *agentv1.ExecStart) (stream.Command, error)
	// Dial connects with a port of a pod, in the time that ctx leaves.
	Dial(ctx context.Context, node, address string, start *agentv1.DialStart) (net.Conn, error)
}

// connectable finds the pod that a stream is asked of. Whoever may not create
// streams gets none, whichever method opens one: it is more than reading.
func (h *Handler) connectable(r *http.Request, t objects.Target) (*corev1.Pod, error) {
	if err := h.objects.Authorize(r.Context(), subresourceVerbOf(r.Method), t); err != nil {
		return nil, err
	}
	if err := h.objects.Authorize(r.Context(), "create", t); err != nil {
		return nil, err
	}
	pod, err := h.connected(r.Context(), t)
	if err == nil && !stream.IsUpgrade(r) {
		return nil, apierrors.NewBadRequest("Upgrade request required")
	}
	return pod, err
}

// connected reads the pod of an authorised request.
func (h *Handler) connected(ctx context.Context, t objects.Target) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	t.Subresource = ""
	stored, err := h.objects.Read(ctx, t)
	if err != nil {
		return nil, err
	}
	obj, err := stored.Decode()
	if err != nil {
		return nil, err
	}
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return nil, apierrors.NewMethodNotSupported(t.Kind.GroupResource(), "connect")
	}
	return pod, nil
}

// exec runs a command in a container, or attaches to what it runs.
func (h *Handler) exec(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	pod, err := h.connectable(r, t)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	container, err := containerOf(q.Get("container"), pod)
	if err != nil {
		return err
	}
	address, err := h.streamAddress(r.Context(), pod)
	if err != nil {
		return err
	}
	o := stream.Options{Stdin: isSet(q, "stdin"), Stdout: isSet(q, "stdout"), Stderr: isSet(q, "stderr"), TTY: isSet(q, "tty")}
	if t.Subresource == "exec" {
		if o.Command = q["command"]; len(o.Command) == 0 {
			return apierrors.NewBadRequest("you must specify at least one command for the container")
		}
	}
	stream.ServeCommand(w, r, o, func(ctx context.Context) (stream.Command, error) {
		command, err := h.agents.Exec(ctx, pod.Spec.NodeName, address, &agentv1.ExecStart{
			Namespace: pod.Namespace, Pod: pod.Name, PodUid: string(pod.UID), Container: container,
			Command: o.Command, Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr && !o.TTY, Tty: o.TTY,
		})
		return command, dialing(address, err)
	})
	return nil
}

// dialing words an agent that cannot be reached as Kubernetes words a kubelet.
func dialing(address string, err error) error {
	if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
		return fmt.Errorf("error dialing backend: dial tcp %s: %s", address, status.Convert(err).Message())
	}
	return err
}

// portForward connects a client with ports of a pod.
func (h *Handler) portForward(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	pod, err := h.connectable(r, t)
	if err != nil {
		return err
	}
	address, err := h.streamAddress(r.Context(), pod)
	if err != nil {
		return err
	}
	var ports []int32
	for _, text := range r.URL.Query()["ports"] {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return apierrors.NewBadRequest(fmt.Sprintf("invalid query parameter ports: %q is no port", text))
		}
		ports = append(ports, int32(port))
	}
	stream.ServePorts(w, r, pod.Name, string(pod.UID), ports, func(ctx context.Context, port uint16) (net.Conn, error) {
		return h.agents.Dial(ctx, pod.Spec.NodeName, address, &agentv1.DialStart{
			Namespace: pod.Namespace, Pod: pod.Name, PodUid: string(pod.UID), Port: uint32(port),
		})
	})
	return nil
}

// streamAddress finds the agent of a pod that must have one.
func (h *Handler) streamAddress(ctx context.Context, pod *corev1.Pod) (string, error) {
	if pod.Spec.NodeName == "" {
		return "", apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod.Name))
	}
	return h.agentAddress(ctx, pod.Spec.NodeName)
}
