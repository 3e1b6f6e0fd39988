package rest

import (
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// kubelet answers what clients ask of a node's kubelet: an agent has no such
// door, and what is behind it is known here.
func (h *Handler) kubelet(w http.ResponseWriter, r *http.Request, t objects.Target, below string) error {
	parts := strings.Split(strings.Trim(below, "/"), "/")
	switch {
	case parts[0] == "containerLogs" && len(parts) == 4:
		pods, _ := h.objects.Kinds().ByKind(corev1.SchemeGroupVersion.WithKind("Pod"))
		q := r.URL.Query()
		q.Set("container", parts[3])
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
		return h.readLog(w, r, objects.Target{Kind: pods, Namespace: parts[1], Name: parts[2], Subresource: "log"})
	case below == "/pods" || below == "/pods/":
		return h.nodePods(w, r, t)
	}
	http.NotFound(w, r)
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
