package sdk

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
)

// RequestToken asks for a token of a service account, as the request says, and returns
// the request with the token in its status.
func RequestToken(ctx context.Context, c *Client, namespace, account string, request *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	return CreateSubresource[*corev1.ServiceAccount](ctx, c, namespace, account, "token", request)
}
