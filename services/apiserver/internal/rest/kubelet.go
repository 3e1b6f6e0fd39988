package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/musterhq/muster/services/apiserver/internal/nodestats"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// kubeletPaths are what is answered of a node's kubelet as a whole, by their paths.
var kubeletPaths = map[string]func(*Handler, http.ResponseWriter, *http.Request, objects.Target) error{
	"pods": (*Handler).nodePods, "healthz": (*Handler).nodeHealth,
	"stats/summary": (*Handler).nodeSummary, "metrics/resource": (*Handler).nodeMetrics,
}

// nodeTimeout is how long a node's agent may take: who asks many nodes is not to
// wait for one that is gone.
const nodeTimeout = 5 * time.Second

// kubelet answers what clients ask of a node's kubelet: an agent has no such
// door, and what is behind it is known here or asked of the agent.
func (h *Handler) kubelet(w http.ResponseWriter, r *http.Request, t objects.Target, below string) error {
	below = strings.Trim(below, "/")
	_, t.Name, _, _ = utilnet.SplitSchemeNamePort(t.Name) // It may have the agent's port with it.
	if answer, ok := kubeletPaths[below]; ok {
		return answer(h, w, r, t)
	}
	parts := strings.Split(below, "/")
	if parts[0] == "containerLogs" && len(parts) == 4 {
		pods, _ := h.objects.Kinds().ByKind(corev1.SchemeGroupVersion.WithKind("Pod"))
		q := r.URL.Query()
		q.Set("container", parts[3])
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
		return h.readLog(w, r, objects.Target{Kind: pods, Namespace: parts[1], Name: parts[2], Subresource: "log"})
	}
	return absent("a node's agent does not serve /" + below)
}

// absent says what there is not, beside the status that any client knows.
func absent(what string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: what,
	}}
}

// askAgent calls the agent of a node.
func askAgent[T any](h *Handler, r *http.Request, t objects.Target, call func(ctx context.Context, node, address string) (T, error)) (got T, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), nodeTimeout)
	defer cancel()
	address, err := h.agentAddress(ctx, t.Name)
	if err != nil {
		return got, err
	}
	if got, err = call(ctx, t.Name, address); err != nil {
		return got, apierrors.NewServiceUnavailable(fmt.Sprintf("error trying to reach node %s: %s", t.Name, status.Convert(err).Message()))
	}
	return got, nil
}

func (h *Handler) nodeHealth(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	got, err := askAgent(h, r, t, h.agents.Ping)
	if err != nil {
		return err
	}
	if !got.GetReady() {
		return apierrors.NewInternalError(fmt.Errorf("%s: %s", got.GetReason(), got.GetMessage()))
	}
	writeText(w, http.StatusOK, "ok")
	return nil
}

func (h *Handler) nodeSummary(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	got, err := askAgent(h, r, t, h.agents.Usage)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, nodestats.Summary(t.Name, got))
}

func (h *Handler) nodeMetrics(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	got, err := askAgent(h, r, t, h.agents.Usage)
	if err != nil {
		return err
	}
	writeText(w, http.StatusOK, nodestats.Metrics(got))
	return nil
}

// nodePods lists the node's pods as its kubelet would.
func (h *Handler) nodePods(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	kind, _ := h.objects.Kinds().ByKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	stored, err := h.objects.ReadList(r.Context(), objects.Target{Kind: kind}, "", "spec.nodeName="+t.Name)
	if err != nil {
		return err
	}
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{}}
	for _, s := range stored {
		obj, err := s.Decode()
		if err != nil {
			return err
		}
		list.Items = append(list.Items, *obj.(*corev1.Pod))
	}
	return writeJSON(w, http.StatusOK, &list)
}
