package registry

import corev1 "k8s.io/api/core/v1"

// Connection is a subresource that opens a stream: a POST or, by WebSocket, a GET.
func Connection(name, options string) Subresource {
	return Subresource{Name: name, GVK: corev1.SchemeGroupVersion.WithKind(options), Verbs: []string{"create", "get"}, Stream: true}
}

// Proxied is the subresource that passes requests on to what an object stands for.
func Proxied(options string) Subresource {
	return Subresource{
		Name: "proxy", GVK: corev1.SchemeGroupVersion.WithKind(options), Stream: true,
		Verbs: []string{"create", "delete", "get", "patch", "update"},
	}
}
