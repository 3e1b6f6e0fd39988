package volume

import (
	"context"
	"errors"
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// file is one to be written: its path within the volume, content and mode.
type file struct {
	path string
	data []byte
	mode int32
	// owner is the user it belongs to; nil is who writes it.
	owner *int64
}

const defaultMode = corev1.ConfigMapVolumeSourceDefaultMode

func project(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, src Source) ([]file, error) {
	switch {
	case v.ConfigMap != nil:
		c := v.ConfigMap
		return fromConfigMap(ctx, src, pod.Namespace, c.Name, c.Items, mode(c.DefaultMode), optional(c.Optional))
	case v.Secret != nil:
		s := v.Secret
		return fromSecret(ctx, src, pod.Namespace, s.SecretName, s.Items, mode(s.DefaultMode), optional(s.Optional))
	case v.DownwardAPI != nil:
		return fromDownwardAPI(src, pod, v.DownwardAPI.Items, mode(v.DownwardAPI.DefaultMode))
	case v.Projected != nil:
		return fromProjection(ctx, src, pod, v.Projected)
	}
	return nil, errors.New("this kind of volume is not supported")
}

func fromProjection(ctx context.Context, src Source, pod *corev1.Pod, p *corev1.ProjectedVolumeSource) ([]file, error) {
	var all []file
	m := mode(p.DefaultMode)
	for i := range p.Sources {
		var files []file
		var err error
		switch s := &p.Sources[i]; {
		case s.ConfigMap != nil:
			files, err = fromConfigMap(ctx, src, pod.Namespace, s.ConfigMap.Name, s.ConfigMap.Items, m, optional(s.ConfigMap.Optional))
		case s.Secret != nil:
			files, err = fromSecret(ctx, src, pod.Namespace, s.Secret.Name, s.Secret.Items, m, optional(s.Secret.Optional))
		case s.DownwardAPI != nil:
			files, err = fromDownwardAPI(src, pod, s.DownwardAPI.Items, m)
		case s.ServiceAccountToken != nil:
			files, err = fromToken(ctx, src, pod, s.ServiceAccountToken, m)
		default:
			err = errors.New("this kind of projection is not supported")
		}
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

// fromToken lets nobody else read a token where all containers of the pod run as one
// user, and the group of the volume where it has one.
func fromToken(ctx context.Context, src Source, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection, mode int32) ([]file, error) {
	token, err := src.Token(ctx, pod, p)
	if err != nil {
		return nil, err
	}
	f := file{path: path.Clean(p.Path), data: []byte(token), mode: mode, owner: onlyUser(pod)}
	if fsGroup(pod) != nil || f.owner != nil {
		f.mode = 0o600
	}
	return []file{f}, nil
}

// onlyUser is the user that all containers of the pod run as, if it says so.
func onlyUser(pod *corev1.Pod) *int64 {
	var only *int64
	of := func(own *corev1.SecurityContext) *int64 {
		if own != nil && own.RunAsUser != nil {
			return own.RunAsUser
		}
		if pod.Spec.SecurityContext != nil {
			return pod.Spec.SecurityContext.RunAsUser
		}
		return nil
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			user := of(list[i].SecurityContext)
			if user == nil || only != nil && *only != *user {
				return nil
			}
			only = user
		}
	}
	return only
}

func fromConfigMap(ctx context.Context, src Source, namespace, name string, items []corev1.KeyToPath, mode int32, optional bool) ([]file, error) {
	cm, err := src.ConfigMap(ctx, namespace, name)
	if apierrors.IsNotFound(err) && optional {
		return nil, nil
	}
	if err != nil {
		return nil, absent(err, "configmap", name)
	}
	data := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	for k, v := range cm.Data {
		data[k] = []byte(v)
	}
	for k, v := range cm.BinaryData {
		data[k] = v
	}
	return pick(data, items, mode, optional, "configmap")
}

func fromSecret(ctx context.Context, src Source, namespace, name string, items []corev1.KeyToPath, mode int32, optional bool) ([]file, error) {
	s, err := src.Secret(ctx, namespace, name)
	if apierrors.IsNotFound(err) && optional {
		return nil, nil
	}
	if err != nil {
		return nil, absent(err, "secret", name)
	}
	return pick(s.Data, items, mode, optional, "secret")
}

// absent words a missing object as the kubelet does; the API server says "configmaps".
func absent(err error, kind, name string) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s %q not found", kind, name)
	}
	return err
}

func pick(data map[string][]byte, items []corev1.KeyToPath, mode int32, optional bool, kind string) ([]file, error) {
	var files []file
	if len(items) == 0 {
		for k, v := range data {
			files = append(files, file{path: k, data: v, mode: mode})
		}
		return files, nil
	}
	for _, item := range items {
		v, ok := data[item.Key]
		if !ok {
			if optional {
				continue
			}
			return nil, fmt.Errorf("%s references non-existent %s key: %s", kind, map[string]string{"configmap": "config", "secret": "secret"}[kind], item.Key)
		}
		m := mode
		if item.Mode != nil {
			m = *item.Mode
		}
		files = append(files, file{path: path.Clean(item.Path), data: v, mode: m})
	}
	return files, nil
}

func fromDownwardAPI(src Source, pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile, mode int32) ([]file, error) {
	var files []file
	for i := range items {
		item := &items[i]
		var text string
		var err error
		if item.FieldRef != nil {
			text, err = src.Field(pod, item.FieldRef)
		} else if item.ResourceFieldRef != nil {
			text, err = src.Resource(pod, item.ResourceFieldRef)
		}
		if err != nil {
			return nil, err
		}
		m := mode
		if item.Mode != nil {
			m = *item.Mode
		}
		files = append(files, file{path: path.Clean(item.Path), data: []byte(text), mode: m})
	}
	return files, nil
}

func mode(m *int32) int32 {
	if m == nil {
		return defaultMode
	}
	return *m
}

func optional(o *bool) bool { return o != nil && *o }
