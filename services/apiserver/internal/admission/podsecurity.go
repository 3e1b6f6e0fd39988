package admission

import (
	"fmt"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	psaapi "k8s.io/pod-security-admission/api"
	psapolicy "k8s.io/pod-security-admission/policy"
)

// mostPodsChecked is how many pods of a namespace are looked at when its level is
// raised, as many as Kubernetes looks at.
const mostPodsChecked = 3000

// podSecurity holds pods to the level that their namespace's labels set. The checks
// are Kubernetes' own. They are made when the first namespace asks for them.
type podSecurity struct {
	evaluator func() (psapolicy.Evaluator, error)
}

func newPodSecurity() podSecurity {
	return podSecurity{evaluator: sync.OnceValues(func() (psapolicy.Evaluator, error) {
		return psapolicy.NewEvaluator(psapolicy.DefaultChecks(), nil)
	})}
}

// privileged is what holds where a namespace says nothing.
var privileged = psaapi.Policy{
	Enforce: psaapi.LevelVersion{Level: psaapi.LevelPrivileged, Version: psaapi.LatestVersion()},
	Audit:   psaapi.LevelVersion{Level: psaapi.LevelPrivileged, Version: psaapi.LatestVersion()},
	Warn:    psaapi.LevelVersion{Level: psaapi.LevelPrivileged, Version: psaapi.LatestVersion()},
}

func (s podSecurity) judge(level psaapi.LevelVersion, meta *metav1.ObjectMeta, spec *corev1.PodSpec) (psapolicy.AggregateCheckResult, error) {
	evaluator, err := s.evaluator()
	if err != nil {
		return psapolicy.AggregateCheckResult{}, fmt.Errorf("make the checks of pod security: %w", err)
	}
	return psapolicy.AggregateCheckResults(evaluator.EvaluatePod(level, meta, spec)), nil
}

// policyOf returns what the request's namespace asks for. Labels that cannot be read
// ask for the strictest.
func policyOf(r *Request) (psaapi.Policy, error) {
	found, ok := r.View.Get("namespaces", "", r.Namespace)
	if !ok {
		return privileged, nil
	}
	namespace := &corev1.Namespace{}
	if err := namespace.Unmarshal(found.Value); err != nil {
		return privileged, fmt.Errorf("decode namespace %s: %w", r.Namespace, err)
	}
	policy, _ := psaapi.PolicyToEvaluate(namespace.Labels, privileged)
	return policy, nil
}

func (s podSecurity) checkPod(r *Request) error {
	pod := r.Object.(*corev1.Pod)
	if old, ok := r.Old.(*corev1.Pod); ok && r.Operation == Update && !securityChanges(&pod.Spec, &old.Spec) {
		return nil
	}
	policy, err := policyOf(r)
	if err != nil || policy.FullyPrivileged() {
		return err
	}
	result, err := s.judge(policy.Enforce, &pod.ObjectMeta, &pod.Spec)
	if err != nil {
		return err
	}
	if !result.Allowed {
		return r.Forbidden(fmt.Errorf("violates PodSecurity %q: %s", policy.Enforce.String(), result.ForbiddenDetail()))
	}
	return s.warn(r, policy.Warn, &pod.ObjectMeta, &pod.Spec)
}

// checkTemplate warns of pods that are to come; they are judged themselves then.
func (s podSecurity) checkTemplate(r *Request) error {
	template := templateOf(r.Object)
	if template == nil {
		return nil
	}
	policy, err := policyOf(r)
	if err != nil || policy.Warn.Level == psaapi.LevelPrivileged {
		return err
	}
	return s.warn(r, policy.Warn, &template.ObjectMeta, &template.Spec)
}

func (s podSecurity) warn(r *Request, level psaapi.LevelVersion, meta *metav1.ObjectMeta, spec *corev1.PodSpec) error {
	result, err := s.judge(level, meta, spec)
	if err == nil && !result.Allowed {
		r.Warn(fmt.Sprintf("would violate PodSecurity %q: %s", level.String(), result.ForbiddenDetail()))
	}
	return err
}

// templateOf returns the pod template of a workload, nil where it has none.
func templateOf(obj any) *corev1.PodTemplateSpec {
	switch o := obj.(type) {
	case *corev1.PodTemplate:
		return &o.Template
	case *corev1.ReplicationController:
		return o.Spec.Template
	case *appsv1.ReplicaSet:
		return &o.Spec.Template
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.DaemonSet:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *batchv1.Job:
		return &o.Spec.Template
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	}
	return nil
}

// securityChanges tells whether an update changes what the checks look at: an image,
// or a container that is added for debugging.
func securityChanges(spec, old *corev1.PodSpec) bool {
	images := func(list []corev1.Container) []string {
		var out []string
		for i := range list {
			out = append(out, list[i].Image)
		}
		return out
	}
	if !slices.Equal(images(spec.Containers), images(old.Containers)) || !slices.Equal(images(spec.InitContainers), images(old.InitContainers)) {
		return true
	}
	return slices.ContainsFunc(spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool {
		return !slices.ContainsFunc(old.EphemeralContainers, func(had corev1.EphemeralContainer) bool {
			return had.Name == c.Name && had.Image == c.Image
		})
	})
}

// checkNamespace refuses labels that say nothing, and warns of the pods that are there
// when a level is raised.
func (s podSecurity) checkNamespace(r *Request) error {
	namespace := r.Object.(*corev1.Namespace)
	policy, errs := psaapi.PolicyToEvaluate(namespace.Labels, privileged)
	before := privileged
	if old, ok := r.Old.(*corev1.Namespace); ok {
		was, oldErrs := psaapi.PolicyToEvaluate(old.Labels, privileged)
		if before = was; len(errs) > 0 && len(oldErrs) > 0 && oldErrs.ToAggregate().Error() == errs.ToAggregate().Error() {
			errs = nil // They were there before.
		}
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(r.Kind.GVK.GroupKind(), r.named(), errs)
	}
	raised := policy.Enforce.Level != psaapi.LevelPrivileged &&
		(policy.Enforce.Version != before.Enforce.Version || psaapi.CompareLevels(policy.Enforce.Level, before.Enforce.Level) > 0)
	if r.Operation != Update || !raised {
		return nil
	}
	return s.warnOfPods(r, namespace.Name, policy.Enforce)
}

// violation is what some pods of a namespace have in common.
type violation struct {
	first string // name
	pods  int
}

func (s podSecurity) warnOfPods(r *Request, namespace string, level psaapi.LevelVersion) error {
	pods, err := podsOf(r, namespace)
	if err != nil {
		return err
	}
	checked := pods[:min(len(pods), mostPodsChecked)]
	found := map[string]violation{}
	for _, pod := range checked {
		result, err := s.judge(level, &pod.ObjectMeta, &pod.Spec)
		if err != nil {
			return err
		}
		if result.Allowed {
			continue
		}
		v := found[result.ForbiddenReason()]
		if v.pods++; v.first == "" || pod.Name < v.first {
			v.first = pod.Name
		}
		found[result.ForbiddenReason()] = v
	}
	if len(checked) < len(pods) {
		r.Warn(fmt.Sprintf("new PodSecurity enforce level only checked against the first %d of %d existing pods", len(checked), len(pods)))
	}
	if len(found) > 0 {
		r.Warn(fmt.Sprintf("existing pods in namespace %q violate the new PodSecurity enforce level %q", namespace, level.String()))
	}
	for _, text := range violationTexts(found) {
		r.Warn(text)
	}
	return nil
}

func violationTexts(found map[string]violation) []string {
	var texts []string
	for reason, v := range found {
		switch v.pods {
		case 1:
			texts = append(texts, fmt.Sprintf("%s: %s", v.first, reason))
		case 2:
			texts = append(texts, fmt.Sprintf("%s (and 1 other pod): %s", v.first, reason))
		default:
			texts = append(texts, fmt.Sprintf("%s (and %d other pods): %s", v.first, v.pods-1, reason))
		}
	}
	slices.Sort(texts)
	return texts
}

// podsOf returns the pods of a namespace; those that are one more of a controller's
// come last, where not all are looked at.
func podsOf(r *Request, namespace string) ([]*corev1.Pod, error) {
	var first, more []*corev1.Pod
	seen := map[string]bool{}
	for found := range r.View.List("pods", namespace) {
		pod := &corev1.Pod{}
		if err := pod.Unmarshal(found.Value); err != nil {
			return nil, fmt.Errorf("decode pod in %s: %w", namespace, err)
		}
		if owner := metav1.GetControllerOfNoCopy(pod); owner != nil {
			if seen[string(owner.UID)] {
				more = append(more, pod)
				continue
			}
			seen[string(owner.UID)] = true
		}
		first = append(first, pod)
	}
	return append(first, more...), nil
}
