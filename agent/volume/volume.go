// Package volume makes the directories that pods mount: emptyDir, hostPath and
// the files of configMaps, secrets, the downward API, tokens and projections of them.
// Files of secrets live in memory only.
package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// Source reads what volumes project.
type Source interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Token is a token of the pod's service account, bound to the pod, that holds for a
	// while yet.
	Token(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (string, error)
	// Field is a field of the pod, or a resource of one of its containers, as text.
	Field(pod *corev1.Pod, ref *corev1.ObjectFieldSelector) (string, error)
	Resource(pod *corev1.Pod, ref *corev1.ResourceFieldSelector) (string, error)
}

// Make makes all volumes of a pod below dir and returns the host path of each by
// name. It can be repeated: what is there is kept, projected files are renewed.
func Make(ctx context.Context, dir string, pod *corev1.Pod, src Source) (map[string]string, error) {
	paths := make(map[string]string, len(pod.Spec.Volumes))
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		p, err := one(ctx, filepath.Join(dir, v.Name), pod, v, src)
		if err != nil {
			return nil, fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", v.Name, err)
		}
		paths[v.Name] = p
	}
	return paths, nil
}

func one(ctx context.Context, dir string, pod *corev1.Pod, v *corev1.Volume, src Source) (string, error) {
	switch {
	case v.HostPath != nil:
		return v.HostPath.Path, hostPath(v.HostPath)
	case v.EmptyDir != nil:
		return dir, emptyDir(dir, pod, v.EmptyDir)
	}
	files, err := project(ctx, pod, v, src)
	if err != nil {
		return "", err
	}
	if holdsSecrets(v) {
		if err := secretMemory(dir); err != nil {
			return "", err
		}
	}
	return dir, writeFiles(dir, fsGroup(pod), files)
}

func fsGroup(pod *corev1.Pod) *int64 {
	if pod.Spec.SecurityContext == nil {
		return nil
	}
	return pod.Spec.SecurityContext.FSGroup
}

func emptyDir(dir string, pod *corev1.Pod, e *corev1.EmptyDirVolumeSource) error {
	switch e.Medium {
	case corev1.StorageMediumDefault, corev1.StorageMediumMemory:
	default:
		return fmt.Errorf("medium %q is not supported", e.Medium)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if e.Medium == corev1.StorageMediumMemory {
		options := "mode=0777"
		if e.SizeLimit != nil && e.SizeLimit.Value() > 0 {
			options += fmt.Sprintf(",size=%d", e.SizeLimit.Value())
		}
		if err := memory(dir, options); err != nil {
			return err
		}
	}
	mode := os.FileMode(0o777)
	if g := fsGroup(pod); g != nil {
		if err := os.Chown(dir, -1, int(*g)); err != nil {
			return err
		}
		mode |= os.ModeSetgid
	}
	return os.Chmod(dir, mode) // MkdirAll is subject to the umask.
}

// hostPath checks, or makes, what the type asks for, with Kubernetes' words.
func hostPath(h *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if h.Type != nil {
		kind = *h.Type
	}
	if kind == corev1.HostPathUnset {
		return nil
	}
	st, err := os.Stat(h.Path)
	if errors.Is(err, os.ErrNotExist) {
		switch kind {
		case corev1.HostPathDirectoryOrCreate:
			return os.MkdirAll(h.Path, 0o755)
		case corev1.HostPathFileOrCreate:
			f, err := os.OpenFile(h.Path, os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				return err
			}
			return f.Close()
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	mode := os.FileMode(0)
	if err == nil {
		mode = st.Mode()
	}
	checks := map[corev1.HostPathType]struct {
		ok   bool
		what string
	}{
		corev1.HostPathDirectoryOrCreate: {err == nil && mode.IsDir(), "directory"},
		corev1.HostPathDirectory:         {err == nil && mode.IsDir(), "directory"},
		corev1.HostPathFileOrCreate:      {err == nil && mode.IsRegular(), "file"},
		corev1.HostPathFile:              {err == nil && mode.IsRegular(), "file"},
		corev1.HostPathSocket:            {mode&os.ModeSocket != 0, "socket file"},
		corev1.HostPathCharDev:           {mode&os.ModeCharDevice != 0, "character device"},
		corev1.HostPathBlockDev:          {mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0, "block device"},
	}
	check, known := checks[kind]
	if !known {
		return fmt.Errorf("%s is an invalid volume type", kind)
	}
	if !check.ok {
		return fmt.Errorf("hostPath type check failed: %s is not a %s", h.Path, check.what)
	}
	return nil
}

// IsReadOnly says whether containers may only read a volume of the pod, whatever
// they ask for: those that the agent writes, as in Kubernetes since 1.9.6.
func IsReadOnly(pod *corev1.Pod, name string) bool {
	for _, v := range pod.Spec.Volumes {
		if v.Name == name {
			return v.Secret != nil || v.ConfigMap != nil || v.DownwardAPI != nil || v.Projected != nil
		}
	}
	return false
}

// Remove removes all that Make made below dir; hostPaths stay. It can be repeated.
func Remove(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		p := filepath.Join(dir, e.Name())
		for isTmpfs(p) {
			if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
				return fmt.Errorf("unmount %s: %w", p, err)
			}
		}
	}
	return os.RemoveAll(dir)
}

// Within resolves a subPath of a volume. A link that leads out of the volume is
// refused; a missing directory is made.
func Within(volume, sub string) (string, error) {
	if sub == "" {
		return volume, nil
	}
	root, err := os.OpenRoot(volume)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if _, err := root.Stat(sub); errors.Is(err, os.ErrNotExist) {
		if err := root.MkdirAll(sub, 0o750); err != nil {
			return "", fmt.Errorf("make subPath %q: %w", sub, err)
		}
	} else if err != nil {
		return "", fmt.Errorf("subPath %q: %w", sub, err)
	}
	base, err := filepath.EvalSymlinks(volume)
	if err != nil {
		return "", err
	}
	full, err := filepath.EvalSymlinks(filepath.Join(base, sub))
	if err != nil {
		return "", err
	}
	if full != base && !strings.HasPrefix(full, base+"/") {
		return "", fmt.Errorf("subPath %q leads out of the volume", sub)
	}
	return full, nil
}
