package sdk

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// RequestToken asks for a token of a service account, as the request says, and returns
// the request with the token in its status. It is not tried again by itself.
func RequestToken(ctx context.Context, c *Client, namespace, account string, request *authenticationv1.TokenRequest) (*authenticationv1.TokenRequest, error) {
	op := Operation{}
	object, err := Encode(request)
	if err != nil {
		op.err = err
	}
	op.op = &apiv1.Operation{Request: &apiv1.Operation_Create{Create: &apiv1.CreateRequest{
		Object: object, Key: key[*corev1.ServiceAccount](namespace, account), Subresource: "token",
	}}}
	return write(ctx, c, "request token", request, op)
}
