package containerd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"

	"github.com/musterhq/muster/agent/runtime"
)

// lostExitCode is what containerd's CRI reports when nobody knows the code.
const lostExitCode = 255

// exitRecord is written when a container starts and again when it was found
// exited; containerd forgets the exit with the task.
type exitRecord struct {
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	ExitCode   int       `json:"exitCode"`
	OOMKilled  bool      `json:"oomKilled,omitempty"`
	Lost       bool      `json:"lost,omitempty"`
	Err        string    `json:"error,omitempty"`
}

func (r *Runtime) recordsDir(podUID string) string {
	return filepath.Join(r.podDir(podUID), "containers")
}

func (r *Runtime) exitPath(podUID, id string) string {
	return filepath.Join(r.recordsDir(podUID), id+".json")
}

func (r *Runtime) writeExit(podUID, id string, rec exitRecord) error {
	return writeJSON(r.exitPath(podUID, id), rec)
}

func (r *Runtime) readExit(podUID, id string) (rec exitRecord, found bool, err error) {
	b, err := os.ReadFile(r.exitPath(podUID, id))
	if errors.Is(err, os.ErrNotExist) {
		return rec, false, nil
	}
	if err != nil {
		return rec, false, err
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		return rec, false, fmt.Errorf("read %s: %w", r.exitPath(podUID, id), err)
	}
	return rec, true, nil
}

// Pods implements runtime.Runtime.
func (r *Runtime) Pods(ctx context.Context) ([]runtime.Pod, error) {
	uids, err := r.podUIDs(ctx)
	if err != nil {
		return nil, err
	}
	pods := make([]runtime.Pod, 0, len(uids))
	for _, uid := range uids {
		pod, err := r.Pod(ctx, uid)
		if errors.Is(err, runtime.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		pods = append(pods, pod)
	}
	sort.SliceStable(pods, func(i, j int) bool {
		return pods[i].Sandbox.CreatedAt.Before(pods[j].Sandbox.CreatedAt)
	})
	return pods, nil
}

// podUIDs are those of all sandboxes, and of containers whose sandbox is gone.
func (r *Runtime) podUIDs(ctx context.Context) ([]string, error) {
	entries, err := os.ReadDir(r.podsDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	seen := map[string]bool{}
	var uids []string
	for _, e := range entries {
		seen[e.Name()] = true
		uids = append(uids, e.Name())
	}
	stored, err := r.client.ContainerService().List(r.context(ctx), fmt.Sprintf("labels.%q", labelPodUID))
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	for _, c := range stored {
		if uid := c.Labels[labelPodUID]; !seen[uid] {
			seen[uid] = true
			uids = append(uids, uid)
		}
	}
	return uids, nil
}

// Pod implements runtime.Runtime.
func (r *Runtime) Pod(ctx context.Context, podUID string) (runtime.Pod, error) {
	if err := checkUID(podUID); err != nil {
		return runtime.Pod{}, err
	}
	defer r.locks.lock(podUID)()
	ctx = r.context(ctx)
	ctrs, err := r.client.Containers(ctx, fmt.Sprintf("labels.%q==%q", labelPodUID, podUID))
	if err != nil {
		return runtime.Pod{}, fmt.Errorf("list containers of pod %s: %w", podUID, err)
	}
	pod := runtime.Pod{Sandbox: runtime.Sandbox{PodUID: podUID}}
	rec, err := r.readRecord(podUID)
	switch {
	case err == nil:
		pod.Sandbox = r.sandbox(rec)
	case !errors.Is(err, runtime.ErrNotFound):
		return runtime.Pod{}, err
	case len(ctrs) == 0 && !r.podDirExists(podUID):
		return runtime.Pod{}, fmt.Errorf("pod %s: %w", podUID, runtime.ErrNotFound)
	}
	for _, ctr := range ctrs {
		c, err := r.inspect(ctx, podUID, ctr)
		if err != nil {
			return runtime.Pod{}, err
		}
		pod.Containers = append(pod.Containers, c)
		if pod.Sandbox.Name == "" {
			labels, err := ctr.Labels(ctx)
			if err != nil {
				return runtime.Pod{}, err
			}
			pod.Sandbox.Namespace, pod.Sandbox.Name = labels[labelNamespace], labels[labelPod]
		}
	}
	sort.SliceStable(pod.Containers, func(i, j int) bool {
		return pod.Containers[i].CreatedAt.Before(pod.Containers[j].CreatedAt)
	})
	return pod, nil
}

func (r *Runtime) podDirExists(podUID string) bool {
	_, err := os.Stat(r.podDir(podUID))
	return err == nil
}

// inspect tells a container's state and, when it finds it exited, writes down
// how and lets containerd forget the task; from then on its log is complete.
// The caller holds the pod's lock.
func (r *Runtime) inspect(ctx context.Context, podUID string, ctr client.Container) (runtime.Container, error) {
	info, err := ctr.Info(ctx, client.WithoutRefreshedMetadata)
	if err != nil {
		return runtime.Container{}, fmt.Errorf("inspect container %s: %w", ctr.ID(), err)
	}
	r.owners.set(ctr.ID(), podUID)
	attempt, _ := strconv.Atoi(info.Labels[labelAttempt])
	out := runtime.Container{
		ID: ctr.ID(), Name: info.Labels[labelContainer], Attempt: attempt,
		ImageRef: info.Labels[labelImage], ImageID: info.Labels[labelImageID],
		CreatedAt: info.CreatedAt, Hash: info.Labels[labelHash], LogPath: info.Labels[labelLogPath],
		Requirements: info.Labels[labelRequirements],
	}
	rec, found, err := r.readExit(podUID, ctr.ID())
	if err != nil {
		return runtime.Container{}, err
	}
	out.StartedAt = rec.StartedAt
	if rec.FinishedAt.IsZero() {
		rec, err = r.probe(ctx, podUID, ctr, rec, found, &out)
		if err != nil {
			return runtime.Container{}, fmt.Errorf("inspect container %s: %w", ctr.ID(), err)
		}
	}
	if !rec.FinishedAt.IsZero() {
		out.State = runtime.Exited
		out.FinishedAt, out.ExitCode = rec.FinishedAt, rec.ExitCode
		out.OOMKilled, out.Lost, out.Err = rec.OOMKilled, rec.Lost, rec.Err
	}
	return out, nil
}

// probe asks containerd about a container of which no exit is known.
func (r *Runtime) probe(ctx context.Context, podUID string, ctr client.Container, rec exitRecord, started bool, out *runtime.Container) (exitRecord, error) {
	task, err := ctr.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		if !started {
			return rec, nil
		}
		rec.FinishedAt, rec.ExitCode, rec.Lost = time.Now(), lostExitCode, true
		return rec, r.writeExit(podUID, ctr.ID(), rec)
	}
	if err != nil {
		return rec, err
	}
	status, err := task.Status(ctx)
	if err != nil {
		return rec, err
	}
	switch status.Status {
	case client.Stopped:
		return r.reap(ctx, podUID, ctr, task, rec, status)
	case client.Created:
		return rec, nil
	}
	out.State, out.Pid = runtime.Running, int(task.Pid())
	return rec, nil
}

func (r *Runtime) reap(ctx context.Context, podUID string, ctr client.Container, task client.Task, rec exitRecord, status client.Status) (exitRecord, error) {
	spec, err := ctr.Spec(ctx)
	if err != nil {
		return rec, err
	}
	rec.FinishedAt, rec.ExitCode = status.ExitTime, int(status.ExitStatus)
	rec.OOMKilled = spec.Linux != nil && oomKilled(spec.Linux.CgroupsPath)
	// The record goes first: after a crash in between, the task is found deleted.
	if err := r.writeExit(podUID, ctr.ID(), rec); err != nil {
		return rec, err
	}
	return rec, deleteTask(ctx, task)
}
