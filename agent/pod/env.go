package pod

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
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

var subscript = regexp.MustCompile(`^metadata\.(labels|annotations)\['(.*)'\]$`)

// Field implements volume.Source.
func (w *worker) Field(pod *corev1.Pod, ref *corev1.ObjectFieldSelector) (string, error) {
	if m := subscript.FindStringSubmatch(ref.FieldPath); m != nil {
		if m[1] == "labels" {
			return pod.Labels[m[2]], nil
		}
		return pod.Annotations[m[2]], nil
	}
	switch ref.FieldPath {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return formatMap(pod.Labels), nil
	case "metadata.annotations":
		return formatMap(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP", "status.hostIPs":
		var ips []string
		for _, ip := range w.cfg.NodeIPs {
			ips = append(ips, ip.String())
		}
		if ref.FieldPath == "status.hostIP" && len(ips) > 1 {
			ips = ips[:1]
		}
		return strings.Join(ips, ","), nil
	case "status.podIP", "status.podIPs":
		if ip := w.observation(pod).ip(); ip.IsValid() {
			return ip.String(), nil
		}
		return "", nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %v", ref.FieldPath)
}

func formatMap(m map[string]string) string {
	var lines []string
	for k, v := range m {
		lines = append(lines, k+"="+strconv.Quote(v))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// Resource implements volume.Source. A limit that is not set is the node's.
func (w *worker) Resource(pod *corev1.Pod, ref *corev1.ResourceFieldSelector) (string, error) {
	var c *corev1.Container
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == ref.ContainerName {
			c = &pod.Spec.Containers[i]
		}
	}
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == ref.ContainerName {
			c = &pod.Spec.InitContainers[i]
		}
	}
	if c == nil {
		return "", fmt.Errorf("container %s not found", ref.ContainerName)
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	list := c.Resources.Limits
	if kind == "requests" {
		list = c.Resources.Requests
	} else if kind != "limits" {
		return "", fmt.Errorf("unsupported container resource : %v", ref.Resource)
	}
	q, ok := list[corev1.ResourceName(name)]
	if !ok && kind == "limits" {
		q = w.cfg.Allocatable[corev1.ResourceName(name)]
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if name == string(corev1.ResourceCPU) {
		return strconv.FormatInt(ceilDiv(q.MilliValue(), divisor.MilliValue()), 10), nil
	}
	return strconv.FormatInt(ceilDiv(q.Value(), divisor.Value()), 10), nil
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// serviceEnv makes the variables of docker links, for the services of the
// namespace (with links) and always for the cluster's own API.
func serviceEnv(all []*corev1.Service, namespace string, links bool) []corev1.EnvVar {
	chosen := map[string]*corev1.Service{}
	for _, s := range all {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone || s.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		master := s.Namespace == "default" && s.Name == "kubernetes"
		if s.Namespace == namespace && (links || master) {
			chosen[s.Name] = s
		} else if _, taken := chosen[s.Name]; master && !taken {
			chosen[s.Name] = s
		}
	}
	keys := make([]string, 0, len(chosen))
	for k := range chosen {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var out []corev1.EnvVar
	for _, k := range keys {
		out = append(out, linkVars(chosen[k])...)
	}
	return out
}

func linkVars(s *corev1.Service) []corev1.EnvVar {
	if len(s.Spec.Ports) == 0 {
		return nil
	}
	word := func(t string) string { return strings.ToUpper(strings.ReplaceAll(t, "-", "_")) }
	prefix, ip := word(s.Name), s.Spec.ClusterIP
	port := func(p corev1.ServicePort) string { return strconv.Itoa(int(p.Port)) }
	first := s.Spec.Ports[0]
	out := []corev1.EnvVar{
		{Name: prefix + "_SERVICE_HOST", Value: ip},
		{Name: prefix + "_SERVICE_PORT", Value: port(first)},
	}
	for _, p := range s.Spec.Ports {
		if p.Name != "" {
			out = append(out, corev1.EnvVar{Name: prefix + "_SERVICE_PORT_" + word(p.Name), Value: port(p)})
		}
	}
	for i, p := range s.Spec.Ports {
		protocol := string(p.Protocol)
		if protocol == "" {
			protocol = "TCP"
		}
		url := strings.ToLower(protocol) + "://" + net.JoinHostPort(ip, port(p))
		if i == 0 {
			out = append(out, corev1.EnvVar{Name: prefix + "_PORT", Value: url})
		}
		base := fmt.Sprintf("%s_PORT_%d_%s", prefix, p.Port, strings.ToUpper(protocol))
		out = append(out, corev1.EnvVar{Name: base, Value: url},
			corev1.EnvVar{Name: base + "_PROTO", Value: strings.ToLower(protocol)},
			corev1.EnvVar{Name: base + "_PORT", Value: port(p)},
			corev1.EnvVar{Name: base + "_ADDR", Value: ip})
	}
	return out
}
