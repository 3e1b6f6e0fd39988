package objects

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"

	"github.com/musterhq/muster/internal/access"
)

// restricted tells whether the caller may read only some objects of a kind.
func (s *Service) restricted(ctx context.Context) bool {
	user, ok := access.UserFrom(ctx)
	return !ok || user.Role() == accessv1.Role_ROLE_NODE
}

// NodeReads tells whether a pod that is bound to the node refers to the config
// map or secret. It looks at the pods of the namespace that are bound to nodes.
func (s *Service) NodeReads(node, resource, namespace, name string) bool {
	view := s.replica.Store().View()
	want := indexValue("spec.nodeName", node)
	for e := range view.List("pods", namespace) {
		if !slices.Contains(e.Index(), want) {
			continue
		}
		var pod corev1.Pod
		if err := pod.Unmarshal(e.Value()); err != nil {
			continue // Not readable is not referred to.
		}
		if refers(&pod.Spec, resource, name) {
			return true
		}
	}
	return false
}

// refers tells whether the pod takes anything from the config map or secret.
func refers(spec *corev1.PodSpec, resource, name string) bool {
	if resource == "secrets" {
		for _, ref := range spec.ImagePullSecrets {
			if ref.Name == name {
				return true
			}
		}
	}
	for i := range spec.Volumes {
		if volumeRefers(&spec.Volumes[i].VolumeSource, resource, name) {
			return true
		}
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			if containerRefers(&containers[i], resource, name) {
				return true
			}
		}
	}
	return false
}

func volumeRefers(v *corev1.VolumeSource, resource, name string) bool {
	if resource == "secrets" && v.Secret != nil && v.Secret.SecretName == name {
		return true
	}
	if resource == "configmaps" && v.ConfigMap != nil && v.ConfigMap.Name == name {
		return true
	}
	if v.Projected == nil {
		return false
	}
	for _, src := range v.Projected.Sources {
		if resource == "secrets" && src.Secret != nil && src.Secret.Name == name {
			return true
		}
		if resource == "configmaps" && src.ConfigMap != nil && src.ConfigMap.Name == name {
			return true
		}
	}
	return false
}

func containerRefers(c *corev1.Container, resource, name string) bool {
	for _, from := range c.EnvFrom {
		if resource == "secrets" && from.SecretRef != nil && from.SecretRef.Name == name {
			return true
		}
		if resource == "configmaps" && from.ConfigMapRef != nil && from.ConfigMapRef.Name == name {
			return true
		}
	}
	for _, env := range c.Env {
		from := env.ValueFrom
		if from == nil {
			continue
		}
		if resource == "secrets" && from.SecretKeyRef != nil && from.SecretKeyRef.Name == name {
			return true
		}
		if resource == "configmaps" && from.ConfigMapKeyRef != nil && from.ConfigMapKeyRef.Name == name {
			return true
		}
	}
	return false
}
