//go:build root

package volume_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/musterhq/muster/agent/volume"
)

// mounts below a directory, as "type path".
func mounts(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(read(t, "/proc/self/mounts")) {
		f := strings.Fields(line)
		if strings.HasPrefix(f[1], dir+"/") {
			out = append(out, f[2]+" "+strings.TrimPrefix(f[1], dir+"/"))
		}
	}
	return out
}

func TestSecretsStayInMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volumes")
	pod := podWith(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "cfg"}})
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "p", VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "cfg"}}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "cfg"},
				Items: []corev1.KeyToPath{{Key: "a", Path: "secret/a"}}}},
		}}}}, corev1.Volume{Name: "c", VolumeSource: configMap("cfg")})
	// The second time it is another agent, and the third time the secret has changed.
	for _, content := range []string{"1", "1", "2"} {
		paths, err := volume.Make(t.Context(), dir, pod, source{map[string]string{"a": content}})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"v/a", "p/a", "p/secret/a", "c/a"} {
			if got := read(t, filepath.Join(filepath.Dir(paths["v"]), name)); got != content {
				t.Errorf("%s holds %q, want %q", name, got, content)
			}
		}
		if got := strings.Join(mounts(t, dir), ", "); got != "tmpfs v, tmpfs p" {
			t.Errorf("mounts are %q, want one for each volume with secrets", got)
		}
	}
	for range 2 {
		if err := volume.Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
	if left := mounts(t, dir); len(left) > 0 {
		t.Errorf("mounts left over: %v", left)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volumes")
	limit := resource.MustParse("64Ki")
	pod := podWith(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &limit}})
	paths, err := volume.Make(t.Context(), dir, pod, source{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := volume.Remove(dir); err != nil {
			t.Error(err)
		}
	}()
	if err := os.WriteFile(filepath.Join(paths["v"], "small"), make([]byte, 32<<10), 0o600); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(paths["v"], "large"), make([]byte, 64<<10), 0o600); err == nil {
		t.Error("more fits in than the limit allows")
	}
}
