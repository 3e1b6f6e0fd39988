package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	// labelReaper is on the container that is no pod's own: it says whose processes
	// it takes in.
	labelReaper = "muster.io/reaper-of"
	// reaperScore has the kernel kill any other process for memory first, as
	// Kubernetes has it for its pause.
	reaperScore = -998
	// nobody is the user of the reaper.
	nobody = 65535
)

// reaper is the first process of a pod's process namespace. Its inode tells it
// from another one that got its number.
type reaper struct {
	Pid       int    `json:"pid"`
	Namespace uint64 `json:"namespace"`
}

func reaperID(podUID string) string { return containerID(podUID, "", 0) }

func (p *reaper) path() string { return fmt.Sprintf("/proc/%d/ns/pid", p.Pid) }

// alive tells whether the process is there; where it ended all of the namespace did.
func (p *reaper) alive() bool {
	inode, err := inodeOf(p.path())
	return err == nil && inode == p.Namespace
}

// startReaper makes the process namespace of a pod whose containers share one. A
// namespace lasts no longer than its first process, so a pinned file would not do.
// What an interrupted call left behind is replaced: nothing was in it yet.
func (r *Runtime) startReaper(ctx context.Context, s sandboxRecord) (*reaper, error) {
	if len(r.cfg.Reaper) == 0 {
		return nil, errors.New("this agent has no program that reaps the processes of a pod")
	}
	if err := r.removeReaper(ctx, s.PodUID); err != nil {
		return nil, err
	}
	root := filepath.Join(r.podDir(s.PodUID), "reaper")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	ctr, err := r.client.NewContainer(ctx, reaperID(s.PodUID),
		client.WithRuntime(runcRuntime, nil),
		client.WithContainerLabels(map[string]string{labelReaper: s.PodUID}),
		client.WithNewSpec(r.reaperSpec(s, root)...))
	if err != nil {
		return nil, err
	}
	task, err := ctr.NewTask(ctx, cio.NullIO)
	if err != nil {
		return nil, err
	}
	if err := task.Start(ctx); err != nil {
		return nil, err
	}
	p := &reaper{Pid: int(task.Pid())}
	p.Namespace, err = inodeOf(p.path())
	return p, err
}

// reaperSpec gives the program a root of its own with nothing else in it, because
// the pod's containers see it by /proc, and no right at all. Its cgroup is beside
// the pods', whose limits are for what they run.
func (r *Runtime) reaperSpec(s sandboxRecord, root string) []oci.SpecOpts {
	program := "/" + filepath.Base(r.cfg.Reaper[0])
	return []oci.SpecOpts{
		oci.WithRootFSPath(root),
		oci.WithProcessArgs(append([]string{program}, r.cfg.Reaper[1:]...)...),
		oci.WithMounts([]specs.Mount{{Destination: program, Source: r.cfg.Reaper[0], Type: "bind", Options: []string{"bind", "ro"}}}),
		oci.WithUIDGID(nobody, nobody), oci.WithCapabilities(nil), oci.WithNoNewPrivileges, seccomp.WithDefaultProfile(),
		oci.WithCgroup(path.Join(path.Dir(s.CgroupPath), "reapers", s.PodUID)),
		func(_ context.Context, _ oci.Client, _ *containers.Container, spec *oci.Spec) error {
			score, err := allowedOOMScoreAdj(reaperScore)
			if err != nil {
				return err
			}
			spec.Process.OOMScoreAdj, spec.Process.Rlimits, spec.Root.Readonly = &score, nil, true
			spec.Linux.Namespaces = append(r.sandboxNamespaces(s), specs.LinuxNamespace{Type: specs.PIDNamespace})
			return nil
		},
	}
}

// removeReaper ends the process, and by that all that share its namespace.
func (r *Runtime) removeReaper(ctx context.Context, podUID string) error {
	ctr, err := r.client.LoadContainer(ctx, reaperID(podUID))
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.remove(ctx, podUID, ctr)
}

func inodeOf(name string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return 0, fmt.Errorf("stat %s: %w", name, err)
	}
	return st.Ino, nil
}
