package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/volume"
)

// containerConfig translates a container's spec; an error is a mistake in it, or
// something it refers to that is not there.
func (w *worker) containerConfig(ctx context.Context, pod *corev1.Pod, c *corev1.Container, attempt int, img runtime.Image) (runtime.ContainerConfig, error) {
	if err := unsupported(pod, c, w.cfg.SELinux); err != nil {
		return runtime.ContainerConfig{}, err
	}
	env, values, err := w.environment(ctx, pod, c)
	if err != nil {
		return runtime.ContainerConfig{}, err
	}
	mounts, err := w.mounts(pod, c, attempt, values)
	if err != nil {
		return runtime.ContainerConfig{}, err
	}
	lookup := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	cfg := runtime.ContainerConfig{
		Name: c.Name, Attempt: attempt, Image: img, Hash: specHash(c),
		Command: expandAll(c.Command, lookup), Args: expandAll(c.Args, lookup),
		WorkingDir: c.WorkingDir, Env: env, Mounts: mounts,
		Resources: containerResources(c), Requirements: requirements(c), OOMScoreAdj: oomScoreAdj(pod, c, w.cfg.Allocatable.Memory().Value()),
		LogPath: filepath.Join(LogDir(w.cfg.LogDir, pod.Namespace, pod.Name, w.uid, c.Name), strconv.Itoa(attempt)+".log"),
		TTY:     c.TTY, Stdin: c.Stdin, StdinOnce: c.StdinOnce, HostPID: pod.Spec.HostPID,
	}
	if cfg.ProcessesOf, err = w.target(pod, c); err != nil {
		return runtime.ContainerConfig{}, err
	}
	if c.Lifecycle != nil && c.Lifecycle.StopSignal != nil {
		cfg.StopSignal = string(*c.Lifecycle.StopSignal)
	}
	// HOSTNAME comes before what the pod sets itself.
	hostname, _ := w.hostname(pod)
	cfg.Env = append([]string{"HOSTNAME=" + hostname}, cfg.Env...)
	return cfg, w.secure(pod, c, img, &cfg)
}

// target is the running container whose processes an ephemeral container sees;
// empty where it sees its own only.
func (w *worker) target(pod *corev1.Pod, c *corev1.Container) (id string, err error) {
	for i := range pod.Spec.EphemeralContainers {
		e := &pod.Spec.EphemeralContainers[i]
		if e.Name != c.Name || e.TargetContainerName == "" {
			continue
		}
		if l, ok := latestOf(w.state.Containers)[e.TargetContainerName]; ok && l.State == runtime.Running {
			return l.ID, nil
		}
		return "", fmt.Errorf("unable to find target container %v", e.TargetContainerName)
	}
	return "", nil
}

// mounts are the pod's volumes, the files every container has, and the one for
// the termination message.
func (w *worker) mounts(pod *corev1.Pod, c *corev1.Container, attempt int, env map[string]string) ([]runtime.Mount, error) {
	var out []runtime.Mount
	taken := map[string]bool{}
	for i := range c.VolumeMounts {
		m := &c.VolumeMounts[i]
		mount, err := w.volumeMount(pod, m, env)
		if err != nil {
			return nil, err
		}
		taken[mount.Container] = true
		out = append(out, mount)
	}
	for _, file := range []string{"hosts", "resolv.conf", "hostname"} {
		if target := "/etc/" + file; !taken[target] {
			out = append(out, runtime.Mount{Host: filepath.Join(w.podDir(), file), Container: target})
		}
	}
	message := w.messagePath(c.Name, attempt)
	if err := os.MkdirAll(filepath.Dir(message), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(message, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Chmod(0o666), f.Close()); err != nil {
		return nil, err
	}
	target := c.TerminationMessagePath
	if target == "" {
		target = corev1.TerminationMessagePathDefault
	}
	return append(out, runtime.Mount{Host: message, Container: target}), nil
}

func (w *worker) volumeMount(pod *corev1.Pod, m *corev1.VolumeMount, env map[string]string) (runtime.Mount, error) {
	base, ok := w.volumes[m.Name]
	if !ok {
		return runtime.Mount{}, fmt.Errorf("cannot find volume %q to mount", m.Name)
	}
	sub := m.SubPath
	if m.SubPathExpr != "" {
		var unknown string
		sub = expand(m.SubPathExpr, func(name string) (string, bool) {
			v, ok := env[name]
			if !ok {
				unknown = name
			}
			return v, ok
		})
		if unknown != "" {
			return runtime.Mount{}, fmt.Errorf("missing value for %q in subPathExpr", unknown)
		}
	}
	host, err := volume.Within(base, sub)
	if err != nil {
		return runtime.Mount{}, fmt.Errorf("failed to prepare subPath for volumeMount %q: %w", m.Name, err)
	}
	out := runtime.Mount{Host: host, Container: filepath.Join("/", m.MountPath), ReadOnly: m.ReadOnly || volume.IsReadOnly(pod, m.Name)}
	if m.MountPropagation != nil {
		switch *m.MountPropagation {
		case corev1.MountPropagationHostToContainer:
			out.Propagation = "rslave"
		case corev1.MountPropagationBidirectional:
			out.Propagation = "rshared"
		}
	}
	return out, nil
}

// secure applies the security contexts, the container's over the pod's.
func (w *worker) secure(pod *corev1.Pod, c *corev1.Container, img runtime.Image, cfg *runtime.ContainerConfig) error {
	psc, sc := pod.Spec.SecurityContext, c.SecurityContext
	if psc == nil {
		psc = &corev1.PodSecurityContext{}
	}
	if sc == nil {
		sc = &corev1.SecurityContext{}
	}
	user := &runtime.User{UID: first(sc.RunAsUser, psc.RunAsUser), GID: first(sc.RunAsGroup, psc.RunAsGroup)}
	user.ExtraGroups = append(user.ExtraGroups, psc.SupplementalGroups...)
	if psc.FSGroup != nil {
		user.ExtraGroups = append(user.ExtraGroups, *psc.FSGroup)
	}
	if user.UID != nil || user.GID != nil || len(user.ExtraGroups) > 0 {
		cfg.User = user
	}
	if isTrue(first(sc.RunAsNonRoot, psc.RunAsNonRoot)) {
		if err := nonRoot(pod, c, user.UID, img.User); err != nil {
			return err
		}
	}
	cfg.Privileged = isTrue(sc.Privileged)
	cfg.ReadOnlyRoot = isTrue(sc.ReadOnlyRootFilesystem)
	cfg.NoNewPrivs = sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation
	if sc.Capabilities != nil {
		cfg.AddCaps, cfg.DropCaps = capabilities(sc.Capabilities.Add), capabilities(sc.Capabilities.Drop)
	}
	if sc.ProcMount != nil && *sc.ProcMount != corev1.DefaultProcMount {
		return fmt.Errorf("procMount %q is not supported", *sc.ProcMount)
	}
	if p := first(sc.SeccompProfile, psc.SeccompProfile); p != nil {
		switch p.Type {
		case corev1.SeccompProfileTypeUnconfined:
			cfg.SeccompUnconfined = true
		case corev1.SeccompProfileTypeLocalhost:
			return errors.New("seccomp profiles of type Localhost are not supported")
		}
	}
	return nil
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func capabilities(list []corev1.Capability) []string {
	var out []string
	for _, c := range list {
		out = append(out, strings.TrimPrefix(strings.ToUpper(string(c)), "CAP_"))
	}
	return out
}

// nonRoot refuses a container that would run as root, with kubelet's words.
func nonRoot(pod *corev1.Pod, c *corev1.Container, uid *int64, imageUser string) error {
	where := fmt.Sprintf(`pod: "%s_%s(%s)", container: %s`, pod.Name, pod.Namespace, pod.UID, c.Name)
	if uid != nil {
		if *uid == 0 {
			return fmt.Errorf("container's runAsUser breaks non-root policy (%s)", where)
		}
		return nil
	}
	user, _, _ := strings.Cut(imageUser, ":")
	if user == "" || user == "0" {
		return fmt.Errorf("container has runAsNonRoot and image will run as root (%s)", where)
	}
	if _, err := strconv.Atoi(user); err != nil {
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root (%s)", user, where)
	}
	return nil
}
