package backend

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/sdk/controller"
	"github.com/musterhq/muster/sdk/informer"
	"github.com/musterhq/muster/services/controllermanager/internal/lookup"
)

// Source finds backends in the caches, and the services that a change concerns.
type Source struct {
	services lookup.ByNamespace[*corev1.Service]
	pods     lookup.ByNamespace[*corev1.Pod]
	byNode   lookup.ByNode
	nodes    *informer.Informer[*corev1.Node]
}

// NewSource prepares the caches; call it before they run.
func NewSource(caches *controller.Caches) *Source {
	return &Source{
		services: lookup.Namespaces[*corev1.Service](caches),
		pods:     lookup.Namespaces[*corev1.Pod](caches),
		byNode:   lookup.Nodes(caches),
		nodes:    controller.Cache[*corev1.Node](caches),
	}
}

// Inputs are the types that backends follow from.
func (s *Source) Inputs() []controller.Input {
	return []controller.Input{
		controller.For(controller.Self[*corev1.Service]),
		controller.For(s.ofPod),
		controller.For(s.ofNode),
	}
}

// Service returns a cached service whose endpoints follow from pods.
func (s *Source) Service(req controller.Request) (*corev1.Service, bool) {
	svc, ok := s.services.Get(req.Namespace, req.Name)
	if !ok || svc.DeletionTimestamp != nil || !managed(svc) {
		return nil, false
	}
	return svc, true
}

// Backends returns those of a service.
func (s *Source) Backends(svc *corev1.Service) []Backend {
	return Of(svc, s.pods.In(svc.Namespace), s.nodeReady)
}

// Zone returns the zone of a node, "" when it has none.
func (s *Source) Zone(node string) string {
	if n, ok := s.nodes.Get("", node); ok {
		return n.Labels[corev1.LabelTopologyZone]
	}
	return ""
}

// nodeReady says whether the node's Ready condition is True.
func (s *Source) nodeReady(node string) bool {
	n, ok := s.nodes.Get("", node)
	if !ok {
		return false
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (s *Source) ofPod(pod *corev1.Pod) []controller.Request {
	var out []controller.Request
	for _, svc := range s.services.In(pod.Namespace) {
		if Selects(svc, pod.Labels) {
			out = append(out, controller.Request{Namespace: svc.Namespace, Name: svc.Name})
		}
	}
	return out
}

// ofNode finds the services with a pod on the node: all of them may gain or
// lose an endpoint by what became of the node.
func (s *Source) ofNode(node *corev1.Node) []controller.Request {
	seen := map[controller.Request]bool{}
	var out []controller.Request
	for _, pod := range s.byNode.On(node.Name) {
		for _, req := range s.ofPod(pod) {
			if !seen[req] {
				seen[req] = true
				out = append(out, req)
			}
		}
	}
	return out
}
