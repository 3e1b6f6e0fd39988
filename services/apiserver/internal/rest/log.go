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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// log streams a container's log from the agent of the pod's node.
func (h *Handler) log(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	if err := h.objects.Authorize(r.Context(), "get", t); err != nil {
		return err
	}
	return h.readLog(w, r, t)
}

// readLog is log for who may read it.
func (h *Handler) readLog(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	pod, err := h.connected(r.Context(), t)
	if err != nil {
		return err
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
	read := func(ctx context.Context, send func([]byte) error) error {
		return h.agents.Logs(ctx, pod.Spec.NodeName, address, request, send)
	}
	if isWebSocket(r) {
		h.logOverSocket(w, r, read)
		return nil
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/plain")
	err := read(r.Context(), func(data []byte) error {
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
	out := &agentv1.LogsRequest{
		Namespace: pod.Namespace, Pod: pod.Name, PodUid: string(pod.UID),
		Follow: isSet(q, "follow"), Previous: isSet(q, "previous"), Timestamps: isSet(q, "timestamps"),
	}
	var err error
	if out.TailLines, err = integer(q, "tailLines"); err != nil {
		return nil, err
	}
	if out.LimitBytes, err = integer(q, "limitBytes"); err != nil {
		return nil, err
	}
	seconds, err := integer(q, "sinceSeconds")
	if err != nil {
		return nil, err
	}
	if out.SinceTime, err = since(q, seconds); err != nil {
		return nil, err
	}
	if list := invalidLog(q, out, seconds); len(list) > 0 {
		return nil, apierrors.NewInvalid(schema.GroupKind{Kind: "PodLogOptions"}, pod.Name, list)
	}
	out.Container, err = containerOf(q.Get("container"), pod)
	return out, err
}

// invalidLog is what Kubernetes refuses of the options.
func invalidLog(q url.Values, r *agentv1.LogsRequest, seconds *int64) field.ErrorList {
	var list field.ErrorList
	if r.TailLines != nil && *r.TailLines < 0 {
		list = append(list, field.Invalid(field.NewPath("tailLines"), *r.TailLines, "must be greater than or equal to 0"))
	}
	if r.LimitBytes != nil && *r.LimitBytes < 1 {
		list = append(list, field.Invalid(field.NewPath("limitBytes"), *r.LimitBytes, "must be greater than 0"))
	}
	switch {
	case seconds != nil && q.Get("sinceTime") != "":
		list = append(list, field.Forbidden(field.NewPath(""), "at most one of `sinceTime` or `sinceSeconds` may be specified"))
	case seconds != nil && *seconds < 1:
		list = append(list, field.Invalid(field.NewPath("sinceSeconds"), *seconds, "must be greater than 0"))
	}
	if stream := q.Get("stream"); stream != "" && stream != corev1.LogStreamAll {
		list = append(list, field.NotSupported(field.NewPath("stream"), stream, []string{corev1.LogStreamAll}))
	}
	return list
}

func since(q url.Values, seconds *int64) (*timestamppb.Timestamp, error) {
	text := q.Get("sinceTime")
	switch {
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

// names are those of all of a pod's containers, in Kubernetes' order.
func names(spec *corev1.PodSpec) []string {
	var out []string
	for i := range spec.InitContainers {
		out = append(out, spec.InitContainers[i].Name)
	}
	for i := range spec.Containers {
		out = append(out, spec.Containers[i].Name)
	}
	for i := range spec.EphemeralContainers {
		out = append(out, spec.EphemeralContainers[i].Name)
	}
	return out
}

// containerOf chooses the container, in Kubernetes' words when it cannot.
func containerOf(name string, pod *corev1.Pod) (string, error) {
	switch all := names(&pod.Spec); {
	case name != "" && slices.Contains(all, name):
		return name, nil
	case name != "":
		return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
	case len(pod.Spec.Containers) == 1:
		return pod.Spec.Containers[0].Name, nil
	default:
		return "", apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s, choose one of: %v", pod.Name, all))
	}
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
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return list[i], true
			}
		}
	}
	return corev1.ContainerStatus{}, false
}
