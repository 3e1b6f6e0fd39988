package pod

import (
	"context"
	"fmt"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
)

// environment makes a container's variables in order: services, envFrom, env.
func (w *worker) environment(ctx context.Context, pod *corev1.Pod, c *corev1.Container) (list []string, values map[string]string, err error) {
	values = map[string]string{}
	var order []string
	put := func(name, value string) {
		if _, ok := values[name]; !ok {
			order = append(order, name)
		}
		values[name] = value
	}
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	services := serviceEnv(w.cfg.Services.List(), pod.Namespace, links)
	for _, e := range services {
		put(e.Name, e.Value)
	}
	for i := range c.EnvFrom {
		if err := w.envFrom(ctx, pod, &c.EnvFrom[i], put); err != nil {
			return nil, nil, err
		}
	}
	lookup := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for i := range c.Env {
		e := &c.Env[i]
		if e.ValueFrom == nil {
			put(e.Name, expand(e.Value, lookup))
			continue
		}
		value, present, err := w.envValue(ctx, pod, c, e.ValueFrom)
		if err != nil {
			return nil, nil, err
		}
		if present {
			put(e.Name, value)
		}
	}
	for _, name := range order {
		list = append(list, name+"="+values[name])
	}
	return list, values, nil
}

func (w *worker) envFrom(ctx context.Context, pod *corev1.Pod, from *corev1.EnvFromSource, put func(name, value string)) error {
	data := map[string]string{}
	switch {
	case from.ConfigMapRef != nil:
		cm, err := w.cfg.API.ConfigMap(ctx, pod.Namespace, from.ConfigMapRef.Name)
		if apierrors.IsNotFound(err) && isTrue(from.ConfigMapRef.Optional) {
			return nil
		}
		if err != nil {
			return notFoundWords(err, "configmap", from.ConfigMapRef.Name)
		}
		data = cm.Data
	case from.SecretRef != nil:
		s, err := w.cfg.API.Secret(ctx, pod.Namespace, from.SecretRef.Name)
		if apierrors.IsNotFound(err) && isTrue(from.SecretRef.Optional) {
			return nil
		}
		if err != nil {
			return notFoundWords(err, "secret", from.SecretRef.Name)
		}
		for k, v := range s.Data {
			data[k] = string(v)
		}
	}
	keys := make([]string, 0, len(data))
	for k := range data {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var invalid []string
	for _, k := range keys {
		name := from.Prefix + k
		if len(validation.IsRelaxedEnvVarName(name)) > 0 {
			invalid = append(invalid, k)
			continue
		}
		put(name, data[k])
	}
	if len(invalid) > 0 {
		w.event(pod, corev1.EventTypeWarning, "InvalidEnvironmentVariableNames",
			"Keys [%s] were skipped since they are considered invalid environment variable names.", strings.Join(invalid, ", "))
	}
	return nil
}

// envValue reads what a variable refers to; present is false for an optional
// thing that is not there.
func (w *worker) envValue(ctx context.Context, pod *corev1.Pod, c *corev1.Container, from *corev1.EnvVarSource) (value string, present bool, err error) {
	switch {
	case from.FieldRef != nil:
		value, err = w.Field(pod, from.FieldRef)
		return value, true, err
	case from.ResourceFieldRef != nil:
		ref := *from.ResourceFieldRef
		if ref.ContainerName == "" {
			ref.ContainerName = c.Name
		}
		value, err = w.Resource(pod, &ref)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		cm, err := w.cfg.API.ConfigMap(ctx, pod.Namespace, ref.Name)
		if err != nil {
			if apierrors.IsNotFound(err) && isTrue(ref.Optional) {
				return "", false, nil
			}
			return "", false, notFoundWords(err, "configmap", ref.Name)
		}
		if v, ok := cm.Data[ref.Key]; ok {
			return v, true, nil
		}
		if isTrue(ref.Optional) {
			return "", false, nil
		}
		return "", false, fmt.Errorf("couldn't find key %v in ConfigMap %v/%v", ref.Key, pod.Namespace, ref.Name)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		s, err := w.cfg.API.Secret(ctx, pod.Namespace, ref.Name)
		if err != nil {
			if apierrors.IsNotFound(err) && isTrue(ref.Optional) {
				return "", false, nil
			}
			return "", false, notFoundWords(err, "secret", ref.Name)
		}
		if v, ok := s.Data[ref.Key]; ok {
			return string(v), true, nil
		}
		if isTrue(ref.Optional) {
			return "", false, nil
		}
		return "", false, fmt.Errorf("couldn't find key %v in Secret %v/%v", ref.Key, pod.Namespace, ref.Name)
	}
	return "", false, fmt.Errorf("this source of an environment variable is not supported")
}

// notFoundWords words a missing object as the API server does.
func notFoundWords(err error, kind, name string) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s %q not found", kind, name)
	}
	return err
}

func isTrue(b *bool) bool { return b != nil && *b }
