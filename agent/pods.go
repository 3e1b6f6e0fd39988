package agent

import (
	"context"
	"net/netip"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/image"
	"github.com/musterhq/muster/agent/node"
	"github.com/musterhq/muster/agent/pod"
)

func (a *Agent) logDir() string { return filepath.Join(a.cfg.DataDir, "logs") }

// runPods hands every version of this node's pods to their workers.
func (a *Agent) runPods(ctx context.Context, net pod.Network, capacity corev1.ResourceList) error {
	// Services go into environments: without them a container starts wrong.
	if err := a.services.WaitSynced(ctx); err != nil {
		return err
	}
	manager := pod.New(pod.Config{
		NodeName: a.cfg.NodeName, NodeIPs: []netip.Addr{a.cfg.NodeIP},
		Dir: filepath.Join(a.cfg.DataDir, "pods"), LogDir: a.logDir(), CgroupParent: a.cfg.CgroupParent,
		ClusterDomain: a.cfg.ClusterDomain, ClusterDNS: []netip.Addr{a.cfg.ClusterDNS},
		Allocatable: capacity, SELinux: node.SELinux(), NodeReady: a.nodeReady,
		RuntimeName: a.cfg.RuntimeName, Runtime: a.cfg.Runtime, Network: net,
		API: pod.NewAPI(a.client), Services: a.services, Events: a.recorder,
		Logger: a.cfg.Logger.With("component", "pod"),
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return manager.Run(ctx) })
	group.Go(func() error { return a.collectImages(ctx) })
	group.Go(func() error {
		if err := a.pods.WaitSynced(ctx); err != nil {
			return err
		}
		defer a.pods.OnChange(func(old, new *corev1.Pod) {
			if new == nil {
				manager.Remove(string(old.UID))
				return
			}
			manager.Set(new)
		})()
		manager.Synced()
		defer a.nodes.OnChange(func(old, new *corev1.Node) {
			if new != nil && new.Name == a.cfg.NodeName && isReady(new) && (old == nil || !isReady(old)) {
				manager.Reassert()
			}
		})()
		<-ctx.Done()
		return nil
	})
	return group.Wait()
}

// collectImages removes images that nobody uses when the disk gets full.
func (a *Agent) collectImages(ctx context.Context) error {
	notify := func(eventType, reason, message string) {
		if n, ok := a.nodes.Get("", a.cfg.NodeName); ok {
			a.recorder.Event(n, eventType, reason, "%s", message)
		}
	}
	return image.NewCollector(a.cfg.Runtime, notify, a.cfg.Logger.With("component", "images")).Run(ctx)
}

// nodeReady says whether the cluster holds this node for ready.
func (a *Agent) nodeReady() bool {
	n, ok := a.nodes.Get("", a.cfg.NodeName)
	return ok && isReady(n)
}

func isReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
