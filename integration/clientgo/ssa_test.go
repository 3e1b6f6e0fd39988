package clientgo_test

import (
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
)

func deploymentOf(containers ...*coreac.ContainerApplyConfiguration) *appsac.DeploymentApplyConfiguration {
	labels := map[string]string{"app": "web"}
	return appsac.Deployment("web", "default").WithSpec(appsac.DeploymentSpec().
		WithSelector(metaac.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(coreac.PodTemplateSpec().WithLabels(labels).WithSpec(coreac.PodSpec().WithContainers(containers...))))
}

// TestExtractAndApply has several managers own parts of one object, and change them as
// controllers do: extract what is theirs, change it and apply it.
func TestExtractAndApply(t *testing.T) {
	t.Parallel()
	api, ctx := alone(t).AppsV1().Deployments("default"), t.Context()
	main := deploymentOf(coreac.Container().WithName("main").WithImage("busybox:1"))
	main.Spec.WithReplicas(1)
	if _, err := api.Apply(ctx, main, metav1.ApplyOptions{FieldManager: "owner"}); err != nil {
		t.Fatal(err)
	}
	// A manager adds a container, and another one has the number of replicas.
	side := deploymentOf(coreac.Container().WithName("side").WithImage("proxy:1"))
	if _, err := api.Apply(ctx, side, metav1.ApplyOptions{FieldManager: "injector"}); err != nil {
		t.Fatal(err)
	}
	scaled := appsac.Deployment("web", "default").WithSpec(appsac.DeploymentSpec().WithReplicas(5))
	_, err := api.Apply(ctx, scaled, metav1.ApplyOptions{FieldManager: "scaler"})
	checkConflict(t, err, `conflict with "owner"`, ".spec.replicas")
	now, err := api.Apply(ctx, scaled, metav1.ApplyOptions{FieldManager: "scaler", Force: true})
	if err != nil || *now.Spec.Replicas != 5 || len(now.Spec.Template.Spec.Containers) != 2 {
		t.Fatalf("%+v, %v", now.Spec, err)
	}

	mine, err := appsac.ExtractDeployment(now, "owner")
	if err != nil || mine.Spec.Replicas != nil || len(mine.Spec.Template.Spec.Containers) != 1 || *mine.Spec.Template.Spec.Containers[0].Name != "main" {
		t.Fatalf("extracted %+v, %v", mine.Spec, err)
	}
	mine.Spec.Template.Spec.Containers[0].WithImage("busybox:2").WithEnv(coreac.EnvVar().WithName("A").WithValue("b"))
	now, err = api.Apply(ctx, mine, metav1.ApplyOptions{FieldManager: "owner"})
	if err != nil || *now.Spec.Replicas != 5 || now.Spec.Template.Spec.Containers[0].Image != "busybox:2" {
		t.Fatalf("%+v, %v", now.Spec, err)
	}
	// Who applies no more what it owned lets go of it, and it goes where nobody else owns it.
	mine.Spec.Template.Spec.Containers[0].Env = nil
	if now, err = api.Apply(ctx, mine, metav1.ApplyOptions{FieldManager: "owner"}); err != nil || len(now.Spec.Template.Spec.Containers[0].Env) != 0 {
		t.Errorf("%+v, %v", now.Spec.Template.Spec, err)
	}
	theirs, err := appsac.ExtractDeployment(now, "injector")
	if err != nil {
		t.Fatal(err)
	}
	theirs.Spec.Template.Spec.Containers = nil
	now, err = api.Apply(ctx, theirs, metav1.ApplyOptions{FieldManager: "injector"})
	if err != nil || slices.ContainsFunc(now.Spec.Template.Spec.Containers, func(c corev1.Container) bool { return c.Name == "side" }) {
		t.Errorf("%+v, %v", now.Spec.Template.Spec, err)
	}
	status := appsac.Deployment("web", "default").WithStatus(appsac.DeploymentStatus().WithReplicas(5).WithConditions(
		appsac.DeploymentCondition().WithType("Available").WithStatus(corev1.ConditionTrue).WithReason("Enough").WithMessage("all")))
	if now, err = api.ApplyStatus(ctx, status, metav1.ApplyOptions{FieldManager: "owner"}); err != nil || now.Status.Replicas != 5 {
		t.Fatalf("%+v, %v", now.Status, err)
	}
	own, err := appsac.ExtractDeploymentStatus(now, "owner")
	if err != nil || own.Status == nil || *own.Status.Replicas != 5 || own.Spec != nil {
		t.Errorf("extracted %+v, %v", own, err)
	}
}

// checkConflict wants one cause, for a field.
func checkConflict(t *testing.T, err error, message, field string) {
	t.Helper()
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsConflict(err) {
		t.Fatalf("not a conflict: %v", err)
	}
	want := metav1.StatusCause{Type: metav1.CauseTypeFieldManagerConflict, Message: message, Field: field}
	if causes := status.Status().Details.Causes; len(causes) != 1 || causes[0] != want {
		t.Errorf("causes %+v, want %+v", causes, want)
	}
}
