// Package sysctl sets kernel parameters of the calling thread's network namespace.
package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Set writes settings given as "net/ipv4/ip_forward=1". What has its
// value is not written, so that a read-only /proc/sys prepared by somebody else
// is good enough.
func Set(settings ...string) error {
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		path := filepath.Join("/proc/sys", name)
		present, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("sysctl %s: %w", name, err)
		}
		if strings.TrimSpace(string(present)) == value {
			continue
		}
		err = os.WriteFile(path, []byte(value), 0)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			return fmt.Errorf("sysctl %s is %s, must be %s, and may not be written: %w", name, strings.TrimSpace(string(present)), value, err)
		}
		if err != nil {
			return fmt.Errorf("sysctl %s: %w", name, err)
		}
	}
	return nil
}
