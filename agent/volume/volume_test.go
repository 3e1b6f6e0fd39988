package volume_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/agent/volume"
)

// source is a cluster with one configMap and one secret, both named cfg, whose
// content a test may change.
type source struct{ data map[string]string }

func (s source) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	if name != "cfg" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
	}
	return &corev1.ConfigMap{Data: s.data}, nil
}

func (s source) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	if name != "cfg" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	data := map[string][]byte{}
	for k, v := range s.data {
		data[k] = []byte(v)
	}
	return &corev1.Secret{Data: data}, nil
}

func (source) Token(_ context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (string, error) {
	return pod.Spec.ServiceAccountName + " for " + p.Audience, nil
}

func (source) Field(pod *corev1.Pod, ref *corev1.ObjectFieldSelector) (string, error) {
	return pod.Name + " " + ref.FieldPath, nil
}

func (source) Resource(*corev1.Pod, *corev1.ResourceFieldSelector) (string, error) { return "7", nil }

func podWith(v corev1.VolumeSource) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: v}}}}
	p.Name = "web"
	return p
}

func configMap(name string, items ...corev1.KeyToPath) corev1.VolumeSource {
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: name}, Items: items}}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestConfigMapIsRenewed(t *testing.T) {
	dir := t.TempDir()
	src := source{map[string]string{"a": "1", "b": "2"}}
	pod := podWith(configMap("cfg"))
	paths, err := volume.Make(t.Context(), dir, pod, src)
	if err != nil {
		t.Fatal(err)
	}
	v := paths["v"]
	first, err := os.Readlink(filepath.Join(v, "..data"))
	if err != nil || read(t, filepath.Join(v, "a")) != "1" {
		t.Fatal(err)
	}
	for range 2 { // Unchanged: nothing is written again.
		if _, err := volume.Make(t.Context(), dir, pod, src); err != nil {
			t.Fatal(err)
		}
	}
	if again, _ := os.Readlink(filepath.Join(v, "..data")); again != first {
		t.Error("files that did not change were written again")
	}
	src.data = map[string]string{"a": "new", "c": "3"}
	if _, err := volume.Make(t.Context(), dir, pod, src); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(v, "a")) != "new" || read(t, filepath.Join(v, "c")) != "3" {
		t.Error("files were not renewed")
	}
	if _, err := os.Lstat(filepath.Join(v, "b")); !os.IsNotExist(err) {
		t.Errorf("a key that is gone is still a file: %v", err)
	}
	entries, err := os.ReadDir(v)
	if err != nil || len(entries) != 4 { // ..data, its directory, a, c
		t.Errorf("left over: %v, %v", entries, err)
	}
	if err := volume.Remove(dir); err != nil {
		t.Fatal(err)
	}
}

func TestItemsAndDownwardAPI(t *testing.T) {
	dir, mode := t.TempDir(), int32(0o400)
	src := source{map[string]string{"a": "1", "b": "2"}}
	paths, err := volume.Make(t.Context(), dir, podWith(configMap("cfg", corev1.KeyToPath{Key: "a", Path: "sub/dir/x", Mode: &mode})), src)
	if err != nil {
		t.Fatal(err)
	}
	x := filepath.Join(paths["v"], "sub/dir/x")
	if st, err := os.Stat(x); err != nil || st.Mode().Perm() != 0o400 || read(t, x) != "1" {
		t.Errorf("item: %v, %v", st, err)
	}
	if _, err := os.Stat(filepath.Join(paths["v"], "b")); err == nil {
		t.Error("a key that was not asked for is there")
	}
	down := podWith(corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
		{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}},
		{Path: "cpu", ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}},
	}}})
	paths, err = volume.Make(t.Context(), t.TempDir(), down, src)
	if err != nil || read(t, filepath.Join(paths["v"], "name")) != "web metadata.name" || read(t, filepath.Join(paths["v"], "cpu")) != "7" {
		t.Errorf("downward API: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	file := corev1.HostPathFile
	yes := true
	optional := configMap("none")
	optional.ConfigMap.Optional = &yes
	tests := map[string]struct {
		source corev1.VolumeSource
		want   string // "" for none
	}{
		"missing":      {configMap("none"), `MountVolume.SetUp failed for volume "v" : configmap "none" not found`},
		"no secret":    {corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "none"}}, `MountVolume.SetUp failed for volume "v" : secret "none" not found`},
		"optional":     {optional, ""},
		"missing key":  {configMap("cfg", corev1.KeyToPath{Key: "z", Path: "z"}), "references non-existent config key: z"},
		"host path":    {corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/no/such", Type: &file}}, "hostPath type check failed: /no/such is not a file"},
		"unknown kind": {corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}, "not supported"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := volume.Make(t.Context(), t.TempDir(), podWith(tc.source), source{map[string]string{"a": "1"}})
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	v := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(v, "out")); err != nil {
		t.Fatal(err)
	}
	got, err := volume.Within(v, "a/b")
	if err != nil || got != filepath.Join(v, "a/b") {
		t.Errorf("%s, %v", got, err)
	}
	if st, err := os.Stat(got); err != nil || !st.IsDir() {
		t.Errorf("directory was not made: %v", err)
	}
	for _, sub := range []string{"out", "out/passwd", "../x"} {
		if got, err := volume.Within(v, sub); err == nil {
			t.Errorf("%s leads to %s", sub, got)
		}
	}
}
