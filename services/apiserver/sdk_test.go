package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/sdk"
)

// sdkClient calls the gRPC door as an administrator.
func (s *testServer) sdkClient(t *testing.T, change ...func(*sdk.Config)) *sdk.Client {
	t.Helper()
	cfg := sdk.Config{Servers: []string{s.grpc}, UserAgent: "test/1.0",
		TLS: newKeyPair(t, s.authority, pki.AdminIdentity()).PeerTLS(pki.IsServer, "h2")}
	for _, f := range change {
		f(&cfg)
	}
	c, err := sdk.Dial(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func sdkContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func inDefault(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"test": "sdk"}}
}

// What has functions of its own in the SDK does with a real server what it says.
func TestSDKSubresources(t *testing.T) {
	ctx, c := sdkContext(t), startServer(t).sdkClient(t)
	web := newDeployment("web")
	web.Namespace = "default"
	if _, err := sdk.Create(ctx, c, web); err != nil {
		t.Fatal(err)
	}
	scale, err := sdk.GetScale[*appsv1.Deployment](ctx, c, "default", "web")
	if err != nil || scale.Spec.Replicas != 3 {
		t.Fatalf("scale: %v, %v", scale, err)
	}
	scale.Spec.Replicas = 7
	if scale, err = sdk.UpdateScale[*appsv1.Deployment](ctx, c, scale); err != nil || scale.Spec.Replicas != 7 {
		t.Errorf("scaled: %v, %v", scale, err)
	}
	if web, err = sdk.Get[*appsv1.Deployment](ctx, c, "default", "web"); err != nil || *web.Spec.Replicas != 7 {
		t.Errorf("deployment: %v, %v", web.Spec.Replicas, err)
	}

	if _, err := sdk.Create(ctx, c, &corev1.ServiceAccount{ObjectMeta: inDefault("robot")}); err != nil {
		t.Fatal(err)
	}
	pod, err := sdk.Create(ctx, c, &corev1.Pod{ObjectMeta: inDefault("a"), Spec: corev1.PodSpec{
		ServiceAccountName: "robot", Containers: []corev1.Container{{Name: "main", Image: "jwilder/whoami"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := sdk.Bind(ctx, c, pod, "n1"); err != nil {
		t.Errorf("bind: %v", err)
	}
	if err := sdk.Bind(ctx, c, pod, "n2"); !apierrors.IsConflict(err) {
		t.Errorf("bind again: %v", err)
	}
	if err := sdk.Evict(ctx, c, "default", "a", sdk.DeleteOptions{UID: "another"}); !apierrors.IsConflict(err) {
		t.Errorf("evict another one: %v", err)
	}
	if err := sdk.Evict(ctx, c, "default", "a", sdk.DeleteOptions{UID: pod.UID}); err != nil {
		t.Errorf("evict: %v", err)
	}
	if pod, err = sdk.Get[*corev1.Pod](ctx, c, "default", "a"); err == nil && pod.DeletionTimestamp == nil {
		t.Errorf("evicted: %v, %v", pod.DeletionTimestamp, err)
	}
}

// Writes take their options; what cannot be is refused in Kubernetes' words.
func TestSDKWrites(t *testing.T) {
	ctx, c := sdkContext(t), startServer(t).sdkClient(t)
	made, err := sdk.Create(ctx, c, &corev1.ConfigMap{ObjectMeta: inDefault("a")}, sdk.DryRun())
	if err != nil || made.UID == "" {
		t.Errorf("dry run: %v, %v", made, err)
	}
	if _, err := sdk.Get[*corev1.ConfigMap](ctx, c, "default", "a"); !apierrors.IsNotFound(err) {
		t.Errorf("after a dry run: %v", err)
	}
	made, err = sdk.Create(ctx, c, &corev1.ConfigMap{ObjectMeta: inDefault("a"), Data: map[string]string{"k": "1"}}, sdk.FieldManager("maker"))
	if err != nil || len(made.ManagedFields) != 1 || made.ManagedFields[0].Manager != "maker" {
		t.Errorf("created: %v, %v", made.ManagedFields, err)
	}
	_, err = sdk.Apply[*corev1.ConfigMap](ctx, c, "other", &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a"}, Data: map[string]string{"k": "2"}})
	var status apierrors.APIStatus
	if !apierrors.IsConflict(err) || !errors.As(err, &status) || len(status.Status().Details.Causes) != 1 {
		t.Errorf("apply what another manages: %v", err)
	}
	forced, err := sdk.Apply[*corev1.ConfigMap](ctx, c, "other", []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"default","name":"a"},"data":{"k":"2"}}`), sdk.Force())
	if err != nil || forced.Data["k"] != "2" {
		t.Errorf("forced: %v, %v", forced.Data, err)
	}
	var warned []string
	patch := map[string]any{"daata": map[string]string{}}
	if _, err := sdk.MergePatch[*corev1.ConfigMap](ctx, c, "default", "a", "", patch); !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
		t.Errorf("an unknown field: %v", err)
	}
	_, err = sdk.MergePatch[*corev1.ConfigMap](ctx, c, "default", "a", "", patch, sdk.Lenient(func(text string) { warned = append(warned, text) }))
	if err != nil || len(warned) != 1 {
		t.Errorf("leniently: %q, %v", warned, err)
	}
	if _, err := sdk.Patch[*corev1.ConfigMap](ctx, c, "default", "a", "", types.JSONPatchType, []byte(`[{"op":"remove","path":"/data/k"}]`)); err != nil {
		t.Errorf("JSON patch: %v", err)
	}
}

// Lists are of one revision, page by page, also while others write.
func TestSDKPages(t *testing.T) {
	ctx, c := sdkContext(t), startServer(t).sdkClient(t)
	var tx sdk.Transaction
	for i := range 50 {
		tx.Create(&corev1.ConfigMap{ObjectMeta: inDefault(fmt.Sprintf("c%02d", i))})
	}
	if _, err := tx.Commit(ctx, c); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for cm, err := range sdk.All[*corev1.ConfigMap](ctx, c, sdk.ListOptions{Namespace: "default", LabelSelector: "test=sdk", Limit: 7}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 1 {
			if _, err := sdk.Create(ctx, c, &corev1.ConfigMap{ObjectMeta: inDefault("late")}); err != nil {
				t.Fatal(err)
			}
		}
		if cm.Name == "late" {
			t.Error("the list changed while it was read")
		}
	}
	if seen != 50 {
		t.Errorf("%d objects were listed", seen)
	}
	gone, err := sdk.DeleteCollection[*corev1.ConfigMap](ctx, c, sdk.ListOptions{Namespace: "default", LabelSelector: "test=sdk"}, sdk.DeleteOptions{})
	if err != nil || len(gone) != 51 {
		t.Errorf("%d deleted, %v", len(gone), err)
	}
}

// A client may act as somebody else, and may then do what that one may.
func TestSDKImpersonates(t *testing.T) {
	ctx, server := sdkContext(t), startServer(t)
	c := server.sdkClient(t, func(cfg *sdk.Config) {
		cfg.Impersonate = sdk.Impersonate{User: "jane", Groups: []string{"system:authenticated", "readers"}}
	})
	for range 3 { // as an RPC, and over the stream that calls share
		_, err := sdk.Get[*corev1.Secret](ctx, c, "default", "any")
		if !apierrors.IsForbidden(err) {
			t.Errorf("jane reads secrets: %v", err)
		}
	}
	who, err := sdk.Create(ctx, c, &authenticationv1.SelfSubjectReview{})
	if err != nil || who.Status.UserInfo.Username != "jane" {
		t.Errorf("whoami: %v, %v", who, err)
	}
}
