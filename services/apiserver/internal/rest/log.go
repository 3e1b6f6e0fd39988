package rest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// log streams a container's log from the agent of the pod's node.
func (h *Handler) log(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	stored, err := h.objects.Get(r.Context(), t, "")
	if err != nil {
		return err
	}
	obj, err := stored.Decode()
	if err != nil {
		return err
	}
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return apierrors.NewMethodNotSupported(t.Kind.GroupResource(), "log")
	}
	request, err := logRequest(r.URL.Query(), pod)
	if err != nil {
		return err
	}
	if pod.Spec.NodeName == "" {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if err := checkLogged(pod, request); err != nil {
		return err
	}
	address, err := h.agentAddress(r.Context(), pod.Spec.NodeName)
	if err != nil {
		return err
	}
	return h.streamLog(w, r, pod, address, request)
}

func (h *Handler) streamLog(w http.ResponseWriter, r *http.Request, pod *corev1.Pod, address string, request *agentv1.LogsRequest) error {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/plain")
	err := h.agents.Logs(r.Context(), pod.Spec.NodeName, address, request, func(data []byte) error {
		if _, err := w.Write(data); err != nil {
			return err
		}
		return control.Flush()
	})
	switch status.Code(err) {
	case codes.OK, codes.Canceled:
		return nil
	case codes.NotFound, codes.InvalidArgument, codes.FailedPrecondition:
		return apierrors.NewBadRequest(status.Convert(err).Message())
	}
	return apierrors.NewInternalError(fmt.Errorf("Get %q: %w", "https://"+address+"/containerLogs/"+pod.Namespace+"/"+pod.Name+"/"+request.Container, err))
}

// agentAddress finds where the node's agent listens.
func (h *Handler) agentAddress(ctx context.Context, node string) (string, error) {
	kind, ok := h.objects.Kinds().ByKind(corev1.SchemeGroupVersion.WithKind("Node"))
	if !ok {
		return "", apierrors.NewInternalError(fmt.Errorf("nodes are not served"))
	}
	stored, err := h.objects.Get(ctx, objects.Target{Kind: kind, Name: node}, "")
	if err != nil {
		return "", err
	}
	obj, err := stored.Decode()
	if err != nil {
		return "", err
	}
	n := obj.(*corev1.Node)
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return net.JoinHostPort(a.Address, strconv.Itoa(int(n.Status.DaemonEndpoints.KubeletEndpoint.Port))), nil
		}
	}
	return "", apierrors.NewInternalError(fmt.Errorf("no preferred addresses found; known addresses: %v", n.Status.Addresses))
}

func logRequest(q url.Values, pod *corev1.Pod) (*agentv1.LogsRequest, error) {
	if stream := q.Get("stream"); stream != "" && stream != corev1.LogStreamAll {
		return nil, podLogInvalid("stream", strconv.Quote(stream), "only "+corev1.LogStreamAll+" is supported")
	}
	container, err := containerOf(q.Get("container"), pod)
	if err != nil {
		return nil, err
	}
	out := &agentv1.LogsRequest{Namespace: pod.Namespace, Pod: pod.Name, PodUid: string(pod.UID), Container: container}
	for name, into := range map[string]*bool{"follow": &out.Follow, "previous": &out.Previous, "timestamps": &out.Timestamps} {
		*into = isSet(q, name)
	}
	if out.TailLines, err = atLeast(q, "tailLines", 0); err != nil {
		return nil, err
	}
	if out.LimitBytes, err = atLeast(q, "limitBytes", 1); err != nil {
		return nil, err
	}
	out.SinceTime, err = since(q)
	return out, err
}

func atLeast(q url.Values, name string, least int64) (*int64, error) {
	n, err := integer(q, name)
	if err != nil || n == nil || *n >= least {
		return n, err
	}
	return nil, podLogInvalid(name, strconv.FormatInt(*n, 10), "must be greater than or equal to "+strconv.FormatInt(least, 10))
}

func podLogInvalid(name, value, detail string) error {
	return apierrors.NewBadRequest(fmt.Sprintf("PodLogOptions is invalid: %s: Invalid value: %s: %s", name, value, detail))
}

func since(q url.Values) (*timestamppb.Timestamp, error) {
	seconds, err := atLeast(q, "sinceSeconds", 1)
	if err != nil {
		return nil, err
	}
	text := q.Get("sinceTime")
	switch {
	case seconds != nil && text != "":
		return nil, podLogInvalid("sinceTime", strconv.Quote(text), "at most one of `sinceTime` or `sinceSeconds` may be specified")
	case seconds != nil:
		return timestamppb.New(time.Now().Add(-time.Duration(*seconds) * time.Second)), nil
	case text == "":
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return timestamppb.New(at), nil
}

func names(containers []corev1.Container) []string {
	out := make([]string, len(containers))
	for i := range containers {
		out[i] = containers[i].Name
	}
	return out
}

// containerOf chooses the container, in Kubernetes' words when it cannot.
func containerOf(name string, pod *corev1.Pod) (string, error) {
	mains, inits := names(pod.Spec.Containers), names(pod.Spec.InitContainers)
	if name != "" {
		if slices.Contains(mains, name) || slices.Contains(inits, name) {
			return name, nil
		}
		return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
	}
	if len(mains) == 1 {
		return mains[0], nil
	}
	text := fmt.Sprintf("a container name must be specified for pod %s, choose one of: %v", pod.Name, mains)
	if len(inits) > 0 {
		text += fmt.Sprintf(" or one of the init containers: %v", inits)
	}
	return "", apierrors.NewBadRequest(text)
}

// checkLogged refuses a log that cannot be there yet.
func checkLogged(pod *corev1.Pod, request *agentv1.LogsRequest) error {
	found, ok := containerStatus(pod, request.Container)
	if !ok {
		return waitingToStart(pod, request.Container, "ContainerCreating")
	}
	last := found.LastTerminationState.Terminated
	switch {
	case request.Previous && (last == nil || last.ContainerID == ""):
		return apierrors.NewBadRequest(fmt.Sprintf("previous terminated container %q in pod %q not found", request.Container, pod.Name))
	case request.Previous, found.State.Running != nil, found.State.Terminated != nil, last != nil:
		return nil
	case found.State.Waiting == nil:
		return apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q is waiting to start - no logs yet", request.Container, pod.Name))
	}
	switch reason := found.State.Waiting.Reason; reason {
	case "ErrImagePull":
		return waitingToStart(pod, request.Container, "image can't be pulled")
	case "ImagePullBackOff":
		return waitingToStart(pod, request.Container, "trying and failing to pull image")
	default:
		return waitingToStart(pod, request.Container, reason)
	}
}

func waitingToStart(pod *corev1.Pod, container, why string) error {
	return apierrors.NewBadRequest(fmt.Sprintf("container %q in pod %q is waiting to start: %s", container, pod.Name, why))
}

func containerStatus(pod *corev1.Pod, name string) (corev1.ContainerStatus, bool) {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return list[i], true
			}
		}
	}
	return corev1.ContainerStatus{}, false
}
