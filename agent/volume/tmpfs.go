package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// holdsSecrets tells whether a volume's files are never to reach a disk.
func holdsSecrets(v *corev1.Volume) bool {
	if v.Secret != nil {
		return true
	}
	if v.Projected == nil {
		return false
	}
	for i := range v.Projected.Sources {
		s := &v.Projected.Sources[i]
		if s.Secret != nil || s.ServiceAccountToken != nil {
			return true
		}
	}
	return false
}

// secretMemory mounts memory on the directory of a volume that holds secrets.
// Where the kernel can (6.4 and later), it is not swapped to a disk either.
func secretMemory(dir string) error {
	err := memory(dir, "mode=0755,noswap")
	if errors.Is(err, unix.EINVAL) {
		err = memory(dir, "mode=0755")
	}
	return err
}

// memory mounts a tmpfs on a directory, unless there is one: the mount outlives
// the agent, as the pod does.
func memory(dir, options string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if isTmpfs(dir) {
		return nil
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	return nil
}

func isTmpfs(dir string) bool {
	var st unix.Statfs_t
	var parent unix.Stat_t
	var own unix.Stat_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.TMPFS_MAGIC &&
		unix.Stat(dir, &own) == nil && unix.Stat(filepath.Dir(dir), &parent) == nil && own.Dev != parent.Dev
}
