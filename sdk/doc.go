// Package sdk is the Go client of a Muster cluster. It speaks the cluster's own
// gRPC door (muster.api.v1.ObjectService), in which objects are those of
// k8s.io/api in their protobuf encoding.
//
//	c, err := sdk.Dial(sdk.Config{Servers: []string{"10.0.0.1:6442", "10.0.0.2:6442"}, TLS: tlsConfig})
//	pod, err := sdk.Get[*corev1.Pod](ctx, c, "default", "web-0")
//
// Reads are Get, List and All; Watch and package informer follow; Create, Update,
// Patch, Apply, Delete and DeleteCollection write; a Transaction writes many objects or
// none. README.md says which to use when, and what is tried again by itself.
//
// Errors that the cluster answered are *apierrors.StatusError, so that
// apierrors.IsNotFound and its siblings work; errors of the way to it are gRPC
// errors, which OutcomeUnknown and IsRetryable tell apart.
package sdk
