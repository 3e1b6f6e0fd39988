package auth

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Refers tells whether a pod takes anything from the config map, the secret or the
// claim, or runs as the service account; an empty name is any.
func Refers(spec *corev1.PodSpec, resource, name string) bool {
	if resource == "serviceaccounts" {
		return is(spec.ServiceAccountName, name)
	}
	return slices.ContainsFunc(References(spec, resource), func(found string) bool { return is(found, name) })
}

func is(found, wanted string) bool { return found != "" && (wanted == "" || found == wanted) }

// References returns the names of the config maps, the secrets or the claims that a
// pod takes something from.
func References(spec *corev1.PodSpec, resource string) []string {
	var names []string
	if resource == "secrets" {
		for _, ref := range spec.ImagePullSecrets {
			names = append(names, ref.Name)
		}
	}
	for i := range spec.Volumes {
		names = append(names, volumeReferences(&spec.Volumes[i].VolumeSource, resource)...)
	}
	if resource == "persistentvolumeclaims" {
		return names
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			names = append(names, environmentReferences(containers[i].EnvFrom, containers[i].Env, resource)...)
		}
	}
	for i := range spec.EphemeralContainers {
		names = append(names, environmentReferences(spec.EphemeralContainers[i].EnvFrom, spec.EphemeralContainers[i].Env, resource)...)
	}
	return names
}

func volumeReferences(v *corev1.VolumeSource, resource string) []string {
	var names []string
	switch {
	case resource == "persistentvolumeclaims":
		if v.PersistentVolumeClaim != nil {
			names = append(names, v.PersistentVolumeClaim.ClaimName)
		}
		return names
	case resource == "secrets" && v.Secret != nil:
		names = append(names, v.Secret.SecretName)
	case resource == "secrets" && v.CSI != nil && v.CSI.NodePublishSecretRef != nil:
		names = append(names, v.CSI.NodePublishSecretRef.Name)
	case resource == "configmaps" && v.ConfigMap != nil:
		names = append(names, v.ConfigMap.Name)
	}
	if v.Projected == nil {
		return names
	}
	for _, src := range v.Projected.Sources {
		if resource == "secrets" && src.Secret != nil {
			names = append(names, src.Secret.Name)
		}
		if resource == "configmaps" && src.ConfigMap != nil {
			names = append(names, src.ConfigMap.Name)
		}
	}
	return names
}

func environmentReferences(from []corev1.EnvFromSource, env []corev1.EnvVar, resource string) []string {
	var names []string
	for _, source := range from {
		if resource == "secrets" && source.SecretRef != nil {
			names = append(names, source.SecretRef.Name)
		}
		if resource == "configmaps" && source.ConfigMapRef != nil {
			names = append(names, source.ConfigMapRef.Name)
		}
	}
	for _, e := range env {
		source := e.ValueFrom
		if source == nil {
			continue
		}
		if resource == "secrets" && source.SecretKeyRef != nil {
			names = append(names, source.SecretKeyRef.Name)
		}
		if resource == "configmaps" && source.ConfigMapKeyRef != nil {
			names = append(names, source.ConfigMapKeyRef.Name)
		}
	}
	return names
}
