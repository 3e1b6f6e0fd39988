//go:build root

package containerd_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/agent/logs"
	"github.com/musterhq/muster/agent/runtime"
)

// marks counts what a pod could leave on the machine.
type marks struct{ mounts, cgroups int }

func footprint(t *testing.T) marks {
	t.Helper()
	var m marks
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "/muster/pods/") || strings.Contains(line, "io.containerd.runtime.v2") {
			m.mounts++
		}
	}
	err = filepath.WalkDir("/sys/fs/cgroup", func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.Contains(p, "/muster-test/") {
			m.cgroups++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sandbox(t *testing.T, r runtime.Runtime, uid string) runtime.Sandbox {
	t.Helper()
	s, err := r.EnsureSandbox(t.Context(), runtime.SandboxConfig{
		PodUID: uid, Namespace: "default", Name: uid, Hostname: "host-" + uid, CgroupParent: "/muster-test",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.RemoveSandbox(t.Context(), uid); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return s
}

func run(t *testing.T, r runtime.Runtime, uid string, cfg runtime.ContainerConfig) runtime.Container {
	t.Helper()
	img, err := r.Image(t.Context(), "busybox")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Image, cfg.Name = img, "main"
	if cfg.LogPath == "" {
		cfg.LogPath = filepath.Join(t.TempDir(), uid+".log")
	}
	c, err := r.CreateAndStart(t.Context(), uid, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// output runs a script to its end and returns what it wrote.
func output(t *testing.T, r runtime.Runtime, uid string, cfg runtime.ContainerConfig) string {
	t.Helper()
	c := run(t, r, uid, cfg)
	await(t, "container ended", func() bool { return state(t, r, uid, c.ID).State == runtime.Exited })
	var out bytes.Buffer
	if err := logs.Read(t.Context(), c.LogPath, logs.Options{}, nil, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func state(t *testing.T, r runtime.Runtime, uid, id string) runtime.Container {
	t.Helper()
	pod, err := r.Pod(t.Context(), uid)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range pod.Containers {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("container %s is not in %+v", id, pod)
	return runtime.Container{}
}

func TestContainerSeesItsPod(t *testing.T) {
	d := startDaemon(t)
	r := d.runtime(t)
	importBusybox(t, r)
	uid1, uid2, gid := int64(1000), int64(5000), int64(3000)
	tests := map[string]struct {
		cfg  runtime.ContainerConfig
		want string
	}{
		"hostname":     {runtime.ContainerConfig{Command: []string{"hostname"}}, "host-p"},
		"env":          {runtime.ContainerConfig{Command: []string{"sh", "-c", "echo $A"}, Env: []string{"A=b c"}}, "b c"},
		"default user": {runtime.ContainerConfig{Command: []string{"id", "-u"}}, "0"},
		"user's group": {runtime.ContainerConfig{Command: []string{"id", "-g"}, User: &runtime.User{UID: &uid1}}, "1001"},
		"unknown user": {runtime.ContainerConfig{Command: []string{"id", "-u"}, User: &runtime.User{UID: &uid2}}, "5000"},
		"group alone":  {runtime.ContainerConfig{Command: []string{"sh", "-c", "busybox id -u; busybox id -G"}, User: &runtime.User{GID: &gid}}, "0\n3000"},
		"shm":          {runtime.ContainerConfig{Command: []string{"sh", "-c", "cat /proc/mounts | busybox grep -c '/dev/shm.*size=65536k'"}}, "1"},
		"read-only":    {runtime.ContainerConfig{Command: []string{"sh", "-c", "echo x 2>&1 >/x | busybox grep -o Read-only"}, ReadOnlyRoot: true}, ""},
		"no new privs": {runtime.ContainerConfig{Command: []string{"busybox", "grep", "NoNewPrivs", "/proc/self/status"}, NoNewPrivs: true}, "NoNewPrivs:\t1"},
		"seccomp":      {runtime.ContainerConfig{Command: []string{"busybox", "grep", "Seccomp:", "/proc/self/status"}}, "Seccomp:\t2"},
		"privileged":   {runtime.ContainerConfig{Command: []string{"busybox", "grep", "Seccomp:", "/proc/self/status"}, Privileged: true}, "Seccomp:\t0"},
		"no caps":      {runtime.ContainerConfig{Command: []string{"busybox", "grep", "CapEff", "/proc/self/status"}, DropCaps: []string{"ALL"}}, "CapEff:\t0000000000000000"},
		"alone":        {runtime.ContainerConfig{Command: []string{"sh", "-c", "echo $$"}}, "1"},
	}
	attempt := 0
	sandbox(t, r, "p")
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.cfg.Attempt = attempt
			attempt++
			if got := strings.TrimSpace(output(t, r, "p", tc.cfg)); tc.want != "" && got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if err := r.RemoveSandbox(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
}

func TestPullThroughMirror(t *testing.T) {
	d := startDaemon(t)
	r := d.runtime(t, mirror(t, "docker.io/library/busybox:1.0", "registry.test/team/app:2"))
	for _, ref := range []string{"busybox:1.0", "registry.test/team/app:2"} {
		img, err := r.Pull(t.Context(), ref, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(img.ID, "sha256:") || !strings.Contains(img.RepoDigest, "@sha256:") || img.Size == 0 {
			t.Errorf("image %+v", img)
		}
		if again, err := r.Image(t.Context(), ref); err != nil || again != img {
			t.Errorf("present image %+v, %v; pulled %+v", again, err, img)
		}
	}
}

// TestSurvivesContainerdsDeath kills containerd: containers and their logs go
// on, a container that ends meanwhile is found ended, and nothing stays behind.
func TestSurvivesContainerdsDeath(t *testing.T) {
	before := footprint(t)
	d := startDaemon(t)
	r := d.runtime(t)
	importBusybox(t, r)
	sandbox(t, r, "counts")
	sandbox(t, r, "ends")
	counting := run(t, r, "counts", runtime.ContainerConfig{Command: []string{"count"}})
	ending := run(t, r, "ends", runtime.ContainerConfig{Command: []string{"sh", "-c", "sleep 1; exit 7"}})
	d.kill(syscall.SIGKILL)
	size := lastNumber(t, counting.LogPath)
	await(t, "log grows without containerd", func() bool { return lastNumber(t, counting.LogPath) > size+10 })
	d.start(t)
	second := d.runtime(t) // A restarted agent, too.
	await(t, "the ended one is found", func() bool { return state(t, second, "ends", ending.ID).State == runtime.Exited })
	if c := state(t, second, "ends", ending.ID); c.ExitCode != 7 {
		t.Errorf("ended meanwhile: %+v", c)
	}
	c := state(t, second, "counts", counting.ID)
	if c.State != runtime.Running || c.Pid != counting.Pid || !c.StartedAt.Equal(counting.StartedAt) {
		t.Errorf("adopted as %+v, was %+v", c, counting)
	}
	size = lastNumber(t, counting.LogPath)
	await(t, "log grows after the restart", func() bool { return lastNumber(t, counting.LogPath) > size })
	if err := second.Stop(t.Context(), "counts", counting.ID, 0); err != nil {
		t.Fatal(err)
	}
	for _, uid := range []string{"counts", "ends"} {
		if err := second.RemoveSandbox(t.Context(), uid); err != nil {
			t.Fatal(err)
		}
	}
	if after := footprint(t); after != before {
		t.Errorf("left behind: before %+v, after %+v", before, after)
	}
}

// lastNumber is the last that "count" wrote; every number before it must be there.
func lastNumber(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for i, line := range lines {
		fields := strings.Fields(line)
		if n, err := strconv.Atoi(fields[len(fields)-1]); err == nil && n != i {
			t.Fatalf("line %d of the log says %q", i, line)
		}
	}
	return len(lines) - 1
}

// TestSpeed is a tripwire, not a benchmark: a container with a cached image.
func TestSpeed(t *testing.T) {
	d := startDaemon(t)
	r := d.runtime(t)
	importBusybox(t, r)
	var all time.Duration
	const n = 5
	for i := range n {
		uid := "p" + strconv.Itoa(i)
		begin := time.Now()
		sandbox(t, r, uid)
		run(t, r, uid, runtime.ContainerConfig{Command: []string{"serve"}})
		all += time.Since(begin)
		if err := r.RemoveSandbox(t.Context(), uid); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("sandbox and container: %v on average", all/n)
	if all/n > 2*time.Second {
		t.Errorf("sandbox and container take %v", all/n)
	}
}
