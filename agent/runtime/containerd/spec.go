package containerd

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strconv"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/musterhq/muster/agent/logs/console"
	"github.com/musterhq/muster/agent/runtime"
)

// specOpts says how containerd's default specification becomes this container's.
func (r *Runtime) specOpts(s sandboxRecord, id string, c runtime.ContainerConfig, img client.Image) ([]oci.SpecOpts, error) {
	opts := []oci.SpecOpts{
		oci.WithoutRunMount,
		withoutRlimits,
		oci.WithImageConfigArgs(img, c.Args),
		withCommand(c.Command, c.Args),
		oci.WithEnv(c.Env),
		oci.WithCgroup(path.Join(s.CgroupPath, id)),
		r.withNamespaces(s, c),
		withMounts(c.Mounts),
	}
	if c.WorkingDir != "" {
		opts = append(opts, oci.WithProcessCwd(c.WorkingDir))
	}
	if c.TTY {
		opts = append(opts, oci.WithTTY, oci.WithEnv([]string{"TERM=xterm"}))
	}
	if c.Stdin && !c.TTY {
		opts = append(opts, oci.WithAnnotations(map[string]string{stdinAnnotation: filepath.Join(r.consoleDir(s.PodUID, id), console.Stdin)}))
	}
	if c.ReadOnlyRoot {
		opts = append(opts, oci.WithRootFSReadonly())
	}
	opts = append(opts, userOpts(c.User)...)
	opts = append(opts, privilegeOpts(c)...)
	opts = append(opts, withLimits(c.Resources))
	adj, err := allowedOOMScoreAdj(c.OOMScoreAdj)
	if err != nil {
		return nil, err
	}
	return append(opts, func(_ context.Context, _ oci.Client, _ *containers.Container, spec *oci.Spec) error {
		spec.Process.OOMScoreAdj = &adj
		return nil
	}), nil
}

// withoutRlimits leaves containers those of containerd, as every CRI runtime does.
func withoutRlimits(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	s.Process.Rlimits = nil
	return nil
}

// withCommand follows Kubernetes: a command replaces the image's entrypoint and
// drops the image's arguments.
func withCommand(command, args []string) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		if len(command) > 0 {
			s.Process.Args = append(append([]string{}, command...), args...)
		}
		if len(s.Process.Args) == 0 {
			return errors.New("no command specified")
		}
		return nil
	}
}

func (r *Runtime) withNamespaces(s sandboxRecord, c runtime.ContainerConfig) oci.SpecOpts {
	return func(ctx context.Context, _ oci.Client, _ *containers.Container, spec *oci.Spec) error {
		list := r.sandboxNamespaces(s)
		switch {
		case c.ProcessesOf != "":
			pid, err := r.pidOf(ctx, c.ProcessesOf)
			if err != nil {
				return err
			}
			list = append(list, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: fmt.Sprintf("/proc/%d/ns/pid", pid)})
		case s.SharePID:
			list = append(list, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: s.Reaper.path()})
		case !c.HostPID:
			list = append(list, specs.LinuxNamespace{Type: specs.PIDNamespace})
		}
		if unified() {
			list = append(list, specs.LinuxNamespace{Type: specs.CgroupNamespace})
		}
		spec.Linux.Namespaces = list
		spec.Mounts = append(spec.Mounts, specs.Mount{
			Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
			Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"},
		})
		return nil
	}
}

// sandboxNamespaces are those of the sandbox, and a mount namespace of one's own.
func (r *Runtime) sandboxNamespaces(s sandboxRecord) []specs.LinuxNamespace {
	own := map[string]specs.LinuxNamespaceType{
		"net": specs.NetworkNamespace, "ipc": specs.IPCNamespace, "uts": specs.UTSNamespace,
	}
	list := []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	for _, kind := range s.kinds() {
		list = append(list, specs.LinuxNamespace{Type: own[kind], Path: r.nsPath(s.PodUID, kind)})
	}
	return list
}

// pidOf is the first process of a running container.
func (r *Runtime) pidOf(ctx context.Context, id string) (uint32, error) {
	task, _, err := r.within(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("find the processes of container %s: %w", id, err)
	}
	return task.Pid(), nil
}

func withMounts(mounts []runtime.Mount) oci.SpecOpts {
	var out []specs.Mount
	for _, m := range mounts {
		mount := specs.Mount{Destination: path.Clean(m.Container), Source: m.Host, Type: "bind", Options: []string{"rbind", "rprivate"}}
		if m.Propagation != "" {
			mount.Options[1] = m.Propagation
		}
		if m.Host == "" {
			mount.Type, mount.Source, mount.Options = "tmpfs", "tmpfs", []string{"nosuid", "nodev", "mode=1777"}
			if m.SizeBytes > 0 {
				mount.Options = append(mount.Options, "size="+strconv.FormatInt(m.SizeBytes, 10))
			}
		}
		access := "rw"
		if m.ReadOnly {
			access = "ro"
		}
		mount.Options = append(mount.Options, access)
		out = append(out, mount)
	}
	return func(ctx context.Context, c oci.Client, ctr *containers.Container, s *oci.Spec) error {
		for _, m := range out {
			if err := oci.WithoutMounts(m.Destination)(ctx, c, ctr, s); err != nil {
				return err
			}
		}
		s.Mounts = append(s.Mounts, out...)
		return nil
	}
}

// userOpts overrides the image's user; a uid alone takes its group from the
// image's /etc/passwd, a gid alone leaves the image's user what it is.
func userOpts(u *runtime.User) []oci.SpecOpts {
	if u == nil {
		return nil
	}
	var opts []oci.SpecOpts
	switch {
	case u.UID != nil && u.GID != nil:
		opts = append(opts, oci.WithUIDGID(uint32(*u.UID), uint32(*u.GID)))
	case u.UID != nil:
		opts = append(opts, oci.WithUserID(uint32(*u.UID)))
	case u.GID != nil:
		opts = append(opts, withGroup(uint32(*u.GID)))
	}
	if u.UID != nil {
		opts = append(opts, withGroupsOfUID(uint32(*u.UID)))
	}
	for _, g := range u.ExtraGroups {
		opts = append(opts, withExtraGroup(uint32(g)))
	}
	return opts
}

// withGroupsOfUID forgets the groups of the image's own user.
func withGroupsOfUID(uid uint32) oci.SpecOpts {
	return func(ctx context.Context, c oci.Client, ctr *containers.Container, s *oci.Spec) error {
		s.Process.User.AdditionalGids = nil
		return oci.WithAdditionalGIDs(strconv.FormatUint(uint64(uid), 10))(ctx, c, ctr, s)
	}
}

// withGroup gives the image's user, which the specification holds by now, another
// group.
func withGroup(gid uint32) oci.SpecOpts {
	return func(ctx context.Context, c oci.Client, ctr *containers.Container, s *oci.Spec) error {
		uid := s.Process.User.UID
		if err := oci.WithUIDGID(uid, gid)(ctx, c, ctr, s); err != nil {
			return err
		}
		return withGroupsOfUID(uid)(ctx, c, ctr, s)
	}
}

func withExtraGroup(gid uint32) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		s.Process.User.AdditionalGids = append(s.Process.User.AdditionalGids, gid)
		return nil
	}
}

func privilegeOpts(c runtime.ContainerConfig) []oci.SpecOpts {
	if c.Privileged {
		return []oci.SpecOpts{
			oci.WithAllCurrentCapabilities, oci.WithMaskedPaths(nil), oci.WithReadonlyPaths(nil),
			oci.WithWriteableSysfs, oci.WithWriteableCgroupfs, oci.WithApparmorProfile(""),
			oci.WithSeccompUnconfined, oci.WithNewPrivileges, oci.WithHostDevices, oci.WithAllDevicesAllowed,
		}
	}
	opts := []oci.SpecOpts{oci.WithDefaultUnixDevices, capabilityOpts(c.AddCaps, c.DropCaps)}
	if !c.NoNewPrivs {
		opts = append(opts, oci.WithNewPrivileges)
	}
	if !c.SeccompUnconfined {
		// The filter depends on the capabilities, so it comes after them.
		opts = append(opts, seccomp.WithDefaultProfile())
	}
	return opts
}

func capabilityOpts(add, drop []string) oci.SpecOpts {
	var opts []oci.SpecOpts
	for _, name := range add {
		if name == "ALL" {
			opts = append(opts, oci.WithAllCurrentCapabilities)
		}
	}
	for _, name := range drop {
		if name == "ALL" {
			opts = append(opts, oci.WithCapabilities(nil))
		}
	}
	opts = append(opts, oci.WithAddedCapabilities(prefixed(add)), oci.WithDroppedCapabilities(prefixed(drop)))
	return oci.Compose(opts...)
}

func prefixed(names []string) []string {
	var out []string
	for _, n := range names {
		if n != "ALL" {
			out = append(out, "CAP_"+n)
		}
	}
	return out
}

func withLimits(r runtime.Resources) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		res := linuxResources(r)
		s.Linux.Resources.CPU, s.Linux.Resources.Memory, s.Linux.Resources.Pids = res.CPU, res.Memory, res.Pids
		return nil
	}
}

// allowedOOMScoreAdj raises a score that the kernel would refuse.
func allowedOOMScoreAdj(want int) (int, error) {
	current, err := cap.Current()
	if err != nil {
		return 0, fmt.Errorf("read own capabilities: %w", err)
	}
	for _, name := range current {
		if name == "CAP_SYS_RESOURCE" {
			return want, nil
		}
	}
	own, err := ownOOMScoreAdj()
	return max(want, own), err
}
