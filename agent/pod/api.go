package pod

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/sdk"
)

// NewAPI is the cluster's API by the SDK.
func NewAPI(client *sdk.Client) API { return clusterAPI{client} }

type clusterAPI struct{ client *sdk.Client }

// UpdateStatus writes over what others changed meanwhile: the fields are the
// node's, and conditions of others are taken from the version it collides with.
func (a clusterAPI) UpdateStatus(ctx context.Context, pod *corev1.Pod) (resourceVersion string, err error) {
	stored, err := sdk.UpdateStatus(ctx, a.client, pod)
	for apierrors.IsConflict(err) {
		now, getErr := sdk.Get[*corev1.Pod](ctx, a.client, pod.Namespace, pod.Name)
		if getErr != nil {
			return "", getErr
		}
		if now.UID != pod.UID {
			return "", apierrors.NewNotFound(corev1.Resource("pods"), pod.Name)
		}
		again := pod.DeepCopy()
		again.ResourceVersion = now.ResourceVersion
		again.Status = mergeForeign(again.Status, now.Status)
		stored, err = sdk.UpdateStatus(ctx, a.client, again)
	}
	if err != nil {
		return "", err
	}
	return stored.ResourceVersion, nil
}

func (a clusterAPI) Delete(ctx context.Context, pod *corev1.Pod) error {
	now := int64(0)
	err := sdk.Delete[*corev1.Pod](ctx, a.client, pod.Namespace, pod.Name, sdk.DeleteOptions{GracePeriodSeconds: &now, UID: pod.UID})
	// A conflict means that another pod has the name by now.
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func (a clusterAPI) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return sdk.Get[*corev1.ConfigMap](ctx, a.client, namespace, name)
}

func (a clusterAPI) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return sdk.Get[*corev1.Secret](ctx, a.client, namespace, name)
}

func (a clusterAPI) RuntimeClass(ctx context.Context, name string) (*nodev1.RuntimeClass, error) {
	return sdk.Get[*nodev1.RuntimeClass](ctx, a.client, "", name)
}

func (a clusterAPI) RequestToken(ctx context.Context, namespace, account string, request *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	return sdk.RequestToken(ctx, a.client, namespace, account, request)
}
