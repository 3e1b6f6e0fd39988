package pod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/volume"
)

// prepare makes what a pod's containers stand on: sandbox, address, volumes.
func (w *worker) prepare(ctx context.Context, pod *corev1.Pod, p plan) error {
	if !w.found || !w.state.Sandbox.Ready {
		cfg := w.sandboxConfig(pod)
		var err error
		if cfg.Handler, err = w.handler(ctx, pod); err != nil {
			w.event(pod, corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: %v", err)
			return err
		}
		sandbox, err := w.cfg.Runtime.EnsureSandbox(ctx, cfg)
		if err != nil {
			w.event(pod, corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: %v", err)
			return err
		}
		w.state.Sandbox, w.found, w.attached = sandbox, true, ""
	}
	if ns := w.state.Sandbox.NetNS; !pod.Spec.HostNetwork && w.attached != ns {
		ip, err := w.cfg.Network.Attach(ctx, w.uid, ns)
		if err != nil {
			w.event(pod, corev1.EventTypeWarning, "FailedCreatePodSandBox",
				"Failed to create pod sandbox: setup network for sandbox %q: %v", w.uid, err)
			return err
		}
		w.podIP, w.attached = ip, ns
	}
	if len(p.start) == 0 && w.volumesDue(pod) == 0 {
		return nil
	}
	if len(p.start) == 0 && time.Since(w.volumesAt) < volumeInterval {
		return nil
	}
	return w.prepareFiles(ctx, pod)
}

func (w *worker) prepareFiles(ctx context.Context, pod *corev1.Pod) error {
	if err := os.MkdirAll(w.podDir(), 0o750); err != nil {
		return err
	}
	if err := w.writeNetworkFiles(pod); err != nil {
		return err
	}
	paths, err := volume.Make(ctx, filepath.Join(w.podDir(), "volumes"), pod, w.volumeSource())
	if err != nil {
		if ctx.Err() == nil {
			w.event(pod, corev1.EventTypeWarning, "FailedMount", "%v", err)
		}
		return err
	}
	w.volumes, w.volumesAt = paths, time.Now()
	return nil
}

// volumesDue is when projected volumes are to be renewed; 0 when there are none.
func (w *worker) volumesDue(pod *corev1.Pod) time.Duration {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil {
			return max(time.Second, volumeInterval-time.Since(w.volumesAt))
		}
	}
	return 0
}

// handler is the runtime that the pod's class asks for; empty is the default.
func (w *worker) handler(ctx context.Context, pod *corev1.Pod) (string, error) {
	name := ptr.Deref(pod.Spec.RuntimeClassName, "")
	if name == "" {
		return "", nil
	}
	class, err := w.cfg.API.RuntimeClass(ctx, name)
	if err != nil {
		return "", fmt.Errorf("get RuntimeClass %q: %w", name, err)
	}
	return class.Handler, nil
}

func (w *worker) sandboxConfig(pod *corev1.Pod) runtime.SandboxConfig {
	hostname, domain := w.hostname(pod)
	cfg := runtime.SandboxConfig{
		PodUID: w.uid, Namespace: pod.Namespace, Name: pod.Name,
		Hostname: hostname, HostNetwork: pod.Spec.HostNetwork, HostIPC: pod.Spec.HostIPC,
		SharePID:     isTrue(pod.Spec.ShareProcessNamespace),
		CgroupParent: w.cfg.CgroupParent, Resources: podResources(pod),
	}
	if isTrue(pod.Spec.SetHostnameAsFQDN) && domain != "" {
		cfg.Hostname = hostname + "." + domain
	}
	if sc := pod.Spec.SecurityContext; sc != nil && len(sc.Sysctls) > 0 {
		cfg.Sysctls = map[string]string{}
		for _, s := range sc.Sysctls {
			cfg.Sysctls[s.Name] = s.Value
		}
	}
	return cfg
}
