//go:build root

package crash_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// A user whose cluster's disk is full is told so, and what to do; reads and a watch
// go on, and writes when there is room.
func TestFullDiskByKubectl(t *testing.T) {
	m := newMachine(t)
	disk := filepath.Join(m.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("crash", disk, "tmpfs", 0, "size=320m"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) }()
	dir := filepath.Join(disk, "server")
	kubectl := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), endTimeout)
		defer cancel()
		all := append([]string{"--net=/run/netns/" + m.namespace, "--", harness.OwnKubectl(), "--kubeconfig", filepath.Join(dir, "kubeconfig")}, args...)
		out, err := exec.CommandContext(ctx, "nsenter", all...).CombinedOutput()
		return string(out), err
	}
	m.runs(dir, func() {
		if out, err := kubectl("create", "configmap", "before"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		ballast := filepath.Join(disk, "ballast")
		if out, err := exec.Command("fallocate", "-l", "200M", ballast).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		refused := ""
		if err := harness.Eventually(t.Context(), endTimeout, func() error {
			refused, _ = kubectl("create", "configmap", "refused"+strconv.Itoa(rand.Int()))
			if !strings.Contains(refused, "disk is full") {
				return fmt.Errorf("a write is not refused for want of room: %s", refused)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		t.Log(refused)
		if !strings.Contains(refused, "free space there") {
			t.Errorf("it does not say what to do: %s", refused)
		}
		if out, err := kubectl("get", "configmap", "before"); err != nil {
			t.Errorf("get: %v\n%s", err, out)
		}
		if out, err := kubectl("get", "configmap", "before", "--watch", "--request-timeout=2s"); !strings.Contains(out, "before") {
			t.Errorf("watch: %v\n%s", err, out)
		}
		if out, err := m.muster("members", "--kubeconfig", filepath.Join(dir, "kubeconfig")); err != nil || !strings.Contains(out, "disk-full") {
			t.Errorf("members: %v\n%s", err, out)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if err := harness.Eventually(t.Context(), endTimeout, func() error {
			_, err := kubectl("create", "configmap", "after")
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}
