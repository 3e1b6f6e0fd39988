package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/agent/runtime"
)

// sandboxRecord is sandbox.json. It is written before anything is made, so that
// what an interrupted call left behind is found and removed.
type sandboxRecord struct {
	PodUID      string `json:"podUID"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	HostNetwork bool   `json:"hostNetwork"`
	HostIPC     bool   `json:"hostIPC"`
	// SharePID says that all containers are in the namespace of Reaper.
	SharePID    bool              `json:"sharePID,omitempty"`
	Reaper      *reaper           `json:"reaper,omitempty"`
	CgroupPath  string            `json:"cgroupPath"`
	CreatedAt   time.Time         `json:"createdAt"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Resources   runtime.Resources `json:"resources,omitzero"`
	Complete    bool              `json:"complete"`
}

func (r *Runtime) podsDir() string              { return filepath.Join(r.cfg.StateDir, "pods") }
func (r *Runtime) podDir(uid string) string     { return filepath.Join(r.podsDir(), uid) }
func (r *Runtime) recordPath(uid string) string { return filepath.Join(r.podDir(uid), "sandbox.json") }
func (r *Runtime) nsPath(uid, kind string) string {
	return filepath.Join(r.podDir(uid), "ns", kind)
}

// EnsureSandbox implements runtime.Runtime.
func (r *Runtime) EnsureSandbox(ctx context.Context, s runtime.SandboxConfig) (runtime.Sandbox, error) {
	if err := checkUID(s.PodUID); err != nil {
		return runtime.Sandbox{}, err
	}
	if err := checkHandler(s.Handler); err != nil {
		return runtime.Sandbox{}, err
	}
	defer r.locks.lock(s.PodUID)()
	old, err := r.readRecord(s.PodUID)
	if err == nil && r.sandboxReady(old) {
		return r.sandbox(old), nil
	}
	if err != nil && !errors.Is(err, runtime.ErrNotFound) {
		return runtime.Sandbox{}, err
	}
	rec := sandboxRecord{
		PodUID: s.PodUID, Namespace: s.Namespace, Name: s.Name,
		HostNetwork: s.HostNetwork, HostIPC: s.HostIPC, SharePID: s.SharePID,
		CgroupPath: path.Join("/", s.CgroupParent, "pod"+s.PodUID),
		CreatedAt:  time.Now(), Annotations: s.Annotations, Resources: s.Resources,
	}
	if err := r.makeSandbox(rec, s); err != nil {
		return runtime.Sandbox{}, fmt.Errorf("make sandbox of pod %s/%s: %w", s.Namespace, s.Name, err)
	}
	if rec.SharePID {
		if rec.Reaper, err = r.startReaper(r.context(ctx), rec); err != nil {
			return runtime.Sandbox{}, fmt.Errorf("share processes of pod %s/%s: %w", s.Namespace, s.Name, err)
		}
	}
	rec.Complete = true
	if err := r.writeRecord(rec); err != nil {
		return runtime.Sandbox{}, err
	}
	return r.sandbox(rec), nil
}

func (r *Runtime) makeSandbox(rec sandboxRecord, s runtime.SandboxConfig) error {
	if err := os.MkdirAll(filepath.Join(r.podDir(rec.PodUID), "ns"), 0o711); err != nil {
		return err
	}
	if err := r.writeRecord(rec); err != nil {
		return err
	}
	if err := makeCgroup(rec.CgroupPath, s.Resources); err != nil {
		return fmt.Errorf("make cgroup %s: %w", rec.CgroupPath, err)
	}
	for _, kind := range namespaceKinds {
		if err := unpin(r.nsPath(rec.PodUID, kind)); err != nil {
			return err
		}
	}
	return pinNamespaces(pins{
		paths: func(kind string) string { return r.nsPath(rec.PodUID, kind) },
		kinds: rec.kinds(), hostname: s.Hostname, domainname: s.Domainname, sysctls: s.Sysctls,
	})
}

// kinds of namespaces that the sandbox has of its own.
func (s sandboxRecord) kinds() []string {
	var kinds []string
	if !s.HostNetwork {
		kinds = append(kinds, "net", "uts")
	}
	if !s.HostIPC {
		kinds = append(kinds, "ipc")
	}
	return kinds
}

func (r *Runtime) sandboxReady(s sandboxRecord) bool {
	if !s.Complete || !cgroupExists(s.CgroupPath) || s.SharePID && !s.Reaper.alive() {
		return false
	}
	for _, kind := range s.kinds() {
		if !pinned(r.nsPath(s.PodUID, kind)) {
			return false
		}
	}
	return true
}

func (r *Runtime) sandbox(s sandboxRecord) runtime.Sandbox {
	out := runtime.Sandbox{
		PodUID: s.PodUID, Namespace: s.Namespace, Name: s.Name, CgroupPath: s.CgroupPath,
		CreatedAt: s.CreatedAt, Annotations: s.Annotations, Resources: s.Resources, Ready: r.sandboxReady(s),
	}
	if !s.HostNetwork {
		out.NetNS = r.nsPath(s.PodUID, "net")
	}
	return out
}

// RemoveSandbox implements runtime.Runtime. The record goes last: as long as
// anything is left, Pods names the pod.
func (r *Runtime) RemoveSandbox(ctx context.Context, podUID string) error {
	if err := checkUID(podUID); err != nil {
		return err
	}
	defer r.locks.lock(podUID)()
	ctx = r.context(ctx)
	if err := r.removeContainers(ctx, podUID); err != nil {
		return fmt.Errorf("remove sandbox %s: %w", podUID, err)
	}
	if err := r.removeReaper(ctx, podUID); err != nil {
		return fmt.Errorf("remove sandbox %s: %w", podUID, err)
	}
	rec, err := r.readRecord(podUID)
	if errors.Is(err, runtime.ErrNotFound) {
		return os.RemoveAll(r.podDir(podUID))
	}
	if err != nil {
		return err
	}
	if err := removeCgroup(rec.CgroupPath); err != nil {
		return fmt.Errorf("remove cgroup %s: %w", rec.CgroupPath, err)
	}
	for _, kind := range namespaceKinds {
		if err := unpin(r.nsPath(podUID, kind)); err != nil {
			return err
		}
	}
	for _, sub := range []string{"ns", "containers"} {
		if err := os.RemoveAll(filepath.Join(r.podDir(podUID), sub)); err != nil {
			return err
		}
	}
	return os.RemoveAll(r.podDir(podUID))
}

func (r *Runtime) readRecord(podUID string) (sandboxRecord, error) {
	var rec sandboxRecord
	b, err := os.ReadFile(r.recordPath(podUID))
	if errors.Is(err, fs.ErrNotExist) {
		return rec, fmt.Errorf("sandbox %s: %w", podUID, runtime.ErrNotFound)
	}
	if err != nil {
		return rec, err
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		return rec, fmt.Errorf("read %s: %w", r.recordPath(podUID), err)
	}
	return rec, nil
}

func (r *Runtime) writeRecord(rec sandboxRecord) error {
	return writeJSON(r.recordPath(rec.PodUID), rec)
}

// writeJSON replaces a file in one step; after a crash there is the old or the new one.
func writeJSON(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := name + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

// handlers are the runtimes that a RuntimeClass may name: all are runc, which
// every node has.
var handlers = []string{"", "runc"}

// checkHandler words what it refuses as containerd's own CRI does.
func checkHandler(name string) error {
	if slices.Contains(handlers, name) {
		return nil
	}
	return fmt.Errorf("failed to get sandbox runtime: no runtime for %q is configured", name)
}

// checkUID keeps a uid from naming another directory.
func checkUID(uid string) error {
	if uid == "" || strings.ContainsAny(uid, "/\x00") || strings.HasPrefix(uid, ".") {
		return fmt.Errorf("pod uid %q is not a file name", uid)
	}
	return nil
}
