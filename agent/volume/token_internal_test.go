package volume

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

type tokens struct{ Source }

func (tokens) Token(context.Context, *corev1.Pod, *corev1.ServiceAccountTokenProjection) (string, error) {
	return "secret", nil
}

// Who may read a token, as with the kubelet.
func TestTokenFiles(t *testing.T) {
	id := func(n int64) *int64 { return &n }
	as := func(users ...*int64) []corev1.Container {
		var out []corev1.Container
		for _, user := range users {
			out = append(out, corev1.Container{SecurityContext: &corev1.SecurityContext{RunAsUser: user}})
		}
		return out
	}
	for _, test := range []struct {
		name  string
		spec  corev1.PodSpec
		mode  int32
		owner int64
	}{
		{"any user", corev1.PodSpec{Containers: as(nil)}, 0o644, -1},
		{"one user", corev1.PodSpec{Containers: as(id(7), id(7))}, 0o600, 7},
		{"two users", corev1.PodSpec{Containers: as(id(7), id(8))}, 0o644, -1},
		{"the pod's user", corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{RunAsUser: id(9)}, Containers: as(nil)}, 0o600, 9},
		{"a group", corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{FSGroup: id(5)}, Containers: as(nil)}, 0o600, -1},
	} {
		files, err := fromToken(t.Context(), tokens{}, &corev1.Pod{Spec: test.spec}, &corev1.ServiceAccountTokenProjection{Path: "token"}, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		owner := int64(-1)
		if files[0].owner != nil {
			owner = *files[0].owner
		}
		if f := files[0]; f.path != "token" || string(f.data) != "secret" || f.mode != test.mode || owner != test.owner {
			t.Errorf("%s: %+v, owner %d", test.name, f, owner)
		}
	}
}
