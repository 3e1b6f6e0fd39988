package admission

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/ptr"
)

// What a pod finds of its service account, and where.
const (
	defaultAccount    = "default"
	tokenMountPath    = "/var/run/secrets/kubernetes.io/serviceaccount"
	tokenVolumePrefix = "kube-api-access-"
	// tokenSeconds is how long a token lives: an hour, and seven seconds by which
	// tokens of this kind are told from others.
	tokenSeconds = 3607
	rootCAMap    = "kube-root-ca.crt"
	rootCAKey    = "ca.crt"

	enforceMountable = "kubernetes.io/enforce-mountable-secrets"
)

// serviceAccounts gives each pod its account, and what an account brings along.
type serviceAccounts struct{ tokenVolume bool }

func (a serviceAccounts) admit(r *Request) error {
	if r.Operation != Create {
		return nil
	}
	pod := r.Object.(*corev1.Pod)
	if isMirror(pod) {
		return nil
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = defaultAccount
	}
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	account, err := accountOf(r, pod)
	if err != nil {
		return err
	}
	if a.tokenVolume && mounts(account, pod) {
		mountToken(&pod.Spec)
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		pod.Spec.ImagePullSecrets = slices.Clone(account.ImagePullSecrets)
	}
	return nil
}

func (a serviceAccounts) check(r *Request) error {
	pod := r.Object.(*corev1.Pod)
	if r.Subresource == "" && r.Operation != Create {
		return nil
	}
	if isMirror(pod) {
		return mirrorRefers(r, &pod.Spec)
	}
	account, err := accountOf(r, pod)
	if err != nil {
		return err
	}
	if enforce, _ := strconv.ParseBool(account.Annotations[enforceMountable]); enforce {
		if err := onlyMountable(account, &pod.Spec); err != nil {
			return r.Forbidden(err)
		}
	}
	return nil
}

// accountOf returns the pod's service account. A pod of a running cluster may have
// none: it is older than the rule.
func accountOf(r *Request, pod *corev1.Pod) (*corev1.ServiceAccount, error) {
	account := &corev1.ServiceAccount{}
	name := pod.Spec.ServiceAccountName
	found, ok := r.View.Get("serviceaccounts", r.Namespace, name)
	if !ok {
		missing := apierrors.NewNotFound(corev1.Resource("serviceaccounts"), name)
		missing.ErrStatus.Message = fmt.Sprintf("serviceaccount %q not found", name)
		return nil, r.Forbidden(fmt.Errorf("error looking up service account %s/%s: %w", r.Namespace, name, missing))
	}
	if err := account.Unmarshal(found.Value); err != nil {
		return nil, fmt.Errorf("decode service account %s/%s: %w", r.Namespace, name, err)
	}
	return account, nil
}

// isMirror tells whether a node made the pod of a file that it found: its spec is not
// to be changed, and it may have nothing that is kept here.
func isMirror(pod *corev1.Pod) bool {
	_, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

func mirrorRefers(r *Request, spec *corev1.PodSpec) error {
	if spec.ServiceAccountName != "" {
		return r.refuse("a mirror pod may not reference service accounts")
	}
	for _, v := range spec.Volumes {
		projected := func(has func(corev1.VolumeProjection) bool) bool {
			return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, has)
		}
		switch {
		case v.Secret != nil, projected(func(p corev1.VolumeProjection) bool { return p.Secret != nil }):
			return r.refuse("a mirror pod may not reference secrets")
		case v.ConfigMap != nil, projected(func(p corev1.VolumeProjection) bool { return p.ConfigMap != nil }):
			return r.refuse("a mirror pod may not reference configmaps")
		case projected(func(p corev1.VolumeProjection) bool { return p.ServiceAccountToken != nil }):
			return r.refuse("a mirror pod may not use ServiceAccountToken volume projections")
		case v.PersistentVolumeClaim != nil:
			return r.refuse("a mirror pod may not reference persistentvolumeclaims")
		}
	}
	return nil
}

// mounts tells whether the pod gets its account's token: what the pod says counts,
// and what the account says where the pod says nothing.
func mounts(account *corev1.ServiceAccount, pod *corev1.Pod) bool {
	if pod.Spec.AutomountServiceAccountToken != nil {
		return *pod.Spec.AutomountServiceAccountToken
	}
	return ptr.Deref(account.AutomountServiceAccountToken, true)
}

// mountToken adds the volume with the token to every container that has nothing else
// at its place.
func mountToken(spec *corev1.PodSpec) {
	taken := map[string]bool{}
	name := ""
	for _, v := range spec.Volumes {
		taken[v.Name] = true
		if name == "" && len(v.Name) > len(tokenVolumePrefix) && v.Name[:len(tokenVolumePrefix)] == tokenVolumePrefix {
			name = v.Name
		}
	}
	there := name != ""
	for !there && (name == "" || taken[name]) {
		name = tokenVolumePrefix + utilrand.String(5)
	}
	needed := false
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			at := func(m corev1.VolumeMount) bool { return m.MountPath == tokenMountPath }
			if slices.ContainsFunc(list[i].VolumeMounts, at) {
				continue
			}
			list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: tokenMountPath})
			needed = true
		}
	}
	if needed && !there {
		spec.Volumes = append(spec.Volumes, tokenVolume(name))
	}
}

func tokenVolume(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: ptr.To(corev1.ProjectedVolumeSourceDefaultMode),
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr.To(int64(tokenSeconds))}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: rootCAMap},
				Items:                []corev1.KeyToPath{{Key: rootCAKey, Path: rootCAKey}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
			}}}},
		},
	}}}
}

// onlyMountable refuses secrets that the account does not name.
func onlyMountable(account *corev1.ServiceAccount, spec *corev1.PodSpec) error {
	named := map[string]bool{}
	for _, s := range account.Secrets {
		named[s.Name] = true
	}
	for _, v := range spec.Volumes {
		if v.Secret != nil && !named[v.Secret.SecretName] {
			return fmt.Errorf("volume with secret.secretName=\"%s\" is not allowed because service account %s does not reference that secret",
				v.Secret.SecretName, account.Name)
		}
	}
	for _, of := range []struct {
		kind string
		list []corev1.Container
	}{{"init container", spec.InitContainers}, {"container", spec.Containers}} {
		for i := range of.list {
			if err := containerMountable(of.kind, &of.list[i], named, account.Name); err != nil {
				return err
			}
		}
	}
	pull := map[string]bool{}
	for _, s := range account.ImagePullSecrets {
		pull[s.Name] = true
	}
	for i, s := range spec.ImagePullSecrets {
		if !pull[s.Name] {
			return fmt.Errorf(`imagePullSecrets[%d].name="%s" is not allowed because service account %s does not reference that imagePullSecret`,
				i, s.Name, account.Name)
		}
	}
	return nil
}

func containerMountable(kind string, c *corev1.Container, named map[string]bool, account string) error {
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && !named[e.ValueFrom.SecretKeyRef.Name] {
			return fmt.Errorf("%s %s with envVar %s referencing secret.secretName=\"%s\" is not allowed because service account %s does not reference that secret",
				kind, c.Name, e.Name, e.ValueFrom.SecretKeyRef.Name, account)
		}
	}
	for _, from := range c.EnvFrom {
		if from.SecretRef != nil && !named[from.SecretRef.Name] {
			return fmt.Errorf("%s %s with envFrom referencing secret.secretName=\"%s\" is not allowed because service account %s does not reference that secret",
				kind, c.Name, from.SecretRef.Name, account)
		}
	}
	return nil
}
